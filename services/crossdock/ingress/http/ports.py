"""What ingress needs of the world; the kernel's classes fit, and so do the tests' fakes."""

from collections.abc import Sequence
from typing import Protocol

from crossdock.kernel.process.record import Outgoing


class Log(Protocol):
    """Kafka, for writing."""

    async def send(self, messages: Sequence[Outgoing]) -> object:
        """Send `messages` and wait until the broker has them all.

        Raises:
            LogError: if the broker refused, or did not answer in time.
        """
