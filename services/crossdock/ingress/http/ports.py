"""The port to Kafka that the ingress needs; the kernel's producer and the tests' fakes have it."""

from collections.abc import Sequence
from typing import Protocol

from crossdock.kernel.process.record import Outgoing


class EventLog(Protocol):
    """Kafka, for writing."""

    async def send(self, messages: Sequence[Outgoing]) -> object:
        """Send `messages` and wait until the broker has them all.

        Raises:
            LogError: if the broker refused, or did not answer in time.
        """
