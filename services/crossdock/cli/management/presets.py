"""crossdock presets: list, show, set, clear."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from crossdock.cli.management.scopes import scope_of
from crossdock.cli.shared.confirm import YesOption, ask, need_consent
from crossdock.cli.shared.installation import DataDirOption
from crossdock.cli.shared.management_client import open_management
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_entry, show_json, show_rows
from crossdock.kernel.process.errors import ProcessError

app = typer.Typer(
    help="Presets: named settings that requests refer to.\n\nA request names one as `@preset/SLUG`; `default` is applied to all requests.",
    no_args_is_help=True,
)
PLACE = "presets"
COLUMNS = ("slug", "scope", "level", "model", "parameters", "system", "version", "updated")
BRIEF = 40
SlugName = Annotated[str, typer.Argument(help="Its name: a-z, 0-9 and -.", metavar="SLUG")]
OwnerName = Annotated[
    str,
    typer.Argument(help="`organization` for the own one, or the id of a project.", metavar="SCOPE"),
]


@app.command("list")
def list_(ctx: typer.Context, as_json: JsonOption = False, data_dir_: DataDirOption = None) -> None:
    """List presets."""
    with open_management(ctx, data_dir_) as management:
        found = management.listed(PLACE)
    if as_json:
        show_json(found)
    elif found:
        show_rows(COLUMNS, [_row(entry) for entry in found], folded="parameters")
    else:
        sys.stderr.write("no presets\n")


def _row(entry: Mapping[str, Any]) -> list[object]:
    system = entry["system"]
    brief = system if system is None or len(system) <= BRIEF else f"{system[:BRIEF]}..."
    parameters = ", ".join(f"{k}={json.dumps(v)}" for k, v in entry["parameters"].items())
    names = ("slug", "scope", "level", "model")
    return [*(entry[n] for n in names), parameters, brief, entry["version"], entry["updated_at"]]


@app.command()
def show(
    ctx: typer.Context,
    scope: OwnerName,
    slug: SlugName,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Show a preset."""
    with open_management(ctx, data_dir_) as management:
        entry = management.entry(PLACE, scope_of(management, scope), slug)
    show_entry(entry, as_json=as_json)


@app.command("set")
def set_(
    ctx: typer.Context,
    scope: OwnerName,
    slug: SlugName,
    model: Annotated[
        str | None, typer.Option("--model", help="For requests that name none.")
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            help="NAME=JSON, such as temperature=0.2; may be repeated.",
            metavar="N=J",
        ),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(
            "--system", help="Instructions for requests that bring none; @FILE reads them."
        ),
    ] = None,
    description: Annotated[str | None, typer.Option("--description", help="For people.")] = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Set a preset of an organization or a project, as a whole. What a request says itself wins over it.

    Batches keep what the preset said when they were created.
    """
    body = {
        "model": model,
        "parameters": dict(_parameter(text) for text in parameters or ()),
        "system": _text(system),
        "description": description,
    }
    with open_management(ctx, data_dir_) as management:
        entry = management.replace(PLACE, scope_of(management, scope), slug, body=body)
    show_entry(entry, as_json=as_json)


def _parameter(text: str) -> tuple[str, object]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise ProcessError(f"--parameter {text!r} is not NAME=JSON, such as temperature=0.2")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value  # a bare word is text


def _text(given: str | None) -> str | None:
    if given is None or not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ProcessError(f"cannot read {given[1:]!r}: {error}") from None


@app.command()
def clear(
    ctx: typer.Context,
    scope: OwnerName,
    slug: SlugName,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Take a preset away. Requests that name it are refused from then on; batches that run keep it."""
    need_consent("clear", is_sure=is_sure)
    with open_management(ctx, data_dir_) as management:
        id_ = scope_of(management, scope)
        if not is_sure:
            entry = management.entry(PLACE, id_, slug)
            ask(f"clear the preset {slug!r} of the {entry['level']} {id_!r}?", "not cleared")
        answer = management.delete(PLACE, id_, slug)
    if as_json:
        show_json(answer)
    else:
        sys.stderr.write("cleared\n")
