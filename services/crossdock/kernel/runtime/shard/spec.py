"""A shard stage: its settings, and the interface of its partitions."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from crossdock.kernel.process.record import Outgoing, Page, Record, Step
from crossdock.kernel.runtime.shard.delay_queue import ReadyMs
from crossdock.kernel.runtime.shard.isolation import Applying

PACE_S = 0.08  # between two transactions under load: without a pause each costs 25 ms, with it 3.5


class Partition(Protocol):
    """A stage's shard of one partition: its pure core, and the side effects around it."""

    wake: asyncio.Event
    """Set when there is something to apply that did not come from Kafka."""
    applying: Applying
    """The record that a step is applying: it is at fault if the step fails."""

    def restore(self, pages: Iterable[Page]) -> None:
        """Take over the state of the last owner."""

    async def step(self, records: Sequence[Record]) -> Step:
        """Apply `records` in order, and all else that is due. Write here all that must be durable before the commit."""

    async def set_aside(self, record: Record, error: Exception) -> list[Outgoing]:
        """Return the dead letter of a record that made a step fail, and what else ends its work.

        It changes no state: the record was never applied.
        """

    def committed(self) -> None:
        """Begin the effects of the last step, which is visible now."""

    async def close(self) -> None:
        """End all background work."""


@dataclass(frozen=True)
class ShardSpec:
    """A shard stage: its group, the topics that it reads (with equal partition counts) and its state topic."""

    group: str
    sources: tuple[str, ...]
    state: str
    ready_ms: ReadyMs | None = None
    """If set, a record is applied at that time, in unix ms, and not before."""
    is_ahead: bool = False
    """A step is computed while the last one is committed: for stages whose steps have no side effects."""
    quick_s: float = PACE_S
    """Between two transactions if few records come (for stages whose callers wait), or if a backlog fills polls."""
