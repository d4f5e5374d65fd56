"""crossdock presets: list, show, set, clear."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from crossdock.cli.management.resource import Fields, Resource
from crossdock.cli.management.scopes import scope_of
from crossdock.cli.shared.management_client import Management, without_none
from crossdock.cli.shared.options import ReplaceOption, text_of
from crossdock.kernel.process.errors import ProcessError

BRIEF = 40
SlugName = Annotated[str, typer.Argument(help="Its name: a-z, 0-9 and -.", metavar="SLUG")]
OwnerName = Annotated[
    str, typer.Argument(help="`organization`, or the id of a project.", metavar="SCOPE")
]


def _brief(entry: Fields) -> str | None:
    system: str | None = entry["system"]
    return system if system is None or len(system) <= BRIEF else f"{system[:BRIEF]}..."


def _parameters(entry: Fields) -> str:
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in entry["parameters"].items())


presets = Resource(
    "presets",
    help="Presets: named settings that requests refer to.\n\nA request names one as `@preset/SLUG`; the preset `default` applies to all requests.",
    columns=(
        *("slug", "scope", "level", "model", ("parameters", _parameters), ("system", _brief)),
        *("version", "updated_at"),
    ),
    folded="parameters",
    names={"scope": OwnerName, "slug": SlugName},
    parts=lambda management, scope, slug: (scope_of(management, scope), slug),
)
app = presets.app
presets.add_list("List presets.")
presets.add_show("Show a preset.")


@presets.command("set")
def set_(
    management: Management,
    scope: OwnerName,
    slug: SlugName,
    model: Annotated[
        str | None, typer.Option("--model", help="The model of requests that name none.")
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
        typer.Option("--system", help="Instructions for requests without any; @FILE reads a file."),
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", help="A note for people.")
    ] = None,
    replace: ReplaceOption = False,
) -> Any:
    """Set settings of a preset of an organization or a project.

    Settings and parameters without an option stay as they are; a parameter that is null ends.

    Values of a request take precedence. A batch keeps the preset as it was when the batch was created.
    """
    body = {
        "model": model,
        "parameters": dict(_parameter(text) for text in parameters or ()),
        "system": text_of(Path(system[1:])) if system and system[0] == "@" else system,
        "description": description,
    }
    path = presets.path(management, scope=scope, slug=slug)
    if replace:
        return management.replace(*path, body=body)
    sent = without_none(body if parameters else body | {"parameters": None})
    if not sent:
        raise ProcessError("nothing to change: pass at least one option, see --help")
    return management.merge(*path, body=sent)


def _parameter(text: str) -> tuple[str, object]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise ProcessError(f"invalid --parameter {text!r}: use NAME=JSON, such as temperature=0.2")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value  # a bare word is text


presets.add_removal(
    "clear",
    "Remove a preset. Requests that name it are refused from then on; running batches keep it.",
    lambda entry: f"the preset {entry['slug']!r} of the {entry['level']} {entry['scope']!r}",
)
