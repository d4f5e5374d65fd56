"""Delayed retries: a shard that sends a record on after the delay of its topic.

Exactly once: the records sent on and the positions are one transaction. All records of a topic have the same delay, so
the first one is due first, and the waiting ones stay in Kafka.
"""

import asyncio
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from crossdock.kernel.process.clock import Clock
from crossdock.kernel.process.record import Outgoing, Page, Record, Step
from crossdock.kernel.runtime.dead_letters import DeadLetters
from crossdock.kernel.runtime.shard.shard import ShardSpec
from crossdock.provider.reroute import forward, ready_ms
from crossdock_schemas.codec import MissingEnvelopeError
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
        self._clock = clock
        self._dead = DeadLetters("provider", clock)

    def restore(self, pages: Iterable[Page]) -> None:
        """Do nothing: there are no pages."""

    async def step(self, records: Sequence[Record]) -> Step:
        """Send `records` on."""
        now_ms = self._clock.now_ms()
        return Step([self._forward(record, now_ms) for record in records], [])

    def _forward(self, record: Record, now_ms: int) -> Outgoing:
        try:
            sent = forward(record, now_ms)
        except (ValidationError, MissingEnvelopeError, ValueError, LookupError) as error:
            return self._dead.take(record, repr(error))
        self._dead.good()
        return sent

    def committed(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
