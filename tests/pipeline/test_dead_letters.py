"""What no stage can read is kept, shown and sent again, through the command line."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from crossdock.kernel.drivers.kafka import open_producer, open_reader
from crossdock.kernel.process.record import Outgoing
from support.dock import Dock, chat_lines, crossdock, until

GARBAGE = b"\x00\xffnot ours"


def dead_letters(dock: Dock, *arguments: str) -> str:
    done = crossdock("dead-letters", *arguments, "--data-dir", str(dock.data.path))
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(dock: Dock, topic: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(
        dead_letters(dock, "list", "--json", "--topic", topic)
    )
    return found


def put(dock: Dock, messages: Sequence[Outgoing]) -> None:
    async def send() -> None:
        servers = dock.addresses["KAFKA_BOOTSTRAP_SERVERS"]
        async with open_producer(servers, client="test") as producer:
            await producer.send(messages)

    asyncio.run(send())


@pytest.mark.parametrize(
    ("topic", "stages"),
    [
        ("accounts.commands", {"accounts"}),
        ("requests", {"accounts"}),
        ("admitted", {"router"}),
        ("dispatch.sim-atlas.batch", {"provider"}),
        ("batches.commands", {"batches"}),
        ("usage", {"accounts", "metering"}),
        ("later.5s", {"provider"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_that_is_none_of_ours_is_kept_whole_and_blocks_nobody(
    dock: Dock, topic: str, stages: set[str]
) -> None:
    """Each stage that reads the topic tells of it."""
    before = {letter["number"] for letter in listed(dock, topic)}

    def new() -> list[dict[str, object]]:
        return [letter for letter in listed(dock, topic) if letter["number"] not in before]

    put(dock, [Outgoing(topic, b"key", GARBAGE, [("whose", b"theirs")])])
    until(lambda: len(new()) >= len(stages), what="the dead letters")
    batch = dock.wait(dock.submit(chat_lines(50)))

    letters = new()
    number = str(letters[0]["number"])
    shown = json.loads(dead_letters(dock, "show", number))
    table = dead_letters(dock, "list")

    assert batch.status == "completed"
    assert {letter["topic"] for letter in letters} == {topic}
    assert sorted(str(letter["stage"]) for letter in letters) == sorted(stages)
    assert (shown["key"], shown["headers"]) == ("key", {"whose": "theirs"})
    assert shown["value"] == "\x00\\xffnot ours"
    assert number in table


def test_a_dead_letter_is_sent_again_as_it_was(dock: Dock) -> None:
    """It is none of ours still, so it comes back: that shows that the very bytes went the same way."""
    put(dock, [Outgoing("requests", b"again", GARBAGE, [])])
    until(lambda: numbers(dock, "again") != [], what="the dead letter")
    (number,) = numbers(dock, "again")

    dead_letters(dock, "replay", str(number))
    until(lambda: len(numbers(dock, "again")) == 2, what="its return")
    refused = crossdock("dead-letters", "replay", str(number), "--data-dir", str(dock.data.path))

    (first, second) = [letter for letter in listed(dock, "requests") if mine(dock, letter, "again")]
    assert first["replayed_at_ms"]
    assert second["replayed_at_ms"] is None
    assert first["partition"] == second["partition"]
    assert refused.returncode == 1
    assert "--again" in refused.stderr
    assert asyncio.run(last_value(dock, "requests", int(str(second["partition"])))) == GARBAGE


def numbers(dock: Dock, key: str) -> list[int]:
    found = [letter for letter in listed(dock, "requests") if mine(dock, letter, key)]
    return [int(str(letter["number"])) for letter in found]


def mine(dock: Dock, letter: dict[str, object], key: str) -> bool:
    return bool(json.loads(dead_letters(dock, "show", str(letter["number"])))["key"] == key)


async def last_value(dock: Dock, topic: str, partition: int) -> bytes | None:
    place = (topic, partition)
    servers = dock.addresses["KAFKA_BOOTSTRAP_SERVERS"]
    async with open_reader(servers, [place], client="test") as reader:
        end = (await reader.end_offsets([place]))[place]
        value = None
        while await reader.position(place) < end:
            for record in await reader.poll(max_records=500, timeout_ms=200):
                if record.key == b"again":
                    value = record.value
        return value


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay"], "or --all"),
        (["replay", "--all", "1"], "or --all"),
        (["show", "999999"], "no dead letter 999999"),
    ],
    ids=["nothing named", "both named", "unknown"],
)
def test_a_mistake_gets_one_clear_line(dock: Dock, arguments: list[str], said: str) -> None:
    done = crossdock("dead-letters", *arguments, "--data-dir", str(dock.data.path))

    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
