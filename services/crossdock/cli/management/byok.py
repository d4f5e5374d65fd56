"""crossdock byok: list, show, create, update, delete. A key is never an argument: other users could read it."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from crossdock.cli.management.resource import (
    NO_TERMINAL,
    Fields,
    OptionSpec,
    Resource,
    with_options,
)
from crossdock.cli.management.scopes import named
from crossdock.cli.shared.management_client import Management
from crossdock.cli.shared.options import DisableOption, NewNameOption, text_of, values_of
from crossdock.cli.shared.output import show_entry
from crossdock.kernel.process.errors import ProcessError
from crossdock_schemas.pricing.catalogue import Region

PROMPT = "The provider's key: "
ByokName = Annotated[str, typer.Argument(help="Its id, see `list`.", metavar="ID")]
SOURCES = {
    "key_env": OptionSpec(
        str | None, "--key-env", "The environment variable that holds the key.", "NAME"
    ),
    "key_file": OptionSpec(Path | None, "--key-file", "The file that holds the key.", "FILE"),
}
LISTS = {
    "allowed_models": OptionSpec(
        list[str] | None,
        "--allow-model",
        "Use it only for these models; `*` matches any text; may be repeated; '' alone: for all.",
        "PATTERN",
    ),
    "allowed_api_key_hashes": OptionSpec(
        list[str] | None,
        "--allow-key",
        "Use it only for requests of this API key; may be repeated; '' alone: of all.",
        "HASH_OR_ID",
    ),
    "allowed_user_ids": OptionSpec(
        list[str] | None,
        "--allow-user",
        "Use it only for this end user (`user` in requests); may be repeated; '' alone: for all.",
        "USER",
    ),
}
FIELDS = {
    "is_fallback": OptionSpec(
        bool | None, "--fallback/--prioritized", "Try it after the installation key, or before."
    ),
    "is_required": OptionSpec(
        bool | None,
        "--required/--not-required",
        "Never call its models at its provider with the installation key.",
    ),
    "is_byok_only": OptionSpec(
        bool | None,
        "--byok-only/--not-byok-only",
        "Never call any model at its provider with the installation key.",
    ),
    "sort_order": OptionSpec(
        int | None, "--sort-order", "Its place among several; the lowest is tried first.", least=0
    ),
    **LISTS,
    "declared_zdr": OptionSpec(
        bool | None, "--zdr/--no-zdr", "Declare that the provider retains no data, or that it may."
    ),
    "declared_region": OptionSpec(
        Region | None, "--region", "Declare where the provider processes data."
    ),
}


def _restrictions(entry: Fields) -> str:
    """Return how many API keys and end users may use it."""
    limits = {"key": entry["allowed_api_key_hashes"], "user": entry["allowed_user_ids"]}
    counts = [
        f"{len(found)} {what}{'' if len(found) == 1 else 's'}"
        for what, found in limits.items()
        if found is not None
    ]
    return ", ".join(counts) or "all"


def _show_created(value: Any, *, as_json: bool) -> None:
    tested = {"test": value["test"]} if value.get("test") else {}
    show_entry(value if as_json else value["data"] | tested, as_json=as_json)


byok = Resource(
    "byok",
    plural="BYOK keys",
    help="BYOK keys: the keys of your contract with a provider.\n\nThe provider bills calls with them to you.",
    columns=(
        *(("key", "id"), "provider", "name", "label"),
        (
            "order",
            lambda key: f"{'fallback' if key['is_fallback'] else 'first'} {key['sort_order']}",
        ),
        ("project", lambda key: key["project_id"] or "all"),
        ("for", _restrictions),
        ("models", lambda key: "all" if key["allowed_models"] is None else key["allowed_models"]),
        ("state", lambda key: "disabled" if key["disabled"] else "active"),
    ),
    folded="models",
    names={"byok": ByokName},
)
app = byok.app
byok.add_list("List BYOK keys, without their secrets.")
byok.add_show("Show a BYOK key, without its secret.")


@byok.command("create", show=_show_created)
@with_options(SOURCES | FIELDS)
def create(
    management: Management,
    provider: Annotated[str, typer.Argument(help="Its name in the catalogue.")],
    name: Annotated[str | None, typer.Option(help="Its purpose.")] = None,
    project: Annotated[
        str | None, typer.Option(help="Only for this project.  \\[default: all]", metavar="ID")
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="List the provider's models with it first.")
    ] = False,
    **fields: Any,
) -> Any:
    """Store a provider's key. It is read from a variable, a file or the terminal."""
    secret = _read_secret(management, fields)
    own = {"provider": provider, "key": secret, "name": name, "project_id": project}
    body, _ = _body(management, fields)
    return management.create("byok", body={**own, **body, "test": test or None})


@byok.command("update")
@with_options(SOURCES | FIELDS)
def update(
    management: Management,
    byok: ByokName,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Read a new key from the terminal.")
    ] = False,
    name: NewNameOption = None,
    disabled: DisableOption = None,
    **fields: Any,
) -> Any:
    """Change where a BYOK key is used, or replace its secret."""
    is_replaced = new_key or any(fields[source] is not None for source in SOURCES)
    secret = _read_secret(management, fields) if is_replaced else None
    body, emptied = _body(management, fields)
    own = {"key": secret, "name": name, "disabled": disabled}
    return management.change("byok", byok, body=own | body, emptied=emptied)


def _body(management: Management, fields: Fields) -> tuple[dict[str, object], list[str]]:
    """Return what the API takes, and the lists that are lifted."""
    lists = {name: values_of(fields[name]) for name in LISTS}
    # why: an address is logged, so a plain key is sent as its hash
    hashes = [management.entry("keys", named(key))["hash"] for key in lists["allowed_api_key_hashes"] or ()]  # fmt: skip
    given = {name: values or None for name, values in lists.items()}
    body = {name: fields[name] for name in FIELDS} | given
    emptied = [name for name, values in lists.items() if values == []]
    return {**body, "allowed_api_key_hashes": hashes or None}, emptied


byok.add_removal(
    "delete",
    "Delete a BYOK key. No call is made with it from then on.",
    lambda entry: f"BYOK key {entry['name']!r} ({entry['label']})",
)


def _read_secret(management: Management, sources: Fields) -> str:
    """Return the provider's key.

    Raises:
        ProcessError: if it is missing or cannot be read.
    """
    variable, file = sources["key_env"], sources["key_file"]
    if variable is not None and file is not None:
        raise ProcessError("pass --key-env or --key-file, not both")
    if variable is not None:
        text = os.environ.get(variable, "")  # noqa: TID251  # the user names it
        place = f"the environment variable {variable}"
    elif file is not None:
        text, place = text_of(file), str(file)
    elif sys.stdin.isatty():
        text, place = management.doors.read_secret(PROMPT), "the terminal"
    else:
        raise ProcessError(NO_TERMINAL.format("the key", "--key-env or --key-file"))
    if not text.strip():
        raise ProcessError(f"no key in {place}")
    return text.strip()
