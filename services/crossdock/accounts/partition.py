"""One partition of the accounts shard: the pure core, and the decoding around it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from functools import partial

import structlog
from pydantic import ValidationError

from crossdock.accounts.admission.policy_check import (
    Admission,
    Answer,
    Permit,
    not_now,
    refusals,
    worst_cases,
)
from crossdock.accounts.core import AccountsCore
from crossdock.accounts.outputs import SOURCE, admitted_record, returned_record
from crossdock.kernel.drivers.object_store import Objects
from crossdock.kernel.drivers.store_retry import until_stored
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import StoreError
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Outgoing, Page, Record, Step
from crossdock.kernel.requests.rejection import Refusal, refuse
from crossdock.kernel.runtime.dead_letters import DeadLetters
from crossdock_schemas.accounts.control import account_command
from crossdock_schemas.accounts.credit import Terms
from crossdock_schemas.batches.batch import LinesReturned
from crossdock_schemas.calls.usage import ChargeGroup
from crossdock_schemas.codec import MissingEnvelopeError, decode_envelope
from crossdock_schemas.ids import part_parcel_id
from crossdock_schemas.parcel.parcel import Hold, Parcel, join_lines, split_lines
from crossdock_schemas.pricing.catalogue import Catalogue
from crossdock_schemas.topics import ACCOUNT_COMMANDS, REQUESTS, USAGE

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SOURCES = (ACCOUNT_COMMANDS, USAGE, REQUESTS)
"""What it reads."""
RETRY_S = 1.0  # the object store refused
BREATH = 10  # records, about 1 ms: then the transaction under way goes on


class AccountsPartition:
    """Implements `kernel.shard.Partition`."""

    def __init__(
        self,
        catalogue: Catalogue,
        objects: Objects,
        clock: Clock,
        *,
        health: Health,
        terms: Terms | None = None,
    ) -> None:
        self.wake = asyncio.Event()
        self.core = AccountsCore(terms)
        self._admission = Admission(catalogue)
        self._objects = objects
        self._clock = clock
        self._health = health
        self._dead = DeadLetters("accounts", clock)

    def restore(self, pages: Iterable[Page]) -> None:
        self.core.restore(pages)

    async def step(self, records: Sequence[Record]) -> Step:
        """Apply the commands in order, book what calls cost, then admit or refuse the requests.

        Raises:
            TooManyDeadLettersError: if nearly no record can be read.
        """
        now_ms = self._clock.now_ms()
        others: list[Outgoing] = []
        came: dict[str, list[Record]] = {topic.name: [] for topic in SOURCES}
        for record in records:
            came[record.topic].append(record)
        for record in came[ACCOUNT_COMMANDS.name]:
            others += self._command(record, now_ms)
        async for some in _unhurried(came[USAGE.name]):
            for record in some:
                others += self._usage(record, now_ms)
        self.core.money.expire(now_ms)
        async for some in _unhurried(came[REQUESTS.name]):
            for record in some:
                others += await self._request(record, now_ms)
        self.core.money.grant(now_ms)
        self.core.money.tell(now_ms)
        step = self.core.finish()
        return Step([*step.outgoing, *others], step.pages)

    def _command(self, record: Record, now_ms: int) -> list[Outgoing]:
        try:
            command = account_command.validate_json(record.value or b"")
        except ValidationError as error:
            return [self._dead.take(record, str(error))]
        self._dead.good()
        change = self.core.apply(command, now_ms)
        log.info(
            "account.changed",
            account=change.account,
            number=change.number,
            action=change.action,
            target=change.target,
            actor=change.actor,
            refusal=change.refusal,
        )
        return []

    def _usage(self, record: Record, now_ms: int) -> list[Outgoing]:
        try:
            group = ChargeGroup.from_json(record.value or b"")
        except ValidationError as error:
            return [self._dead.take(record, str(error))]
        self._dead.good()
        self.core.money.book(group, now_ms)
        return []

    async def _request(self, record: Record, now_ms: int) -> list[Outgoing]:
        try:
            parcel = decode_envelope(record.headers, Parcel)
            answers = self._admission.admit(self.core.states.get(parcel.account), parcel)
            sent = await self._admit(parcel, record, answers, now_ms)
        except (ValueError, MissingEnvelopeError) as error:
            return [self._dead.take(record, str(error))]
        self._dead.good()
        return sent

    async def _admit(
        self, parcel: Parcel, record: Record, answers: Sequence[Answer], now_ms: int
    ) -> list[Outgoing]:
        """Send on the lines that may go on and that there is money for, under one hold.

        What is denied is refused; what there is no money for goes back to its batch, or is refused.
        """
        asks = parcel.asks()
        denied = refusals(answers, asks)
        if len(denied) == len(asks):
            return await self._deny(parcel, record, denied, now_ms)
        worst = worst_cases(answers, asks, denied)
        parcel = self.core.tagged(parcel)
        said = self.core.money.admit(parcel, worst, now_ms, denied)
        if said.is_repeated:
            log.info("parcel.repeated", parcel_id=parcel.parcel_id)
            return []
        begun = range(said.count) if not denied else set(range(said.count)) - denied.keys()
        sent = _parted(parcel, record, answers, said.hold, begun)
        if denied:
            passed = {place: why for place, why in denied.items() if place < said.count}
            sent += await self._deny(parcel, record, passed, now_ms)
        if said.shortage is None:
            return sent
        if parcel.batch_id is None or parcel.position is None:
            return [await self._refuse(parcel, record, not_now(said.shortage, said.unit), now_ms)]
        returned = LinesReturned(
            batch_id=parcel.batch_id,
            model=parcel.model,
            position=parcel.position + said.count,
            count=len(parcel.lines) - said.count,
            repeats={n: x for n, x in parcel.repeats.items() if n in parcel.lines[said.count :]},
            reason=said.shortage,
        )
        return [*sent, returned_record(returned)]

    async def _deny(
        self, parcel: Parcel, record: Record, denied: Mapping[int, Refusal], now_ms: int
    ) -> list[Outgoing]:
        """Refuse the lines at these places, those of one reason together."""
        if len(parcel.lines) == 1:  # its body may lie elsewhere
            return [await self._refuse(parcel, record, why, now_ms) for why in denied.values()]
        sent = []
        for why in dict.fromkeys(denied.values()):
            places = [place for place, of in denied.items() if of == why]
            part, value = _some(parcel, record, places)
            sent.append(refuse(part, value, why, source=SOURCE, now_ms=now_ms))
        return sent

    async def _refuse(self, parcel: Parcel, record: Record, why: Refusal, now_ms: int) -> Outgoing:
        value = await self._body(parcel, record)
        return refuse(parcel, value, why, source=SOURCE, now_ms=now_ms)

    async def _body(self, parcel: Parcel, record: Record) -> bytes:
        """Return the lines, for their callers' own ids; a store that refuses is waited for."""
        reference = parcel.body_ref
        if reference is None:
            return record.value or b""
        get = partial(self._objects.get_range, reference.path, reference.start, reference.length)
        return await until_stored(get, self._health, _delayed)

    def committed(self) -> None:
        """Nothing follows: what was decided is all in the transaction."""

    async def close(self) -> None:
        """Nothing runs in the background."""


async def _unhurried(records: Sequence[Record]) -> AsyncIterator[Sequence[Record]]:
    """Yield `records`, some at a time, and let the transaction under way go on in between."""
    for first in range(0, len(records), BREATH):
        if first:
            await asyncio.sleep(0)
        yield records[first : first + BREATH]


def _parted(
    parcel: Parcel,
    record: Record,
    answers: Iterable[Answer],
    hold: Hold | None,
    begun: Collection[int],
) -> list[Outgoing]:
    """Return the lines at the places `begun` on their way: those of one answer together, under the `hold` of all.

    The first of them keep the parcel's id.
    """
    sent: list[Outgoing] = []
    for places, said in answers:
        going = [place for place in places if place in begun]
        if going and isinstance(said, Permit):
            first, name = parcel.lines[going[0]], parcel.parcel_id
            decided = {
                "parcel_id": part_parcel_id(name, first) if sent else name,
                "hold": hold,
                "permitted": said.names,
                "max_tokens": said.bounds.max_tokens,
                "shared": said.shared,
                "credentials": said.credentials,
            }
            part, value = _some(parcel.model_copy(update=decided), record, going)
            sent.append(admitted_record(part, value, record))
    return sent


def _some(parcel: Parcel, record: Record, places: Sequence[int]) -> tuple[Parcel, bytes]:
    """Return the part of a parcel with the lines at `places`, and their bodies.

    Only a batch's parcel has more than one line, and one whose body lies elsewhere has one.
    """
    if len(places) == len(parcel.lines):
        return parcel, record.value or b""
    lines = split_lines(record.value or b"")
    is_beginning = list(places) == list(range(len(places)))
    kept = {"hold": parcel.hold} if is_beginning else {}  # its slots need not be told
    part = parcel.part([parcel.lines[place] for place in places], **kept)
    return part, join_lines([lines[place] for place in places])


def _delayed(error: StoreError, tries: int) -> float:
    log.warning("object.refused", reason=str(error), tries=tries)
    return RETRY_S
