"""Decides when a batch of rows is cut. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from crossdock.kernel.process.record import Row


@dataclass(frozen=True, slots=True)
class CutPolicy:
    """A batch is cut at the first limit. ClickHouse prefers few large inserts; queries see rows `max_age_s` late."""

    max_rows: int = 10_000
    max_bytes: int = 16_777_216
    max_age_s: float = 1.0


@dataclass
class Buffer:
    """Rows by table, since the last cut. `now` is monotonic seconds."""

    policy: CutPolicy
    rows: dict[str, list[Row]] = field(default_factory=dict)
    count: int = 0
    size: int = 0
    since: float | None = None

    def add(self, table: str, rows: Sequence[Row], size: int, *, now: float) -> None:
        """Add the rows of one record of `size` bytes."""
        if rows:
            self.rows.setdefault(table, []).extend(rows)
        self.count += len(rows)
        self.size += size
        if self.since is None:
            self.since = now

    def is_due(self, *, now: float) -> bool:
        return self.since is not None and (
            self.count >= self.policy.max_rows
            or self.size >= self.policy.max_bytes
            or now - self.since >= self.policy.max_age_s
        )

    def rest_s(self, *, now: float) -> float:
        """Return the time until the batch is due by age; the full age when it is empty."""
        if self.since is None:
            return self.policy.max_age_s
        return max(0.0, self.since + self.policy.max_age_s - now)

    def take(self) -> dict[str, list[Row]]:
        rows, self.rows = self.rows, {}
        self.count = self.size = 0
        self.since = None
        return rows
