"""crossdock byok: list, show, create, update, delete. A provider's key is never an argument: others could read it."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from crossdock.cli.management.resource import Fields, Resource, with_options
from crossdock.cli.management.scopes import named
from crossdock.cli.shared.management_client import Management
from crossdock.cli.shared.options import DisableOption, NewNameOption, values_of
from crossdock.cli.shared.output import show_entry, show_json
from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.pricing.catalogue import Region

PROMPT = "The provider's key: "
ByokName = Annotated[str, typer.Argument(help="As `list` shows it.", metavar="ID")]
KeyEnvOption = Annotated[
    str | None,
    typer.Option("--key-env", help="The environment variable that holds the key.", metavar="NAME"),
]
KeyFileOption = Annotated[
    Path | None, typer.Option("--key-file", help="A file that holds the key.", metavar="FILE")
]
FIELDS = {
    "is_fallback": Annotated[
        bool | None,
        typer.Option(
            "--fallback/--prioritized",
            help="Tried after the installation's own capacity, or before.",
        ),
    ],
    "is_required": Annotated[
        bool | None,
        typer.Option(
            "--required/--not-required",
            help="Models that it covers are never called at its provider with the installation's key.",
        ),
    ],
    "is_byok_only": Annotated[
        bool | None,
        typer.Option(
            "--byok-only/--not-byok-only",
            help="Nothing is called at its provider with the installation's key.",
        ),
    ],
    "sort_order": Annotated[
        int | None,
        typer.Option("--sort-order", min=0, help="Of several the lowest is tried first."),
    ],
    "allowed_models": Annotated[
        list[str] | None,
        typer.Option(
            "--allow-model",
            help="Only such models; `*` stands for any text; may be repeated; '' alone: all.",
            metavar="PATTERN",
        ),
    ],
    "allowed_api_key_hashes": Annotated[
        list[str] | None,
        typer.Option(
            "--allow-key",
            help="Only requests of this API key, by hash or id; may be repeated; '' alone: of all.",
            metavar="HASH_OR_ID",
        ),
    ],
    "allowed_user_ids": Annotated[
        list[str] | None,
        typer.Option(
            "--allow-user",
            help="Only requests for this end user, as they name it in `user`; may be repeated; '' alone: for all.",
            metavar="USER",
        ),
    ],
    "declared_zdr": Annotated[
        bool | None,
        typer.Option(
            "--zdr/--no-zdr", help="Declare that the provider keeps nothing, or that it may."
        ),
    ],
    "declared_region": Annotated[
        Region | None, typer.Option("--region", help="Declare where the provider works.")
    ],
}
LISTS = ("allowed_models", "allowed_api_key_hashes", "allowed_user_ids")


def _order(entry: Fields) -> str:
    return f"{'fallback' if entry['is_fallback'] else 'first'} {entry['sort_order']}"


def _served(entry: Fields) -> str:
    """Return how many API keys and end users it is for."""
    limits = {"key": entry["allowed_api_key_hashes"], "user": entry["allowed_user_ids"]}
    told = [
        f"{len(found)} {what}{'' if len(found) == 1 else 's'}"
        for what, found in limits.items()
        if found is not None
    ]
    return ", ".join(told) or "all"


def _models(entry: Fields) -> object:
    return "all" if entry["allowed_models"] is None else entry["allowed_models"]


byok = Resource(
    "byok",
    plural="own provider keys",
    help="BYOK keys: your own keys of a provider.\n\nCalls with them are billed by the provider under your own contract.",
    columns=(
        *(("key", "id"), "provider", "name", "label", ("order", _order)),
        *(("project", lambda entry: entry["project_id"] or "all"), ("for", _served)),
        *(("models", _models),),
        *(("state", lambda entry: "disabled" if entry["disabled"] else "active"),),
    ),
    folded="models",
    names={"byok": ByokName},
)
app = byok.app
byok.add_list("List own provider keys, without the keys.")
byok.add_show("Show an own provider key, without the key, which nobody shows.")


def _show_created(value: Any, *, as_json: bool) -> None:
    if as_json:
        show_json(value)
    else:
        tested = {"test": value["test"]} if "test" in value else {}
        show_entry(value["data"] | tested, as_json=False)


@byok.command("create", show=_show_created)
@with_options(FIELDS)
def create(
    management: Management,
    provider: Annotated[str, typer.Argument(help="Its name in the catalogue.")],
    key_env: KeyEnvOption = None,
    key_file: KeyFileOption = None,
    name: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    project: Annotated[
        str | None,
        typer.Option(help="Only for this project; for all if not given.", metavar="ID"),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Ask the provider for its models with it first.")
    ] = False,
    **fields: Any,
) -> Any:
    """Hand in an own key of a provider, from an environment variable, a file, or a prompt."""
    secret = read_secret(management, key_env, key_file)
    own = {"provider": provider, "key": secret, "name": name, "project_id": project}
    body, _ = _body(management, fields)
    return management.create("byok", body={**own, **body, "test": test or None})


@byok.command("update")
@with_options(FIELDS)
def update(
    management: Management,
    byok: ByokName,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Ask for another key on the terminal.")
    ] = False,
    key_env: KeyEnvOption = None,
    key_file: KeyFileOption = None,
    name: NewNameOption = None,
    disabled: DisableOption = None,
    **fields: Any,
) -> Any:
    """Change what an own provider key is for, or put another key in its place."""
    is_replaced = new_key or key_env is not None or key_file is not None
    secret = read_secret(management, key_env, key_file) if is_replaced else None
    body, emptied = _body(management, fields)
    own = {"key": secret, "name": name, "disabled": disabled}
    return management.change("byok", byok, body=own | body, emptied=emptied)


def _body(management: Management, fields: Fields) -> tuple[dict[str, object], list[str]]:
    """Return what the API takes, and the lists that are to be opened to all."""
    lists = {name: values_of(fields[name]) for name in LISTS}
    lists["allowed_api_key_hashes"] = _hashes(management, lists["allowed_api_key_hashes"])
    emptied = [name for name, values in lists.items() if values == []]
    return {**fields, **{name: values or None for name, values in lists.items()}}, emptied


def _hashes(management: Management, keys: list[str] | None) -> list[str] | None:
    """Return the hashes of API keys. Of a plain key only its hash is sent."""
    return keys and [str(management.entry("keys", named(key))["hash"]) for key in keys]


byok.add_removal(
    "delete",
    "Delete an own provider key: no call is made with it from then on.",
    lambda entry: f"own key {entry['name']!r} ({entry['label']})",
)


def read_secret(management: Management, variable: str | None, file: Path | None) -> str:
    """Return the provider's key, from where it was said to be, else from the terminal.

    Raises:
        ProcessError: if it is not there, or nobody can be asked.
    """
    if variable is not None and file is not None:
        raise ProcessError("give --key-env or --key-file, not both")
    if variable is not None:
        text = os.environ.get(variable, "")  # noqa: TID251  # the user names it
        where = f"the environment variable {variable}"
    elif file is not None:
        text, where = _read(file), str(file)
    elif sys.stdin.isatty():
        text, where = management.doors.read_secret(PROMPT), "the terminal"
    else:
        raise ProcessError("nobody to ask for the key: stdin is no terminal; give --key-env or --key-file")  # fmt: skip
    if not text.strip():
        raise ProcessError(f"there is no key in {where}")
    return text.strip()


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ProcessError(f"cannot read {file}: {reason}") from None
