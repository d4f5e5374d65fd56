"""How much a test does: short in every run, in full with `--soak`."""

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

SHORT_TIMES = {
    "CROSSDOCK_SESSION_TIMEOUT_S": "3",
    "CROSSDOCK_TRANSACTION_TIMEOUT_S": "3",
    "CROSSDOCK_LEASE_S": "4",
}
"""Times of an installation whose processes die: a test waits for their order."""
STEADY_TIMES = {
    "CROSSDOCK_SESSION_TIMEOUT_S": "5",
    "CROSSDOCK_TRANSACTION_TIMEOUT_S": "5",
    "CROSSDOCK_LEASE_S": "6",
}
"""Times of workers that no test kills and that must repeat no call: a slow machine must not look like a dead one."""


@dataclass(frozen=True)
class Effort:
    """The counts of every run, and those of a soak."""

    is_soak: bool

    def __call__(self, short: T, soak: T) -> T:
        return soak if self.is_soak else short

    @property
    def steady_times(self) -> dict[str, str]:
        """The times of workers that no test kills; empty ones are the defaults."""
        return dict.fromkeys(STEADY_TIMES, "") if self.is_soak else STEADY_TIMES
