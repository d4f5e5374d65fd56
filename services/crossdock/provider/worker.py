"""Handles parcels: the lines of a parcel run side by side; lines that go on elsewhere leave as smaller parcels."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import structlog
from pydantic import ValidationError

from crossdock.kernel.drivers.object_store import Objects
from crossdock.kernel.drivers.store_retry import until_stored
from crossdock.kernel.process.backoff import backoff_s
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import (
    LeaseLostError,
    NoSuchObjectError,
    StoreError,
    UndecodableError,
    is_poison,
)
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.requests.provider_keys import KeyShapeError, read_provider_key
from crossdock.kernel.requests.rejection import give_up
from crossdock.kernel.runtime.dead_letters import DeadLetters
from crossdock.kernel.runtime.pool.claim_writer import Job
from crossdock.provider import attempt
from crossdock.provider.attempt import Attempt
from crossdock.provider.cancels import Cancels
from crossdock.provider.client import ProviderSite, removed_site
from crossdock.provider.credentials.cache import Keyring
from crossdock.provider.credentials.use import CallKey
from crossdock.provider.onward_line import OnwardLine
from crossdock.provider.publisher import SOURCE, Publisher, RecordLog
from crossdock.provider.reroute import make_onward
from crossdock.provider.usage_rows import Finished
from crossdock_schemas.calls.usage import hold_end
from crossdock_schemas.codec import MissingEnvelopeError, decode_envelope, encode_headers
from crossdock_schemas.parcel.parcel import (
    MAX_INLINE_BYTES,
    BodyRef,
    Lane,
    Parcel,
    join_lines,
    split_lines,
)
from crossdock_schemas.topics import FLEET

log: structlog.stdlib.BoundLogger = structlog.get_logger()

FLEET_S = 1.0
STORE_BASE_S = 0.5
STORE_LIMIT_S = 10.0
T = TypeVar("T")


class LineClaims(attempt.CallClaims, Protocol):
    """The part of `ClaimWriter` that a worker uses."""

    async def confirm(self, job: Job) -> None: ...

    async def end(self, lines: Iterable[tuple[Job, int]]) -> None: ...


@dataclass
class Worker:
    """Handles dispatch records for the pool."""

    sites: Mapping[str, ProviderSite]
    publisher: Publisher
    producer: RecordLog
    objects: Objects
    clock: Clock
    claims: LineClaims
    cancels: Cancels
    keyring: Keyring
    chance: random.Random
    health: Health
    draining: asyncio.Event

    def __post_init__(self) -> None:
        self._dead = DeadLetters("provider", self.clock)

    async def handle(self, job: Job) -> None:
        """Run a parcel; return when its results, usage and onward parcels are acknowledged, and its claims are ended.

        Raises:
            UndecodableError: if the record is not a parcel.
            ValueError, LookupError: if it has no plan for this attempt.
            LeaseLostError: if another worker may have taken it over.
            LogError: if Kafka refuses its outputs; the parcel is delivered again.
        """
        parcel = self._read(job.record)
        self._dead.good()
        name = parcel.candidate.provider
        site = self.sites.get(name) or removed_site(name)
        bodies = await self._lines(parcel, job.record.value or b"")
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(self._run_line(self._attempt(job, parcel, line, raw, site)))
                for line, raw in zip(parcel.lines, bodies, strict=True)
            ]
        ends = [task.result() for task in running]
        onward = [end for end in ends if isinstance(end, OnwardLine)]
        if onward:
            await self._send_on(job, parcel, onward)
        for end in ends:
            if isinstance(end, LeaseLostError):
                raise end

    async def _send_on(self, job: Job, parcel: Parcel, ends: list[OnwardLine]) -> None:
        """Send lines on, if no other worker has taken them over."""
        await self.claims.confirm(job)
        self._let_go(parcel, [end for end in ends if end.is_readmission])
        await self.publisher.settle(is_urgent=parcel.lane is Lane.REALTIME)
        await self.producer.send(make_onward(parcel, ends, self.clock.now_ms()))
        await self.claims.end((job, end.line) for end in ends)

    def _let_go(self, parcel: Parcel, ends: list[OnwardLine]) -> None:
        """End the hold of lines that go on under a new one: their last calls may have used it up."""
        for is_lost in (False, True):
            lines = [end.line for end in ends if end.is_lost is is_lost]
            if lines:
                self.publisher.end_hold(hold_end(parcel, lines, is_unknown=is_lost))

    async def dead_letter(self, record: Record, error: Exception) -> None:
        """Keep a record that cannot be read; of one that cannot be handled, end the lines and the hold too.

        Raises:
            TooManyDeadLettersError: if nearly no record is a parcel.
        """
        if isinstance(error, UndecodableError):
            await self.producer.send(self._dead.take(record, error.reason))
            return
        parcel = decode_envelope(record.headers, Parcel)
        lines = await self._lines(parcel, record.value or b"")
        now_ms = self.clock.now_ms()
        ends = give_up(parcel, join_lines(lines), source=SOURCE, now_ms=now_ms)
        await self.publisher.settle(is_urgent=True)
        await self.producer.send([*self._dead.set_aside(record, error, is_answered=True), *ends])

    @staticmethod
    def _read(record: Record) -> Parcel:
        try:
            return decode_envelope(record.headers, Parcel)
        except (ValidationError, MissingEnvelopeError) as error:
            raise UndecodableError(
                record.topic, record.partition, record.offset, repr(error)[:200]
            ) from error

    def _attempt(
        self, job: Job, parcel: Parcel, line: int, raw: bytes, site: ProviderSite
    ) -> Attempt:
        return Attempt(
            parcel=parcel,
            line=line,
            raw=raw,
            site=site,
            publisher=self.publisher,
            clock=self.clock,
            chance=self.chance,
            claims=self.claims,
            job=job,
            is_cancelled=partial(self.cancels.holds, parcel),
            find_key=partial(self._find_key, parcel, site),
            draining=self.draining,
        )

    async def _find_key(self, parcel: Parcel, site: ProviderSite) -> CallKey | None:
        """Return the key for the candidate; None if it cannot be used."""
        candidate = parcel.candidate
        byok = candidate.credential_id
        if byok is None:
            return None if site.installation_key is None else await site.use(site.installation_key)
        if self.cancels.has(byok):
            return None
        version = candidate.credential_version or 1
        secret = await self.keyring.find(parcel.account, byok, version)
        if secret is None:
            return None
        try:
            key = read_provider_key(site.provider.auth, secret.get_secret_value())
        except KeyShapeError as error:  # the catalogue changed after the key was created
            log.warning("byok.unavailable", credential_id=byok, reason=str(error))
            return None
        return await site.use(key)

    async def _run_line(self, running: Attempt) -> OnwardLine | LeaseLostError | None:
        """Run a line; return None once its end is published and claimed, or how it continues."""
        job, line, earlier = running.job, running.line, running.job.earlier
        if earlier is not None and line in earlier.ended:
            if running.book_lapsed():  # another worker began it after its end, and did not end it
                await self.publisher.settle(is_urgent=False)
                await self.claims.end([(job, line)])
            return None
        try:
            end = await running.run()
        except LeaseLostError as error:
            return error  # the calls of the other lines are paid for: they go on
        except Exception as error:  # a guard: no line ends the process, or the other lines
            if not is_poison(error):
                raise
            log.exception("line.failed", request_id=running.request_id)
            end = running.give_up()
        if isinstance(end, OnwardLine):
            return end
        await self.publisher.finish([await self._within_limits(end)])
        await self.claims.end([(job, line)])
        return None

    async def _lines(self, parcel: Parcel, value: bytes) -> list[bytes]:
        """Return the lines; if their number is not the envelope's, empty ones, which fail visibly."""
        reference = parcel.body_ref
        lines = split_lines(value) if reference is None else [await self._fetch(reference)]
        if len(lines) == len(parcel.lines):
            return lines
        log.error("parcel.mismatched", parcel_id=parcel.parcel_id, lines=len(parcel.lines))
        return [b""] * len(parcel.lines)

    async def _fetch(self, reference: BodyRef) -> bytes:
        get = partial(self.objects.get_range, reference.path, reference.start, reference.length)
        try:
            return await self._until_stored(get, reference.path)
        except NoSuchObjectError:
            return b""

    async def _within_limits(self, end: Finished) -> Finished:
        """Put a line that is too large for a topic into the object store."""
        if len(end.line) <= MAX_INLINE_BYTES:
            return end
        path = f"results/{end.result.request_id}/{end.result.attempts}-{self.claims.claim}"
        await self._until_stored(lambda: self.objects.put(path, end.line), path)
        reference = BodyRef(path=path, start=0, length=len(end.line))
        return Finished(end.parcel, end.result.model_copy(update={"body_ref": reference}), b"")

    async def _until_stored(self, ask: Callable[[], Awaitable[T]], path: str) -> T:
        def refused(error: StoreError, tries: int) -> float:
            log.warning("object.refused", path=path, tries=tries, reason=str(error))
            return backoff_s(tries, base_s=STORE_BASE_S, limit_s=STORE_LIMIT_S, chance=self.chance)

        return await until_stored(ask, self.health, refused)

    async def report(self, worker: str) -> None:
        """Report the health of the endpoints to the routers, until cancelled."""
        while True:
            await asyncio.sleep(FLEET_S)
            await self.producer.send(self.news(worker))

    def news(self, worker: str) -> list[Outgoing]:
        """Return the health of the endpoints that were called since the last report."""
        now_ms = self.clock.now_ms()
        return [
            Outgoing(
                FLEET.name,
                f"{health.name}/{worker}".encode(),
                health.to_json(),
                encode_headers(FLEET, SOURCE, health.endpoint, now_ms, None),
            )
            for site in self.sites.values()
            for health in site.news(worker, now_ms)
        ]
