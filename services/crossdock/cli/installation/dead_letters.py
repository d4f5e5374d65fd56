"""crossdock dead-letters: records that a stage could not read. Look at them, and send them again."""

import json
import sys
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from crossdock.cli.shared.doors import doors_of
from crossdock.cli.shared.installation import DataDirOption, address, reached
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.process.record import Outgoing, Record
from crossdock_schemas.codec import MissingEnvelopeError, decode_envelope, encode_headers
from crossdock_schemas.dead_letter import DeadLetter
from crossdock_schemas.topics import DEAD_LETTERS

app = typer.Typer(
    help="Show records that a stage could not read, and replay them.", no_args_is_help=True
)
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
Numbers = Annotated[
    list[int] | None, typer.Argument(help="As `list` shows them.", metavar="[NUMBER]...")
]
PARTITION = 0
SOURCE = "crossdock/cli"
SHOWN_BYTES = 4096


@dataclass
class Letter:
    """A dead letter: its number is its offset."""

    number: int
    origin: DeadLetter
    value: bytes
    replayed_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "replayed_at_ms": self.replayed_ms} | self.origin.model_dump(
            exclude={"key", "headers"}
        )


def collect(records: Sequence[Record]) -> dict[int, Letter]:
    """Return the dead letters by number, and which of them were sent again."""
    letters: dict[int, Letter] = {}
    for record in records:
        try:
            origin = decode_envelope(record.headers, DeadLetter)
        except (MissingEnvelopeError, ValidationError):
            continue  # not written by any stage of ours
        if origin.replay_of is None:
            letters[record.offset] = Letter(record.offset, origin, record.value or b"")
        elif origin.replay_of in letters:
            letters[origin.replay_of].replayed_ms = origin.at_ms
    return letters


def make_replay(letter: Letter, now_ms: int) -> list[Outgoing]:
    """Return the record as it was, for the partition that it lay in, and the note that it was sent again.

    Raises:
        ProcessError: if a part of it is missing.
    """
    origin = letter.origin
    if origin.cut_bytes:
        raise ProcessError(
            f"{letter.number} lacks its last {origin.cut_bytes} bytes, and cannot be sent again"
        )
    headers = [(name, b64decode(value)) for name, value in origin.headers]
    key = None if origin.key is None else b64decode(origin.key)
    value = None if origin.is_tombstone else letter.value
    note = origin.model_copy(update={"replay_of": letter.number, "at_ms": now_ms})
    told = encode_headers(DEAD_LETTERS, SOURCE, str(letter.number), now_ms, note)
    return [
        Outgoing(origin.topic, key, value, headers, origin.partition),
        Outgoing(DEAD_LETTERS.name, str(letter.number).encode(), b"", told, PARTITION),
    ]


def _servers(path: Path | None) -> str:
    return address(reached(path), "KAFKA_BOOTSTRAP_SERVERS", "dead letters are records of a topic")


def _letters(ctx: typer.Context, path: Path | None) -> dict[int, Letter]:
    return collect(doors_of(ctx).read_dead_letters(_servers(path)))


@app.command("list")
def list_(
    ctx: typer.Context,
    topic: Annotated[str | None, typer.Option(help="Only of this topic.")] = None,
    as_json: JsonOption = False,
    data_dir_: DataDirOption = None,
) -> None:
    """List dead letters, oldest first: where each lay, and why nobody could read it."""
    found = [
        letter
        for letter in _letters(ctx, data_dir_).values()
        if topic in {None, letter.origin.topic}
    ]
    if as_json:
        sys.stdout.write(json.dumps([letter.as_json() for letter in found], indent=1) + "\n")
        return
    if not found:
        sys.stderr.write("no dead letters\n")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("number", "at", "stage", "topic", "partition", "offset", "bytes", "state"):
        table.add_column(column, no_wrap=True)
    table.add_column("reason", overflow="fold")
    for letter in found:
        table.add_row(*map(str, _row(letter)))
    Console().print(table)


def _row(letter: Letter) -> list[object]:
    origin = letter.origin
    at = datetime.fromtimestamp(origin.at_ms / 1000, UTC)
    state = "kept" if letter.replayed_ms is None else "sent again"
    return [
        letter.number, f"{at:%Y-%m-%d %H:%M:%S}", origin.stage, origin.topic, origin.partition, origin.offset,
        len(letter.value), state, origin.reason.splitlines()[0] if origin.reason else "",
    ]  # fmt: skip


@app.command()
def show(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="As `list` shows it.")],
    raw: Annotated[bool, typer.Option("--raw", help="Only its bytes, as they are.")] = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Show one dead letter: origin, reason, key, headers, bytes."""
    letter = _pick(_letters(ctx, data_dir_), [number])[0]
    if raw:
        sys.stdout.buffer.write(letter.value)
        return
    headers = {name: _text(b64decode(value)) for name, value in letter.origin.headers}
    key = None if letter.origin.key is None else _text(b64decode(letter.origin.key))
    told = letter.as_json() | {"key": key, "headers": headers, "value": _text(letter.value)}
    sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def _text(raw: bytes) -> str:
    cut = f" ... {len(raw) - SHOWN_BYTES} bytes more" if len(raw) > SHOWN_BYTES else ""
    return raw[:SHOWN_BYTES].decode("utf-8", "backslashreplace") + cut


@app.command()
def replay(
    ctx: typer.Context,
    numbers: Numbers = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every one that was not sent again yet.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that were sent again before.")
    ] = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Send dead letters again, as they were, to the partitions that they lay in."""
    if bool(numbers) == everything:
        raise ProcessError("name the numbers of dead letters, or --all")
    found = _letters(ctx, data_dir_)
    picked = list(found.values()) if everything else _pick(found, numbers or [])
    done = [letter.number for letter in picked if letter.replayed_ms is not None]
    if done and not everything and not again:
        raise ProcessError(f"{', '.join(map(str, done))} went already; --again sends once more")
    wanted = [letter for letter in picked if again or letter.replayed_ms is None]
    now_ms = SystemClock().now_ms()
    messages = [message for letter in wanted for message in make_replay(letter, now_ms)]
    doors_of(ctx).send(_servers(data_dir_), messages)
    sys.stderr.write(f"sent {len(wanted)} again\n")


def _pick(found: dict[int, Letter], numbers: Sequence[int]) -> list[Letter]:
    missing = [number for number in numbers if number not in found]
    if missing:
        raise ProcessError(
            f"no dead letter {', '.join(map(str, missing))}; `crossdock dead-letters list` shows them"
        )
    return [found[number] for number in numbers]
