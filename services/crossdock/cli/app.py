"""The commands, and how an error looks: one line, with its remedy, and exit code 1."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from crossdock.audit.checks import OpenBooks
from crossdock.cli.installation import bootstrap, dead_letters, demo, local, secrets
from crossdock.cli.management import (
    budgets,
    byok,
    credits,
    keys,
    orgs,
    policies,
    policy_dry_run,
    presets,
    projects,
)
from crossdock.cli.usage import audit, batches, estimate, usage
from crossdock.kernel.process.errors import CrossdockError

app = typer.Typer(
    name="crossdock",
    help="A self-hosted dock for asynchronous LLM work on Apache Kafka and ClickHouse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(local.up)
app.command()(local.down)
app.command()(local.status)
app.command()(local.logs)
app.command()(local.check)
app.command()(local.env)
app.command()(bootstrap.bootstrap)
app.command()(usage.usage)
app.command()(audit.audit)
app.command()(demo.demo)
app.add_typer(batches.app, name="batches")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(keys.app, name="keys")
app.add_typer(projects.app, name="projects")
app.add_typer(orgs.app, name="orgs")
app.add_typer(policies.app, name="policies")
app.add_typer(budgets.app, name="budgets")
app.add_typer(presets.app, name="presets")
app.add_typer(byok.app, name="byok")
app.add_typer(secrets.app, name="secrets")
app.add_typer(credits.app, name="credits")


@dataclass(frozen=True)
class Doors:
    """What commands talk to in place of their own; None: their own."""

    make_dock: Callable[[str, str], Any] | None = None
    """Makes the client of the management commands from an address and a key."""
    open_books: OpenBooks | None = None
    """Opens what `audit` reads."""
    read_asked: policy_dry_run.ReadAsked | None = None
    """Reads the requests that `policies test` looks back on."""
    read_secret: Callable[[str], str] | None = None
    """Asks on the terminal for what shall not be seen."""
    read_sealed: secrets.ReadSealed | None = None
    """Reads the sealed secrets that `secrets rotate` puts under another master key."""
    read_usual: estimate.ReadUsual | None = None
    """Reads how long answers were, for `batches estimate`."""


def main(
    argv: Sequence[str] | None = None,
    *,
    make_dock: Callable[[str, str], Any] | None = None,
    open_books: OpenBooks | None = None,
    read_asked: policy_dry_run.ReadAsked | None = None,
    read_secret: Callable[[str], str] | None = None,
    read_sealed: secrets.ReadSealed | None = None,
    read_usual: estimate.ReadUsual | None = None,
) -> None:
    """Run one command. What it talks to may be given in place of its own, see Doors."""
    doors = Doors(make_dock, open_books, read_asked, read_secret, read_sealed, read_usual)
    try:
        app(argv, obj=doors)
    except CrossdockError as error:
        sys.stderr.write(f"crossdock: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
