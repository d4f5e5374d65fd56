"""Delayed retries: a shard that sends a record on after the delay of its topic.

Exactly once: the records sent on and the positions are one transaction. All records of a topic have the same delay, so
the first one is due first, and the waiting ones stay in Kafka.
"""

import asyncio
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.record import Outgoing, Page, Record, Step
from crossdock.kernel.requests.rejection import give_up
from crossdock.kernel.runtime.dead_letters import DeadLetters
from crossdock.kernel.runtime.shard.isolation import Applying
from crossdock.kernel.runtime.shard.spec import ShardSpec
from crossdock.provider.publisher import SOURCE
from crossdock.provider.reroute import forward, ready_ms
from crossdock_schemas.codec import MissingEnvelopeError, decode_envelope
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.topics import LATER, LATER_STATE

SPEC = ShardSpec(
    group="crossdock.later",
    sources=tuple(topic.name for topic in LATER.values()),
    state=LATER_STATE.name,
    ready_ms=ready_ms,
)


class LaterPartition:
    """Implements `Partition` of `kernel.runtime.shard`; its positions are its only state."""

    def __init__(self, clock: Clock) -> None:
        self.wake = asyncio.Event()
        self.applying: Applying = None
        self._clock = clock
        self._dead = DeadLetters("provider", clock)

    def restore(self, pages: Iterable[Page]) -> None:
        """Do nothing: there are no pages."""

    async def step(self, records: Sequence[Record]) -> Step:
        """Send `records` on."""
        now_ms = self._clock.now_ms()
        step = Step()
        for record in records:
            self.applying = record
            step.outgoing += self._forward(record, now_ms)
        self.applying = None
        return step

    def _forward(self, record: Record, now_ms: int) -> list[Outgoing]:
        try:
            parcel = decode_envelope(record.headers, Parcel)
        except (ValidationError, MissingEnvelopeError) as error:
            return self._dead.take(record, repr(error))
        self._dead.good()
        return [forward(parcel, record.value, now_ms)]

    async def set_aside(self, record: Record, error: Exception) -> list[Outgoing]:
        """Return the dead letter of a parcel, and the ends of its lines and its hold."""
        parcel = decode_envelope(record.headers, Parcel)
        ends = give_up(parcel, record.value or b"", source=SOURCE, now_ms=self._clock.now_ms())
        return [*self._dead.set_aside(record, error, is_answered=True), *ends]

    def committed(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
