"""crossdock dead-letters: list, show, replay. A dead letter is a record that a stage could not handle."""

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

from crossdock.cli.shared.doors import doors_of
from crossdock.cli.shared.installation import DataDirOption, address, reached
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_json, show_rows
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.process.record import Outgoing, Record
from crossdock_schemas.codec import MissingEnvelopeError, decode_envelope, encode_headers
from crossdock_schemas.dead_letter import DeadLetter
from crossdock_schemas.topics import DEAD_LETTERS

app = typer.Typer(
    help="Show records that a stage could not handle, and replay them.", no_args_is_help=True
)
Numbers = Annotated[
    list[int] | None, typer.Argument(help="Their numbers, see `list`.", metavar="[NUMBER]...")
]
COLUMNS = ("number", "at", "stage", "topic", "partition", "offset", "bytes", "state", "reason")
PARTITION = 0
SOURCE = "crossdock/cli"
SHOWN_BYTES = 4096


@dataclass
class Letter:
    """A dead letter. Its number is its offset in the topic of dead letters."""

    number: int
    origin: DeadLetter
    value: bytes
    replayed_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "replayed_at_ms": self.replayed_ms} | self.origin.model_dump(
            exclude={"key", "headers"}
        )


def collect(records: Sequence[Record]) -> dict[int, Letter]:
    """Return the dead letters by number, with the time of their last replay."""
    letters: dict[int, Letter] = {}
    begun: dict[tuple[str, bytes | None], list[Record]] = {}
    for record in records:
        try:
            origin = decode_envelope(record.headers, DeadLetter)
        except (MissingEnvelopeError, ValidationError):
            continue  # not written by a stage
        if origin.parts > 1 and origin.replay_of is None:
            parts = begun.setdefault((origin.stage, record.key), [])
            parts[origin.part :] = [
                record
            ]  # a stage that was killed begins again with the first part
            if len(parts) == origin.parts:
                letters[parts[0].offset] = _joined(parts)
        elif origin.replay_of is None:
            letters[record.offset] = Letter(record.offset, origin, record.value or b"")
        elif origin.replay_of in letters:
            letters[origin.replay_of].replayed_ms = origin.at_ms
    return letters


def _joined(parts: Sequence[Record]) -> Letter:
    content = b"".join(part.value or b"" for part in parts)
    origin, _, value = content.partition(b"\n")
    return Letter(parts[0].offset, DeadLetter.from_json(origin), value)


def make_replay(letter: Letter, now_ms: int) -> list[Outgoing]:
    """Return the original record for its partition, and a note that it was replayed.

    Raises:
        ProcessError: if the dead letter has only a part of it.
    """
    origin = letter.origin
    if origin.is_answered:
        raise ProcessError(
            f"cannot replay {letter.number}: its requests ended with an error, so send them again as new requests"
        )
    if origin.cut_bytes:
        raise ProcessError(
            f"cannot replay {letter.number}: its last {origin.cut_bytes} bytes were cut off"
        )
    headers = [(name, b64decode(value)) for name, value in origin.headers]
    key = None if origin.key is None else b64decode(origin.key)
    value = None if origin.is_tombstone else letter.value
    mark = {"replay_of": letter.number, "at_ms": now_ms, "key": None, "headers": ()}
    note = origin.model_copy(update=mark)
    note_headers = encode_headers(DEAD_LETTERS, SOURCE, str(letter.number), now_ms, note)
    return [
        Outgoing(origin.topic, key, value, headers, origin.partition),
        Outgoing(DEAD_LETTERS.name, str(letter.number).encode(), b"", note_headers, PARTITION),
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
    """List dead letters, oldest first, with their place and the reason."""
    found = [
        letter
        for letter in _letters(ctx, data_dir_).values()
        if topic in {None, letter.origin.topic}
    ]
    if as_json:
        show_json([letter.as_json() for letter in found])
    elif found:
        show_rows(COLUMNS, [_row(letter) for letter in found], folded="reason")
    else:
        sys.stderr.write("no dead letters\n")


def _row(letter: Letter) -> list[object]:
    origin = letter.origin
    at = datetime.fromtimestamp(origin.at_ms / 1000, UTC)
    state = "answered" if origin.is_answered else "kept"
    state = state if letter.replayed_ms is None else "replayed"
    return [
        letter.number, f"{at:%Y-%m-%d %H:%M:%S}", origin.stage, origin.topic, origin.partition, origin.offset,
        len(letter.value), state, origin.reason.splitlines()[0] if origin.reason else "",
    ]  # fmt: skip


@app.command()
def show(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="Its number, see `list`.")],
    raw: Annotated[bool, typer.Option("--raw", help="Only its bytes, unchanged.")] = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Show a dead letter: origin, reason, key, headers, bytes."""
    letter = _pick(_letters(ctx, data_dir_), [number])[0]
    if raw:
        sys.stdout.buffer.write(letter.value)
        return
    headers = {name: _text(b64decode(value)) for name, value in letter.origin.headers}
    key = None if letter.origin.key is None else _text(b64decode(letter.origin.key))
    shown = letter.as_json() | {"key": key, "headers": headers, "value": _text(letter.value)}
    sys.stdout.write(json.dumps(shown, indent=1, ensure_ascii=False) + "\n")


def _text(raw: bytes) -> str:
    cut = f" ... {len(raw) - SHOWN_BYTES} more bytes" if len(raw) > SHOWN_BYTES else ""
    return raw[:SHOWN_BYTES].decode("utf-8", "backslashreplace") + cut


@app.command()
def replay(
    ctx: typer.Context,
    numbers: Numbers = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="All that were not replayed yet, and whose requests did not end."
        ),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that were replayed before.")
    ] = False,
    data_dir_: DataDirOption = None,
) -> None:
    """Send the original records again, to their partitions."""
    if bool(numbers) == everything:
        raise ProcessError("pass the numbers of dead letters, or --all")
    found = _letters(ctx, data_dir_)
    all_open = [letter for letter in found.values() if not letter.origin.is_answered]
    picked = all_open if everything else _pick(found, numbers or [])
    done = [letter.number for letter in picked if letter.replayed_ms is not None]
    if done and not everything and not again:
        raise ProcessError(
            f"already replayed: {', '.join(map(str, done))}; pass --again to replay them once more"
        )
    wanted = [letter for letter in picked if again or letter.replayed_ms is None]
    now_ms = SystemClock().now_ms()
    messages = [message for letter in wanted for message in make_replay(letter, now_ms)]
    doors_of(ctx).send(_servers(data_dir_), messages)
    sys.stderr.write(f"replayed {len(wanted)}\n")


def _pick(found: dict[int, Letter], numbers: Sequence[int]) -> list[Letter]:
    missing = [number for number in numbers if number not in found]
    if missing:
        raise ProcessError(
            f"no dead letter {', '.join(map(str, missing))}: see `crossdock dead-letters list`"
        )
    return [found[number] for number in numbers]
