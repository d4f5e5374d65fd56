"""A parcel in a worker: its lines run side by side; those that must go elsewhere leave as smaller parcels."""

import asyncio
import random
from collections.abc import Mapping, Sequence

import structlog
from pydantic import ValidationError

from crossdock.kernel.backoff import backoff_s
from crossdock.kernel.clock import Clock
from crossdock.kernel.errors import NoSuchObjectError, StoreError, UndecodableError
from crossdock.kernel.objects import Objects
from crossdock.kernel.record import Outgoing, Record
from crossdock.provider.attempt import Attempt, Onward
from crossdock.provider.endpoint import ProviderSite
from crossdock.provider.publish import SOURCE, Finished, Log, Publisher
from crossdock_schemas.codec import MissingEnvelopeError, decode_envelope, encode_headers
from crossdock_schemas.ids import fallback_parcel_id
from crossdock_schemas.parcel import (
    MAX_INLINE_BYTES,
    BodyRef,
    Lane,
    Parcel,
    join_lines,
    split_lines,
)
from crossdock_schemas.topics import DISPATCH, FLEET, dispatch_topic

log: structlog.stdlib.BoundLogger = structlog.get_logger()

FLEET_S = 1.0
STORE_TRIES = 5
STORE_BACKOFF_S = 1.0


class Worker:
    """Handles dispatch records for the pool."""

    def __init__(
        self,
        sites: Mapping[str, ProviderSite],
        publisher: Publisher,
        producer: Log,
        objects: Objects,
        clock: Clock,
        *,
        claim: str,
        chance: random.Random,
        draining: asyncio.Event | None = None,
    ) -> None:
        self._sites = sites
        self._publisher = publisher
        self._producer = producer
        self._objects = objects
        self._clock = clock
        self._claim = claim
        self._chance = chance
        self._draining = draining or asyncio.Event()

    async def handle(self, record: Record) -> None:
        """Run a parcel; returns when its results, its usage and what goes elsewhere are acknowledged.

        Raises:
            UndecodableError: if the record is no parcel of ours.
            LogError, StoreError: if it cannot be ended; the parcel is delivered again.
        """
        parcel, site = self._read(record)
        lines = await self._lines(parcel, record.value or b"")
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(self._run_line(parcel, line, raw, site))
                for line, raw in zip(parcel.lines, lines, strict=True)
            ]
        onward = [end for task in running if (end := task.result()) is not None]
        if onward:
            await self._publisher.settle(is_urgent=parcel.lane is Lane.REALTIME)
            await self._send_onward(parcel, onward)

    def _read(self, record: Record) -> tuple[Parcel, ProviderSite]:
        try:
            parcel = decode_envelope(record.headers, Parcel)
            return parcel, self._sites[parcel.candidate.provider]
        except (ValidationError, MissingEnvelopeError, ValueError, LookupError) as error:
            raise UndecodableError(
                record.topic, record.partition, record.offset, repr(error)[:200]
            ) from error

    async def _run_line(
        self, parcel: Parcel, line: int, raw: bytes, site: ProviderSite
    ) -> Onward | None:
        """Run a line; returns None once its end is published, or how it goes on."""
        attempt = Attempt(
            parcel=parcel,
            line=line,
            raw=raw,
            site=site,
            publisher=self._publisher,
            clock=self._clock,
            chance=self._chance,
            claim=self._claim,
            draining=self._draining,
        )
        end = await attempt.run()
        if isinstance(end, Onward):
            return end
        await self._publisher.finish([await self._within_limits(end)])
        return None

    async def _lines(self, parcel: Parcel, value: bytes) -> list[bytes]:
        """Return the lines; empty ones, which fail visibly, where the value does not hold what the envelope says."""
        reference = parcel.body_ref
        lines = split_lines(value) if reference is None else [await self._fetch(reference)]
        if len(lines) == len(parcel.lines):
            return lines
        log.error("parcel.mismatched", parcel_id=parcel.parcel_id, lines=len(parcel.lines))
        return [b""] * len(parcel.lines)

    async def _fetch(self, reference: BodyRef) -> bytes:
        for attempt in range(1, STORE_TRIES):
            try:
                return await self._objects.get_range(
                    reference.path, reference.start, reference.length
                )
            except NoSuchObjectError:
                return b""
            except StoreError as error:
                log.warning("object.unread", path=reference.path, reason=str(error))
            wait_s = backoff_s(attempt, base_s=STORE_BACKOFF_S, limit_s=10.0, chance=self._chance)
            await asyncio.sleep(wait_s)
        return await self._objects.get_range(reference.path, reference.start, reference.length)

    async def _within_limits(self, end: Finished) -> Finished:
        """A line too large for a topic goes by reference."""
        if len(end.line) <= MAX_INLINE_BYTES:
            return end
        path = f"results/{end.result.request_id}/{end.result.attempts}-{self._claim}"
        await self._objects.put(path, end.line)
        reference = BodyRef(path=path, start=0, length=len(end.line))
        return Finished(end.parcel, end.result.model_copy(update={"body_ref": reference}), b"")

    async def _send_onward(self, parcel: Parcel, ends: Sequence[Onward]) -> None:
        alike: dict[tuple[int, int], list[Onward]] = {}
        for end in ends:
            alike.setdefault((end.attempt, end.calls_made), []).append(end)
        await self._producer.send([self._onward(parcel, group) for group in alike.values()])

    def _onward(self, parcel: Parcel, ends: Sequence[Onward]) -> Outgoing:
        attempt = ends[0].attempt
        onward = parcel.model_copy(
            update={
                "parcel_id": fallback_parcel_id(parcel.parcel_id, attempt, ends[0].line),
                "lines": tuple(end.line for end in ends),
                "attempt": attempt,
                "calls_made": ends[0].calls_made,
                "input_bytes": sum(len(end.raw) for end in ends),
            }
        )
        topic = dispatch_topic(onward.candidate.provider, onward.lane)
        headers = encode_headers(DISPATCH, SOURCE, onward.parcel_id, self._clock.now_ms(), onward)
        value = b"" if parcel.body_ref else join_lines([end.raw for end in ends])
        event = "parcel.handed_back" if attempt == parcel.attempt else "parcel.fell_back"
        log.info(event, parcel_id=onward.parcel_id, lines=len(ends), topic=topic)
        return Outgoing(topic, onward.parcel_id.encode(), value, headers)

    async def report(self, worker: str) -> None:
        """Tell the routers how the endpoints fare, until cancelled."""
        while True:
            await asyncio.sleep(FLEET_S)
            await self._producer.send(self.news(worker))

    def news(self, worker: str) -> list[Outgoing]:
        """Return how the endpoints fare that were called since the last time."""
        now_ms = self._clock.now_ms()
        return [
            Outgoing(
                FLEET.name,
                f"{health.endpoint}/{worker}".encode(),
                health.to_json(),
                encode_headers(FLEET, SOURCE, health.endpoint, now_ms, None),
            )
            for site in self._sites.values()
            for health in site.news(worker, now_ms)
        ]
