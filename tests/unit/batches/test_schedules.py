"""Any schedule of steps, ends and crashes: each line ends once."""

import random
from collections import Counter

import pytest

from crossdock_schemas.batch import CancelAsked
from crossdock_schemas.result import Outcome
from support.builders import (
    BATCH,
    NOW_MS,
    make_submitted,
)
from unit.batches.shard import EXPIRED_MS, Shard


class Schedule:
    """A random life of one batch. What a step did not commit is gone with a crash, outputs too."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        models = {
            f"model-{n}": self.chance.randint(1, 40) for n in range(self.chance.randint(1, 3))
        }
        self.shard = Shard(models, window=self.chance.choice([4, 8, 32]))
        self.now_ms = NOW_MS
        self.written: list[bytes] = []
        self._uncommitted: list[bytes] = []

    def run(self) -> None:
        self.shard.core.submit(make_submitted())
        self.shard.step()
        for _ in range(4000):
            if not self.shard.core.open_batches:
                return
            self.now_ms += self.chance.randint(0, 300)
            self.chance.choice([self.work, self.work, self.results, self.results, self.end])()
            self.chance.choice([self.commit] * 9 + [self.crash])()

    def work(self) -> None:
        self.shard.work(self.now_ms)

    def results(self) -> None:
        waiting = [n for n in self.shard.fed if n not in self.shard.core.states[BATCH].done]
        if waiting:
            picked = self.chance.choices(waiting, k=self.chance.randint(1, 6))
            outcome = self.chance.choice([Outcome.COMPLETED, Outcome.FAILED])
            self._uncommitted += self.shard.collect(picked, outcome)
        for line, ending in self.shard.ended:
            self._uncommitted += self.shard.collect([line], ending)

    def end(self) -> None:
        """Rarely: cancel it, or let its window be over."""
        what = self.chance.random()
        if what < 0.01:
            asked = CancelAsked(batch_id=BATCH, at_ms=self.now_ms)
            self.shard.core.cancel(asked, self.now_ms)
        elif what < 0.02:
            self.now_ms = max(self.now_ms, EXPIRED_MS)

    def commit(self) -> None:
        self.shard.step(self.now_ms)
        self.written += self._uncommitted
        self._uncommitted = []

    def crash(self) -> None:
        self.shard.crash()
        self._uncommitted = []


@pytest.mark.parametrize("seed", range(100))
def test_whatever_happens_each_line_ends_once(seed: int) -> None:
    """Crashes, lost reads, repeated results, a cancel or the end of the window: the books agree."""
    schedule = Schedule(seed)

    schedule.run()

    shard, batch = schedule.shard, schedule.shard.batch
    total = sum(shard.models.values())
    assert batch.status.is_final
    if batch.total:  # it was validated before it was cancelled
        every_line = Counter(range(total))
        assert Counter(shard.fed + [line for line, _ in shard.ended]) == every_line
        assert sorted(schedule.written) == sorted(b"answer %d" % n for n in range(total))
        assert batch.completed + batch.failed == batch.total == total
