"""Everything that commands reach outside of this process. A door's module is imported when the door is first used.

why: the drivers of Kafka and ClickHouse take 0.3 s each to import, and no help text needs them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from getpass import getpass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from crossdock.audit.books import OpenBooks
    from crossdock.audit.policy_replay import PastRequests
    from crossdock.cli.shared.client import ApiClient
    from crossdock.kernel.process.record import Outgoing, Record, Row
    from crossdock_schemas.accounts.control import Change, Command
    from crossdock_schemas.accounts.secret import SealedSecret


@dataclass(frozen=True)
class Late:
    """Stands for a function: its module is imported by the first call."""

    place: str
    """module:name"""

    def find(self) -> Any:
        module, _, name = self.place.partition(":")
        return getattr(import_module(module), name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.find()(*arguments, **named)


def late(place: str) -> Any:
    return Late(place)


class Doors(NamedTuple):
    """The commands' own doors; a test gives others in their place."""

    make_client: "Callable[[str, str], ApiClient]" = late("crossdock.cli.shared.client:ApiClient")
    """From an address and a key: the API's client."""
    open_books: "OpenBooks" = late("crossdock.audit.reader:open_books")
    """From the addresses of ClickHouse and Kafka: all that `audit` compares."""
    read_usage: "Callable[[str, int, int], tuple[list[Row], list[Row]]]" = late(
        "crossdock.cli.usage.queries:read_usage"
    )
    """From ClickHouse's address, a span and a step in seconds: usage by model, and cost over time."""
    plot: "Callable[[Sequence[Row], Sequence[datetime], float, int], None]" = late(
        "crossdock.cli.usage.plot:plot"
    )
    """Draws cost over time: the rows, the slots, the span in hours, the width."""
    read_batch_usage: "Callable[[str, str, int, int], list[Row]]" = late(
        "crossdock.cli.usage.queries:read_batch_usage"
    )
    """From ClickHouse's address, a batch, its requests and its calls: usage by model."""
    read_answer_lengths: "Callable[[str, str], Mapping[str, float]]" = late(
        "crossdock.cli.usage.queries:read_answer_lengths"
    )
    """From ClickHouse's address and an account: the mean of output tokens, by model."""
    read_requests: "Callable[[str, str, float, int], Sequence[PastRequests]]" = late(
        "crossdock.cli.usage.queries:read_requests"
    )
    """From ClickHouse's address, an account, a span in hours and a limit of output tokens: past requests."""
    read_dead_letters: "Callable[[str], Sequence[Record]]" = late(
        "crossdock.cli.installation.topics:read_dead_letters"
    )
    """From Kafka's address: the topic of dead letters."""
    send: "Callable[[str, Sequence[Outgoing]], None]" = late(
        "crossdock.cli.installation.topics:send"
    )
    """Sends records to Kafka's address, one after the other."""
    read_sealed: "Callable[[str], Mapping[str, SealedSecret]]" = late(
        "crossdock.cli.installation.topics:read_sealed"
    )
    """From Kafka's address: the encrypted BYOK keys, by id."""
    apply_command: "Callable[[str, Outgoing, Command, float], Change | None]" = late(
        "crossdock.cli.installation.topics:apply_command"
    )
    """From Kafka's address, a record, its command and the seconds to wait: its outcome; None: no answer in time."""
    read_secret: Callable[[str], str] = getpass
    """Asks on the terminal, and does not show the answer."""
    serve: "Callable[..., list[str]]" = late("crossdock.cli.installation.foreground:serve")
    """Runs an installation until it is stopped."""


def doors_of(ctx: typer.Context) -> Doors:
    doors: Doors = ctx.obj
    return doors
