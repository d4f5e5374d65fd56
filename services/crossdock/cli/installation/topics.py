"""Kafka's records, as the commands read and send them. Each function raises LogError if Kafka does not answer."""

import asyncio
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from crossdock.kernel.drivers.kafka import open_producer, open_reader, places_of
from crossdock.kernel.drivers.kafka.tail import MAX_RECORDS, reached
from crossdock.kernel.process.record import Outgoing, Record
from crossdock_schemas.accounts.control import Change, Command
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.topics import ACCOUNT_CHANGES, ACCOUNT_SECRETS, DEAD_LETTERS

CLIENT = "crossdock.cli"


def read_dead_letters(servers: str) -> list[Record]:
    return asyncio.run(_read(servers, DEAD_LETTERS.name))


def read_sealed(servers: str) -> Mapping[str, SealedSecret]:
    """Return the encrypted BYOK keys that exist now, by id."""
    found: dict[str, SealedSecret] = {}
    for record in asyncio.run(_read(servers, ACCOUNT_SECRETS.name)):
        name = (record.key or b"").decode(errors="replace")
        found.pop(name, None)
        if record.value is not None:
            found[name] = SealedSecret.from_json(record.value)
    return found


def send(servers: str, messages: Sequence[Outgoing]) -> None:
    """Send each message after the one before was acknowledged."""
    asyncio.run(_send(servers, messages))


def apply_command(
    servers: str, message: Outgoing, command: Command, timeout_s: float
) -> Change | None:
    """Send a command to the accounts shard, and return its outcome; None: no answer within `timeout_s`."""
    return asyncio.run(_apply(servers, message, command, timeout_s))


async def _apply(
    servers: str, message: Outgoing, command: Command, timeout_s: float
) -> Change | None:
    places = await places_of(servers, ACCOUNT_CHANGES.name)
    async with open_reader(servers, places, client=CLIENT) as reader:
        for place, end in (await reader.end_offsets(places)).items():
            await reader.seek(place, end)
        await _send(servers, [message])
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for record in await reader.poll(max_records=MAX_RECORDS, timeout_ms=200):
                        change = _change_in(record)
                        if change is not None and change.change_id == command.change_id:
                            return change
        except TimeoutError:
            return None


def _change_in(record: Record) -> Change | None:
    try:
        return Change.from_json(record.value or b"")
    except ValidationError:
        return None  # of a newer version


async def _read(servers: str, topic: str) -> list[Record]:
    places = await places_of(servers, topic)
    found: list[Record] = []
    async with open_reader(servers, places, client=CLIENT) as reader:
        ends = await reader.end_offsets(places)
        while not await reached(reader, ends):
            found += await reader.poll(max_records=MAX_RECORDS, timeout_ms=200)
    return found


async def _send(servers: str, messages: Sequence[Outgoing]) -> None:
    async with open_producer(servers, client=CLIENT) as producer:
        for message in messages:
            await producer.send([message])
