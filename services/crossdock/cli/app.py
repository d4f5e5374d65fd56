"""The top level: which commands there are, and how an error looks: one line with its remedy, and an exit code.

The module of a command is imported when the command runs or shows its own help. The top level's help needs none.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group
from typing_extensions import override

from crossdock.cli.shared.doors import Doors
from crossdock.cli.shared.files import UnusableFileError, reason_of
from crossdock.kernel.process.errors import CrossdockError

UNUSABLE = 2  # as for other arguments that are wrong
INTERRUPTED = 130  # as shells show it
PIPE_CLOSED = 141  # as shells show it


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


@contextmanager
def _open_pipe() -> Iterator[None]:
    """Write what is printed; a reader that closed the pipe, such as `head`, ends the command quietly."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _leave_stdout()
        raise typer.Exit(PIPE_CLOSED) from None
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # rich has seen it
            raise typer.Exit(PIPE_CLOSED) from None
        raise


class TopLevel(TyperGroup):
    """Shows commands by their entries, and loads the one that is run."""

    @override
    def make_context(self, *arguments: Any, **named: Any) -> Any:
        with _open_pipe():
            return super().make_context(*arguments, **named)

    @override
    def invoke(self, ctx: Any) -> Any:
        with _open_pipe():
            return super().invoke(ctx)

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


class Interrupt:
    """Raises KeyboardInterrupt for Ctrl-C, and remembers it: other code may wrap or print the exception."""

    was = False

    def __call__(self, _number: int, _frame: FrameType | None) -> NoReturn:
        self.was = True
        sys.unraisablehook = lambda _: None
        raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None, doors: Doors | None = None) -> None:
    """Run one command. Tests give other doors."""
    interrupt, before = Interrupt(), signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)
    try:
        app(argv, obj=doors or Doors())
    except BaseException as error:
        if interrupt.was:
            _leave_stdout()
            _fail("interrupted", INTERRUPTED)
        _show(error)
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def _show(error: BaseException) -> None:
    """End with the line for an error that has one."""
    if isinstance(error, CrossdockError):
        _fail(str(error), UNUSABLE if isinstance(error, UnusableFileError) else 1)
    if isinstance(error, OSError):
        _leave_stdout()
        named = f"{error.filename}: " if error.filename else ""
        _fail(f"{named}{reason_of(error)}", 1)


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"crossdock: {message}\n")
    sys.exit(code)


def _leave_stdout() -> None:
    """Let the last flush of stdout go nowhere: it would fail, and Python would print that."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
