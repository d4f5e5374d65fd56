"""Routes parcels: each one leaves with its plan, or is refused."""

from collections.abc import Sequence

from pydantic import ValidationError

from crossdock.kernel.drivers.object_store import Objects
from crossdock.kernel.process import metrics
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.requests.exclusion import excluded_by
from crossdock.kernel.requests.rejection import LineRefusal, refuse
from crossdock.kernel.runtime.dead_letters import DeadLetters, pass_over
from crossdock.router.policy import STALE_MS, Fleet, NoRoute, plan_route
from crossdock_schemas.calls.fleet import EndpointHealth
from crossdock_schemas.calls.usage import UsageGroup, hold_end
from crossdock_schemas.codec import MissingEnvelopeError, decode_envelope, encode_headers
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.pricing.catalogue import Catalogue
from crossdock_schemas.topics import DISPATCH, USAGE, dispatch_topic

SOURCE = "crossdock/router"
MAX_REPORTS = 10_000  # endpoints and BYOK keys with a health report, before stale ones are dropped


class Router:
    """Routes parcels by the catalogue and the health reports of the fleet."""

    def __init__(
        self,
        catalogue: Catalogue,
        objects: Objects,
        clock: Clock,
        *,
        sick_error_rate: float,
        max_reports: int = MAX_REPORTS,
    ) -> None:
        self._catalogue = catalogue
        self._objects = objects
        self._clock = clock
        self._sick_error_rate = sick_error_rate
        self._dead = DeadLetters("router", clock)
        self._reports: dict[str, dict[str, EndpointHealth]] = {}
        self._max_reports = self._most = max_reports

    def observe(self, record: Record) -> None:
        """Apply a report of a provider worker."""
        try:
            health = EndpointHealth.from_json(record.value or b"")
        except ValidationError as error:
            pass_over(record, error)
            return
        self._reports.setdefault(health.name, {})[health.worker] = health
        if len(self._reports) > self._most:
            self._forget_stale()

    def _forget_stale(self) -> None:
        """Drop the reports on endpoints and BYOK keys that are not called any more."""
        now_ms = self._clock.now_ms()
        for name, reports in list(self._reports.items()):
            if all(now_ms - one.at_ms > STALE_MS for one in reports.values()):
                del self._reports[name]
        self._most = max(self._max_reports, 2 * len(self._reports))

    async def route(self, records: Sequence[Record]) -> list[Outgoing]:
        """Return the records that send each parcel on.

        Raises:
            StoreError: if the body of a refused parcel cannot be read.
            TooManyDeadLettersError: if nearly no record is a parcel.
        """
        fleet = {name: tuple(reports.values()) for name, reports in self._reports.items()}
        outgoing = []
        for record in records:
            metrics.RECORDS_POLLED.labels(record.topic).inc()
            metrics.BYTES_POLLED.labels(record.topic).inc(record.size)
            try:
                outgoing += await self._routed(record, fleet)
            except (ValueError, MissingEnvelopeError) as error:
                outgoing.append(self._dead.take(record, str(error)))
            else:
                self._dead.good()
        return outgoing

    async def _routed(self, record: Record, fleet: Fleet) -> list[Outgoing]:
        parcel = decode_envelope(record.headers, Parcel)
        now_ms = self._clock.now_ms()
        if parcel.plan is not None:  # it was routed before, and keeps its plan
            return [_sent(parcel, record, now_ms)]
        plan = plan_route(
            parcel, self._catalogue, fleet, now_ms=now_ms, sick_error_rate=self._sick_error_rate
        )
        if isinstance(plan, NoRoute):
            value = await self._body(parcel, record)
            refused = refuse(parcel, value, _no_route(plan), source=SOURCE, now_ms=now_ms)
            return [refused, *_ended(parcel, now_ms)]
        return [_sent(parcel.model_copy(update={"plan": plan}), record, now_ms)]

    async def _body(self, parcel: Parcel, record: Record) -> bytes:
        reference = parcel.body_ref
        if reference is None:
            return record.value or b""
        return await self._objects.get_range(reference.path, reference.start, reference.length)


def _sent(parcel: Parcel, record: Record, now_ms: int) -> Outgoing:
    topic = dispatch_topic(parcel.candidate.provider, parcel.lane)
    headers = encode_headers(DISPATCH, SOURCE, parcel.parcel_id, now_ms, parcel)
    return Outgoing(topic, record.key, record.value, headers)


def _ended(parcel: Parcel, now_ms: int) -> list[Outgoing]:
    """Return the record that ends the hold of `parcel`."""
    if parcel.hold is None:
        return []
    group = UsageGroup(executions=(), ended=(hold_end(parcel, parcel.lines),))
    headers = encode_headers(USAGE, SOURCE, parcel.parcel_id, now_ms, None)
    return [Outgoing(USAGE.name, parcel.account.encode(), group.to_json(), headers)]


def _no_route(why: NoRoute) -> LineRefusal:
    """Return the refusal of a parcel whose endpoints left the catalogue after its lines were checked."""
    message = f"No endpoint serves the model {why.model!r} for {why.operation}."
    metadata = excluded_by(why.excluded)
    return LineRefusal(404, "model_not_found", message, param="model", metadata=metadata)
