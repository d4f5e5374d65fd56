"""Times after which a silent process loses its partitions, transactions and calls. Settings of the stages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Three times, and the times that follow from them."""

    session_ms: int = 10_000
    """Kafka gives the partitions of a silent process to others after this time, unless it comes back as itself."""
    transaction_ms: int = 10_000
    """Kafka aborts the transaction of a dead process after this time; read-committed readers wait until then."""
    lease_ms: int = 20_000
    """A worker that writes no note for this time loses its calls."""

    @property
    def heartbeat_ms(self) -> int:
        return min(3000, self.session_ms // 3)

    @property
    def owned_ms(self) -> int:
        """Validity of a proof of membership: a group expels no member before the end of its session."""
        return self.session_ms * 4 // 5

    @property
    def prove_ms(self) -> int:
        """Interval between two proofs of membership."""
        return self.session_ms * 3 // 10

    @property
    def renew_ms(self) -> int:
        return self.lease_ms // 4

    @property
    def grace_ms(self) -> int:
        """Wait after a lease: the clocks of two workers may differ, and the last note may be under way."""
        return self.lease_ms // 4

    @property
    def commit_limit_s(self) -> float:
        return 3 * self.transaction_ms / 1000

    @property
    def unknown_s(self) -> int:
        """A call of unknown end keeps its hold this long: a worker presumed dead may only have been paused."""
        return max(1, 3 * self.lease_ms // 1000)


DEFAULT = Timing()
