"""One partition of the accounts shard: it decodes records, and calls the pure core."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import structlog
from pydantic import ValidationError

from crossdock.accounts.admission.policy_check import (
    LinesVerdict,
    Permit,
    PolicyCheck,
    not_now,
    refusals,
    worst_cases,
)
from crossdock.accounts.core import AccountsCore
from crossdock.accounts.outputs import SOURCE, admitted_record, returned_record
from crossdock.kernel.drivers.object_store import Objects
from crossdock.kernel.drivers.store_retry import until_stored
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import NoSuchObjectError, StoreError
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Outgoing, Page, Record, Step
from crossdock.kernel.requests.rejection import LineRefusal, give_up, refuse
from crossdock.kernel.runtime.dead_letters import DeadLetters
from crossdock.kernel.runtime.shard.isolation import Applying
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
RETRY_S = 1.0  # after the object store refused
YIELD_EVERY = 10  # records, about 1 ms: then the transaction under way continues


class AccountsPartition:
    """Implements `kernel.runtime.shard.spec.Partition`."""

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
        self.applying: Applying = None
        self.core = AccountsCore(terms)
        self._policy_check = PolicyCheck(catalogue)
        self._objects = objects
        self._clock = clock
        self._health = health
        self._dead = DeadLetters("accounts", clock)

    def use(self, catalogue: Catalogue) -> None:
        """Admit by `catalogue` from now on."""
        self._policy_check.use(catalogue)

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
            self.applying = record
            others += self._command(record, now_ms)
        for number, record in enumerate(came[USAGE.name], 1):
            self.applying = record
            others += self._usage(record, now_ms)
            if not number % YIELD_EVERY:
                await asyncio.sleep(0)
        self.applying = None
        self.core.ledger.expire(now_ms)
        for number, record in enumerate(came[REQUESTS.name], 1):
            self.applying = record
            others += await self._request(record, now_ms)
            if not number % YIELD_EVERY:
                await asyncio.sleep(0)
        self.applying = None
        self.core.ledger.grant(now_ms)
        self.core.ledger.show(now_ms)
        step = self.core.finish()
        return Step([*step.outgoing, *others], step.pages)

    def _command(self, record: Record, now_ms: int) -> list[Outgoing]:
        try:
            command = account_command.validate_json(record.value or b"")
        except ValidationError as error:
            return self._dead.take(record, str(error))
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
            return self._dead.take(record, str(error))
        self._dead.good()
        self.core.ledger.book(group, now_ms)
        return []

    async def _request(self, record: Record, now_ms: int) -> list[Outgoing]:
        try:
            parcel = decode_envelope(record.headers, Parcel)
        except (ValidationError, MissingEnvelopeError) as error:
            return self._dead.take(record, str(error))
        self._dead.good()
        state = self.core.states.get(parcel.account)
        is_limited = bool(parcel.unknown) and self.core.is_limited(parcel, now_ms)
        verdicts = self._policy_check.check(state, parcel, is_limited=is_limited)
        return await self._admit(parcel, record, verdicts, now_ms)

    async def _admit(
        self, parcel: Parcel, record: Record, verdicts: Sequence[LinesVerdict], now_ms: int
    ) -> list[Outgoing]:
        """Send on the lines that are permitted and that the headroom covers, under one hold.

        Denied lines are refused. Lines without headroom go back to their batch; a single request is refused.
        """
        asks = parcel.asks()
        denied = refusals(verdicts, asks)
        if len(denied) == len(asks):
            return await self._deny(parcel, record, denied, now_ms)
        worst = worst_cases(verdicts, asks, denied)
        parcel = self.core.tagged(parcel)
        admitted = self.core.ledger.admit(parcel, worst, now_ms, denied)
        if admitted.is_repeated:
            log.info("parcel.repeated", parcel_id=parcel.parcel_id)
            return []
        count, reason = admitted.count, admitted.wait_reason
        started = range(count) if not denied else set(range(count)) - denied.keys()
        is_limited = admitted.hold is not None and admitted.hold.is_limited
        held = tuple(worst) if is_limited else ()
        if held != parcel.held:
            parcel = parcel.model_copy(update={"held": held})
        sent = _parts(parcel, record, verdicts, admitted.hold, started)
        if denied:
            passed = {place: why for place, why in denied.items() if place < count}
            sent += await self._deny(parcel, record, passed, now_ms)
        if reason is None:
            return sent
        if parcel.batch_id is None or parcel.position is None:
            why = not_now(reason, admitted.unit)
            return await self._refuse(parcel, record, why, now_ms)
        returned = LinesReturned(
            batch_id=parcel.batch_id,
            model=parcel.model,
            position=parcel.position + count,
            count=len(parcel.lines) - count,
            repeats={n: x for n, x in parcel.repeats.items() if n in parcel.lines[count:]},
            reason=reason,
        )
        return [*sent, returned_record(returned)]

    async def _deny(
        self, parcel: Parcel, record: Record, denied: Mapping[int, LineRefusal], now_ms: int
    ) -> list[Outgoing]:
        """Refuse the lines at these places, those with the same reason together."""
        if len(parcel.lines) == 1:  # its body may be in the object store
            (why,) = denied.values()
            return await self._refuse(parcel, record, why, now_ms)
        sent: list[Outgoing] = []
        for why in dict.fromkeys(denied.values()):
            places = [place for place, of in denied.items() if of == why]
            part, value = _part(parcel, record, places)
            sent += refuse(part, value, why, source=SOURCE, now_ms=now_ms)
        return sent

    async def _refuse(
        self, parcel: Parcel, record: Record, why: LineRefusal, now_ms: int
    ) -> list[Outgoing]:
        value = await self._body(parcel, record)
        return refuse(parcel, value, why, source=SOURCE, now_ms=now_ms)

    async def _body(self, parcel: Parcel, record: Record) -> bytes:
        """Return the lines, which contain their custom ids. If the object store refuses, wait for it."""
        reference = parcel.body_ref
        if reference is None:
            return record.value or b""
        get = partial(self._objects.get_range, reference.path, reference.start, reference.length)
        return await until_stored(get, self._health, _delayed)

    async def set_aside(self, record: Record, error: Exception) -> list[Outgoing]:
        """Return the dead letter of `record`, and the ends of its lines if it is a parcel: nothing was held for it.

        A command changes nothing: its caller gets a 503. Calls of a usage record are booked when it is replayed.
        """
        sent: list[Outgoing] = []
        if record.topic == REQUESTS.name:
            with suppress(ValidationError, MissingEnvelopeError):
                parcel = decode_envelope(record.headers, Parcel)
                value = await self._body_if_any(parcel, record)
                sent = give_up(parcel, value, source=SOURCE, now_ms=self._clock.now_ms())
        return [*self._dead.set_aside(record, error, is_answered=bool(sent)), *sent]

    async def _body_if_any(self, parcel: Parcel, record: Record) -> bytes:
        try:
            return await self._body(parcel, record)
        except NoSuchObjectError:
            return b""

    def committed(self) -> None:
        """Do nothing: the transaction contains all effects."""

    async def close(self) -> None:
        """Do nothing: no background work runs."""


def _parts(
    parcel: Parcel,
    record: Record,
    verdicts: Iterable[LinesVerdict],
    hold: Hold | None,
    started: Collection[int],
) -> list[Outgoing]:
    """Return the lines at the places `started`, one part for each verdict, all under the same `hold`.

    The first part keeps the parcel's id.
    """
    sent: list[Outgoing] = []
    for places, verdict in verdicts:
        going = [place for place in places if place in started]
        if going and isinstance(verdict, Permit):
            first, name = parcel.lines[going[0]], parcel.parcel_id
            decided = {
                "parcel_id": part_parcel_id(name, first) if sent else name,
                "hold": hold,
                "permitted": verdict.names,
                "max_tokens": verdict.bounds.max_tokens,
                "shared": verdict.shared,
                "credentials": verdict.credentials,
            }
            part, value = _part(parcel.model_copy(update=decided), record, going)
            sent.append(admitted_record(part, value, record))
    return sent


def _part(parcel: Parcel, record: Record, places: Sequence[int]) -> tuple[Parcel, bytes]:
    """Return the part of a parcel with the lines at `places`, and their bodies.

    Only a batch's parcel has several lines, and a parcel whose body is in the object store has one.
    """
    if len(places) == len(parcel.lines):
        return parcel, record.value or b""
    lines = split_lines(record.value or b"")
    is_beginning = list(places) == list(range(len(places)))
    kept = {"hold": parcel.hold} if is_beginning else {}  # its slots need not be listed
    part = parcel.part([parcel.lines[place] for place in places], **kept)
    return part, join_lines([lines[place] for place in places])


def _delayed(error: StoreError, tries: int) -> float:
    log.warning("object.refused", reason=str(error), tries=tries)
    return RETRY_S
