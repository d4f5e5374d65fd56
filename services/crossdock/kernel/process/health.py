"""The state that a process reports: why it is not ready, its lag, and numbers of its stage."""

from collections.abc import Callable
from typing import Any

Numbers = Callable[[], dict[str, Any]]
Check = Callable[[], str | None]
"""Returns the reason why a part is not ready, or None."""


class Health:
    """The process is ready when it has no reason against it."""

    def __init__(self, stage: str, ordinal: int) -> None:
        self.stage = stage
        self.ordinal = ordinal
        self._reasons: dict[str, str] = {"start": "starting"}
        self._checks: dict[str, Check] = {}
        self._numbers: list[Numbers] = []
        self.lag: Callable[[], dict[str, int]] = dict

    def block(self, part: str, reason: str) -> None:
        self._reasons[part] = reason

    def clear(self, part: str) -> None:
        self._reasons.pop(part, None)

    def check(self, part: str, why_not: Check) -> None:
        """Call `why_not` for each report."""
        self._checks[part] = why_not

    @property
    def reasons(self) -> list[str]:
        checked = {part: why_not() for part, why_not in self._checks.items()}
        found = {part: why for part, why in checked.items() if why is not None} | self._reasons
        return [f"{part}: {reason}" for part, reason in sorted(found.items())]

    @property
    def is_ready(self) -> bool:
        return not self.reasons

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
