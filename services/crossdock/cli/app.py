"""The top level: which commands there are, and how an error looks: one line with its remedy, and exit code 1.

The module of a command is imported when the command runs or shows its own help. The top level's help needs none.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group
from typing_extensions import override

from crossdock.cli.shared.doors import Doors
from crossdock.kernel.process.errors import CrossdockError

RUN = "Run an installation"
USE = "Requests and usage"
MANAGE = "Management"


class Entry(NamedTuple):
    """A command or a group of commands, as the top level's help shows it."""

    place: str
    """The module below `crossdock.cli`, and the name of its function or of its Typer app."""
    panel: str
    help: str
    """The first line of the command's own help."""

    def load(self, name: str) -> Any:
        """Return the command, of the classes that typer keeps to itself."""
        module, _, attribute = self.place.partition(":")
        found = getattr(import_module(f"crossdock.cli.{module}"), attribute)
        parent = typer.Typer(callback=lambda: None)
        if isinstance(found, typer.Typer):
            parent.add_typer(found, name=name)
        else:
            parent.command(name)(found)
        return get_group(parent).commands[name]


ENTRIES = {
    "up": Entry(
        "installation.local:up", RUN, "Start everything on this machine, with a simulated provider."
    ),
    "down": Entry("installation.local:down", RUN, "Stop everything."),
    "status": Entry("installation.local:status", RUN, "Show each process: state, restarts, lag."),
    "logs": Entry("installation.local:logs", RUN, "Print the last lines of the logs."),
    "check": Entry(
        "installation.local:check", RUN, "Check that this machine has all that `up` needs."
    ),
    "env": Entry(
        "installation.local:env", RUN, "Print the addresses and the API key for your shell."
    ),
    "demo": Entry(
        "installation.demo:demo", RUN, "Start everything, run a batch, show its cost, stop."
    ),
    "bootstrap": Entry(
        "installation.bootstrap:bootstrap",
        RUN,
        "Make the keys and secrets of a production installation.",
    ),
    "dead-letters": Entry(
        "installation.dead_letters:app",
        RUN,
        "Look at records that a stage could not read, and replay them.",
    ),
    "secrets": Entry(
        "installation.secrets:app", RUN, "Rotate the master key that encrypts BYOK keys."
    ),
    "batches": Entry(
        "usage.batches:app", USE, "Submit files of requests, watch them, fetch the results."
    ),
    "usage": Entry(
        "usage.usage:usage", USE, "Show tokens and cost by model and provider, and over time."
    ),
    "audit": Entry(
        "usage.audit:audit", USE, "Prove that every change and every cent is accounted for."
    ),
    "orgs": Entry("management.orgs:app", MANAGE, "Organizations: the accounts that pay."),
    "projects": Entry(
        "management.projects:app", MANAGE, "Projects: each key, file and batch belongs to one."
    ),
    "keys": Entry(
        "management.keys:app", MANAGE, "API keys: create, limit, rotate and delete them."
    ),
    "policies": Entry(
        "management.policies:app",
        MANAGE,
        "Policies: which models, providers and prices are allowed.",
    ),
    "budgets": Entry(
        "management.budgets:app", MANAGE, "Budgets: how much may be spent in a day, week or month."
    ),
    "credits": Entry(
        "management.credits:app", MANAGE, "Credits: what an organization has paid in advance."
    ),
    "presets": Entry(
        "management.presets:app", MANAGE, "Presets: named settings that requests refer to."
    ),
    "byok": Entry("management.byok:app", MANAGE, "BYOK keys: your own keys of a provider."),
}


class TopLevel(TyperGroup):
    """Shows commands by their entries, and loads the one that is run."""

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, ENTRIES[name].load(name) if name else command, rest


app = TopLevel(
    name="crossdock",
    help="A self-hosted dock for asynchronous LLM work on Apache Kafka and ClickHouse.",
    no_args_is_help=True,
    commands={
        name: TyperCommand(name, help=entry.help, rich_help_panel=entry.panel)
        for name, entry in ENTRIES.items()
    },
)


def main(argv: Sequence[str] | None = None, doors: Doors | None = None) -> None:
    """Run one command. Tests give other doors."""
    try:
        app(argv, obj=doors or Doors())
    except CrossdockError as error:
        sys.stderr.write(f"crossdock: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
