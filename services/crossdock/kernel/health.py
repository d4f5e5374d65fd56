"""What a process says of itself: why it is not ready, how far it lags, and a few numbers of its own."""

from collections.abc import Callable
from typing import Any

Numbers = Callable[[], dict[str, Any]]


class Health:
    """Ready when no reason against it stands."""

    def __init__(self, stage: str, ordinal: int) -> None:
        self.stage = stage
        self.ordinal = ordinal
        self._reasons: dict[str, str] = {"start": "starting"}
        self._numbers: list[Numbers] = []
        self.lag: Callable[[], dict[str, int]] = dict

    def block(self, part: str, reason: str) -> None:
        self._reasons[part] = reason

    def clear(self, part: str) -> None:
        self._reasons.pop(part, None)

    @property
    def reasons(self) -> list[str]:
        return [f"{part}: {reason}" for part, reason in sorted(self._reasons.items())]

    @property
    def is_ready(self) -> bool:
        return not self._reasons

    def report(self, numbers: Numbers) -> None:
        """Add `numbers()` to the status."""
        self._numbers.append(numbers)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "stage": self.stage,
            "ordinal": self.ordinal,
            "ready": self.is_ready,
            "reasons": self.reasons,
            "lag": self.lag(),
        }
        for numbers in self._numbers:
            found |= numbers()
        return found
