"""Routes parcels: each one leaves with its plan, or is refused."""

from collections.abc import Sequence

from pydantic import ValidationError

from crossdock.kernel.drivers.kafka.producer import check_sizes
from crossdock.kernel.drivers.kafka.tail import pass_over
from crossdock.kernel.drivers.object_store import Objects
from crossdock.kernel.process import metrics
from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.errors import is_poison
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.requests.exclusion import excluded_by
from crossdock.kernel.requests.rejection import LineRefusal, end_hold, give_up, refuse
from crossdock.kernel.runtime.dead_letters import DeadLetters
from crossdock.router.policy import STALE_MS, Fleet, NoRoute, plan_route
from crossdock_schemas.calls.fleet import EndpointHealth
from crossdock_schemas.codec import MissingEnvelopeError, decode_envelope, encode_headers
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.pricing.catalogue import Catalogue
from crossdock_schemas.topics import DISPATCH, dispatch_topic

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

    def use(self, catalogue: Catalogue) -> None:
        """Route by `catalogue` from now on."""
        self._catalogue = catalogue

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
            StoreError: if the store refuses the body of a refused parcel.
            TooManyDeadLettersError: if nearly no record is a parcel.
        """
        fleet = {name: tuple(reports.values()) for name, reports in self._reports.items()}
        outgoing = []
        for record in records:
            metrics.RECORDS_POLLED.labels(record.topic).inc()
            metrics.BYTES_POLLED.labels(record.topic).inc(record.size)
            try:
                parcel = decode_envelope(record.headers, Parcel)
            except (ValidationError, MissingEnvelopeError) as error:
                outgoing += self._dead.take(record, str(error))
                continue
            self._dead.good()
            outgoing += await self._sent_or_set_aside(parcel, record, fleet)
        return outgoing

    async def _sent_or_set_aside(
        self, parcel: Parcel, record: Record, fleet: Fleet
    ) -> list[Outgoing]:
        """Route a parcel; if it is at fault, keep it as a dead letter, and end its lines and its hold."""
        try:
            sent = await self._routed(parcel, record, fleet)
            check_sizes(sent)
        except Exception as error:  # a guard: no record ends the stage
            if not is_poison(error):
                raise
            now_ms = self._clock.now_ms()
            ends = give_up(parcel, record.value or b"", source=SOURCE, now_ms=now_ms)
            return [*self._dead.set_aside(record, error, is_answered=True), *ends]
        return sent

    async def _routed(self, parcel: Parcel, record: Record, fleet: Fleet) -> list[Outgoing]:
        now_ms = self._clock.now_ms()
        if parcel.plan is not None:  # it was routed before, and keeps its plan
            return [_sent(parcel, record, now_ms)]
        plan = plan_route(
            parcel, self._catalogue, fleet, now_ms=now_ms, sick_error_rate=self._sick_error_rate
        )
        if isinstance(plan, NoRoute):
            value = await self._body(parcel, record)
            refused = refuse(parcel, value, _no_route(plan), source=SOURCE, now_ms=now_ms)
            return [*refused, *end_hold(parcel, source=SOURCE, now_ms=now_ms)]
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


def _no_route(why: NoRoute) -> LineRefusal:
    """Return the refusal of a parcel whose endpoints left the catalogue after its lines were checked."""
    message = f"No endpoint serves the model {why.model!r} for {why.operation}."
    metadata = excluded_by(why.excluded)
    return LineRefusal(404, "model_not_found", message, param="model", metadata=metadata)
