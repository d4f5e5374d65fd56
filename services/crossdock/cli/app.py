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


class CommandEntry(NamedTuple):
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


PANELS = {
    "Run an installation": {
        "up": (
            "installation.local:up",
            "Start everything on this machine, with a simulated provider.",
        ),
        "down": ("installation.local:down", "Stop everything."),
        "status": ("installation.local:status", "Show each process: state, restarts, lag."),
        "logs": ("installation.local:logs", "Print the last lines of the logs."),
        "check": ("installation.local:check", "Check that this machine has all that `up` needs."),
        "env": ("installation.local:env", "Print the addresses and the API key for your shell."),
        "demo": ("installation.demo:demo", "Start everything, run a batch, show its cost, stop."),
        "bootstrap": (
            "installation.bootstrap:bootstrap",
            "Make the keys and secrets of a production installation.",
        ),
        "recover": (
            "installation.recover:recover",
            "Make a new owner's key, and print it, once, alone on stdout.",
        ),
        "dead-letters": (
            "installation.dead_letters:app",
            "Show records that a stage could not handle, and replay them.",
        ),
        "secrets": ("installation.secrets:app", "Rotate the master key that encrypts BYOK keys."),
    },
    "Requests and usage": {
        "batches": (
            "usage.batches:app",
            "Submit files of requests, watch them, fetch the results.",
        ),
        "usage": (
            "usage.usage:usage",
            "Show tokens and cost by model and provider, and over time.",
        ),
        "audit": ("usage.audit:audit", "Prove that every change and every cent is accounted for."),
    },
    "Management": {
        "orgs": ("management.orgs:app", "Organizations: the accounts that pay."),
        "projects": (
            "management.projects:app",
            "Projects: each key, file and batch belongs to one.",
        ),
        "keys": ("management.keys:app", "API keys: create, limit, rotate and delete them."),
        "policies": (
            "management.policies:app",
            "Policies: which models, providers and prices are allowed.",
        ),
        "budgets": (
            "management.budgets:app",
            "Budgets: how much may be spent in a day, week or month.",
        ),
        "credits": ("management.credits:app", "Credits: what an organization has paid in advance."),
        "presets": ("management.presets:app", "Presets: named settings that requests refer to."),
        "byok": ("management.byok:app", "BYOK keys: the keys of your contract with a provider."),
    },
}
"""The help of the top level: a line for each command, with the place of its function or of its Typer app."""
ENTRIES = {
    name: CommandEntry(place, panel, help)
    for panel, commands in PANELS.items()
    for name, (place, help) in commands.items()
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
