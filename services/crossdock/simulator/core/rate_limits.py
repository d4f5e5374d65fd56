"""Token buckets with OpenAI's headers. Pure: `now` is monotonic seconds."""

import math
from dataclasses import dataclass, field

_SECOND_MS = 1000


@dataclass
class MinuteBucket:
    """Refills evenly to `per_minute`; full at the start. The level is negative after a call above the limit."""

    per_minute: int
    level: float = field(init=False)
    at: float | None = None

    def __post_init__(self) -> None:
        self.level = float(self.per_minute)

    def refill(self, now: float) -> None:
        if self.at is not None:
            gained = max(0.0, now - self.at) * self.per_minute / 60
            self.level = min(float(self.per_minute), self.level + gained)
        self.at = now

    def wait_s(self, amount: float) -> float:
        """Return the seconds until `amount` fits, 0 if it fits now; for a larger amount, until the bucket is full."""
        return max(0.0, (min(amount, self.per_minute) - self.level) * 60 / self.per_minute)

    def reset_s(self) -> float:
        """Return the seconds until the bucket is full."""
        return (self.per_minute - self.level) * 60 / self.per_minute


class MinuteLimits:
    """Requests and tokens a minute of one provider; None: unlimited."""

    def __init__(self, rpm: int | None, tpm: int | None) -> None:
        self._buckets = {
            name: MinuteBucket(per_minute)
            for name, per_minute in (("requests", rpm), ("tokens", tpm))
            if per_minute is not None
        }

    def admit(self, tokens: int, now: float) -> float:
        """Take one request and `tokens`, or return the seconds to wait (and take nothing)."""
        amounts = {"requests": 1, "tokens": tokens}
        wait_s = 0.0
        for name, bucket in self._buckets.items():
            bucket.refill(now)
            wait_s = max(wait_s, bucket.wait_s(amounts[name]))
        if wait_s == 0:
            for name, bucket in self._buckets.items():
                bucket.level -= amounts[name]
        return wait_s

    def headers(self) -> dict[str, str]:
        """Return OpenAI's headers of the limits; empty without limits."""
        found: dict[str, str] = {}
        for name, bucket in self._buckets.items():
            found[f"x-ratelimit-limit-{name}"] = str(bucket.per_minute)
            found[f"x-ratelimit-remaining-{name}"] = str(max(0, int(bucket.level)))
            found[f"x-ratelimit-reset-{name}"] = show_duration(bucket.reset_s())
        return found


def show_duration(seconds: float) -> str:
    """Return Go's notation, rounded up to milliseconds: 0s, 6ms, 1.5s, 6m0s, 1h0m1s."""
    ms = max(0, math.ceil(seconds * 1000 - 1e-6))
    if ms == 0:
        return "0s"
    if ms < _SECOND_MS:
        return f"{ms}ms"
    minutes, rest_ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    shown = f"{rest_ms / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{shown}"
    return f"{minutes}m{shown}" if minutes else shown
