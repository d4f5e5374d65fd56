"""How much a test does: short in every run, in full with `--soak`."""

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

SHORT_TIMES = {
    "CROSSDOCK_SESSION_TIMEOUT_S": "3",
    "CROSSDOCK_TRANSACTION_TIMEOUT_S": "3",
    "CROSSDOCK_LEASE_S": "4",
}
"""Of an installation whose processes die: what a test waits for is their order."""
STEADY_TIMES = {
    "CROSSDOCK_SESSION_TIMEOUT_S": "5",
    "CROSSDOCK_TRANSACTION_TIMEOUT_S": "5",
    "CROSSDOCK_LEASE_S": "6",
}
"""Of workers that nobody kills and whose calls must not be repeated: a slow machine must not look like a dead one."""


@dataclass(frozen=True)
class Effort:
    """What every run does, and what a soak does."""

    is_soak: bool

    def __call__(self, short: T, soak: T) -> T:
        return soak if self.is_soak else short

    @property
    def steady_times(self) -> dict[str, str]:
        """The times of workers that nobody kills; empty ones are the defaults."""
        return dict.fromkeys(STEADY_TIMES, "") if self.is_soak else STEADY_TIMES
