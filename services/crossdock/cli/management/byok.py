"""crossdock byok: list, show, create, update, delete. A provider's key is never an argument: others could read it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from crossdock.cli.management.keys import named
from crossdock.cli.shared.confirm import YesOption, ask, need_consent
from crossdock.cli.shared.doors import doors_of
from crossdock.cli.shared.installation import DataDirOption
from crossdock.cli.shared.management_client import Management, open_management
from crossdock.cli.shared.options import DisableOption, JsonOption, NewNameOption, values_of
from crossdock.cli.shared.output import show_entry, show_fields, show_json, show_rows
from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.pricing.catalogue import Region

app = typer.Typer(
    help="BYOK keys: your own keys of a provider.\n\nCalls with them are billed by the provider under your own contract.",
    no_args_is_help=True,
)
PLACE = "byok"
COLUMNS = ("key", "provider", "name", "label", "order", "project", "for", "models", "state")
PROMPT = "The provider's key: "
ByokName = Annotated[str, typer.Argument(help="As `list` shows it.", metavar="ID")]
KeyEnvOption = Annotated[
    str | None,
    typer.Option("--key-env", help="The environment variable that holds the key.", metavar="NAME"),
]
KeyFileOption = Annotated[
    Path | None, typer.Option("--key-file", help="A file that holds the key.", metavar="FILE")
]
FallbackOption = Annotated[
    bool | None,
    typer.Option(
        "--fallback/--prioritized", help="Tried after the installation's own capacity, or before."
    ),
]
RequiredOption = Annotated[
    bool | None,
    typer.Option(
        "--required/--not-required",
        help="Models that it covers are never called at its provider with the installation's key.",
    ),
]
OnlyOption = Annotated[
    bool | None,
    typer.Option(
        "--byok-only/--not-byok-only",
        help="Nothing is called at its provider with the installation's key.",
    ),
]
OrderOption = Annotated[
    int | None, typer.Option("--sort-order", min=0, help="Of several the lowest is tried first.")
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-model",
        help="Only such models; `*` stands for any text; may be repeated; '' alone: all.",
        metavar="PATTERN",
    ),
]
KeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-key",
        help="Only requests of this API key, by hash or id; may be repeated; '' alone: of all.",
        metavar="HASH_OR_ID",
    ),
]
UserOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-user",
        help="Only requests for this end user, as they name it in `user`; may be repeated; '' alone: for all.",
        metavar="USER",
    ),
]
ZdrOption = Annotated[
    bool | None,
    typer.Option("--zdr/--no-zdr", help="Declare that the provider keeps nothing, or that it may."),
]
RegionOption = Annotated[
    Region | None, typer.Option("--region", help="Declare where the provider works.")
]


@app.command("list")
def list_(ctx: typer.Context, as_json: JsonOption = False, data_dir_: DataDirOption = None) -> None:
    """List own provider keys, without the keys."""
    with open_management(ctx, data_dir_) as management:
        found = management.listed(PLACE)
    if as_json:
        show_json(found)
    elif found:
        show_rows(COLUMNS, [_row(entry) for entry in found], folded="models")
    else:
        sys.stderr.write("no own provider keys\n")


def _row(entry: dict[str, Any]) -> list[object]:
    order = f"{'fallback' if entry['is_fallback'] else 'first'} {entry['sort_order']}"
    models = "all" if entry["allowed_models"] is None else entry["allowed_models"]
    state = "disabled" if entry["disabled"] else "active"
    project = entry["project_id"] or "all"
    return [
        *(entry[name] for name in ("id", "provider", "name", "label")),
        *(order, project, _served(entry), models, state),
    ]


def _served(entry: dict[str, Any]) -> str:
    """Return how many API keys and end users it is for."""
    limits = {"key": entry["allowed_api_key_hashes"], "user": entry["allowed_user_ids"]}
    told = [
        f"{len(found)} {what}{'' if len(found) == 1 else 's'}"
        for what, found in limits.items()
        if found is not None
    ]
    return ", ".join(told) or "all"


@app.command()
def show(
    ctx: typer.Context,
    byok: ByokName,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Show an own provider key, without the key, which nobody shows."""
    with open_management(ctx, data_dir_) as management:
        show_entry(management.entry(PLACE, byok), as_json=as_json)


@app.command()
def create(
    ctx: typer.Context,
    provider: Annotated[str, typer.Argument(help="Its name in the catalogue.")],
    key_env: KeyEnvOption = None,
    key_file: KeyFileOption = None,
    name: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    project: Annotated[
        str | None,
        typer.Option(help="Only for this project; for all if not given.", metavar="ID"),
    ] = None,
    fallback: FallbackOption = None,
    required: RequiredOption = None,
    byok_only: OnlyOption = None,
    sort_order: OrderOption = None,
    allow_model: ModelOption = None,
    allow_key: KeyOption = None,
    allow_user: UserOption = None,
    zdr: ZdrOption = None,
    region: RegionOption = None,
    test: Annotated[
        bool, typer.Option("--test", help="Ask the provider for its models with it first.")
    ] = False,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Hand in an own key of a provider, from an environment variable, a file, or a prompt."""
    secret = read_secret(ctx, key_env, key_file)
    with open_management(ctx, data_dir_) as management:
        body = {
            "provider": provider,
            "key": secret,
            "name": name,
            "project_id": project,
            "is_fallback": fallback,
            "is_required": required,
            "is_byok_only": byok_only,
            "sort_order": sort_order,
            "allowed_models": values_of(allow_model) or None,
            "allowed_api_key_hashes": _hashes(management, allow_key) or None,
            "allowed_user_ids": values_of(allow_user) or None,
            "declared_zdr": zdr,
            "declared_region": region,
            "test": test or None,
        }
        answer = management.create(PLACE, body=body)
    if as_json:
        show_json(answer)
    else:
        tested = {"test": answer["test"]} if "test" in answer else {}
        show_fields(answer["data"] | tested)


@app.command()
def update(
    ctx: typer.Context,
    byok: ByokName,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Ask for another key on the terminal.")
    ] = False,
    key_env: KeyEnvOption = None,
    key_file: KeyFileOption = None,
    name: NewNameOption = None,
    disabled: DisableOption = None,
    fallback: FallbackOption = None,
    required: RequiredOption = None,
    byok_only: OnlyOption = None,
    sort_order: OrderOption = None,
    allow_model: ModelOption = None,
    allow_key: KeyOption = None,
    allow_user: UserOption = None,
    zdr: ZdrOption = None,
    region: RegionOption = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Change what an own provider key is for, or put another key in its place."""
    is_replaced = new_key or key_env is not None or key_file is not None
    secret = read_secret(ctx, key_env, key_file) if is_replaced else None
    models, users = values_of(allow_model), values_of(allow_user)
    with open_management(ctx, data_dir_) as management:
        hashes = _hashes(management, allow_key)
        body = {
            "key": secret,
            "name": name,
            "disabled": disabled,
            "is_fallback": fallback,
            "is_required": required,
            "is_byok_only": byok_only,
            "sort_order": sort_order,
            "allowed_models": models or None,
            "allowed_api_key_hashes": hashes or None,
            "allowed_user_ids": users or None,
            "declared_zdr": zdr,
            "declared_region": region,
        }
        said = {
            "allowed_models": models,
            "allowed_api_key_hashes": hashes,
            "allowed_user_ids": users,
        }
        opened = [field for field, value in said.items() if value == []]
        entry = management.change(PLACE, byok, body=body, emptied=opened)
    show_entry(entry, as_json=as_json)


@app.command()
def delete(
    ctx: typer.Context,
    byok: ByokName,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Delete an own provider key: no call is made with it from then on."""
    need_consent("delete", is_sure=is_sure)
    with open_management(ctx, data_dir_) as management:
        if not is_sure:
            found = management.entry(PLACE, byok)
            ask(f"delete own key {found['name']!r} ({found['label']})?", "not deleted")
        answer = management.delete(PLACE, byok)
    if as_json:
        show_json(answer)
    else:
        sys.stderr.write("deleted\n")


def read_secret(ctx: typer.Context, variable: str | None, file: Path | None) -> str:
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
        text, where = doors_of(ctx).read_secret(PROMPT), "the terminal"
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


def _hashes(management: Management, keys: Sequence[str] | None) -> list[str] | None:
    """Return the hashes of API keys; a plain key goes nowhere, only its hash does."""
    wanted = values_of(keys)
    if wanted is None:
        return None
    return [str(management.entry("keys", named(key))["hash"]) for key in wanted]
