"""Any schedule of steps, ends and crashes: each line ends once."""

import random
from collections import Counter

import pytest

from crossdock_schemas.batches.batch import CancelAsked, Granted, LinesReturned
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.parcel.result import Outcome
from support.builders import (
    BATCH,
    NOW_MS,
    make_submitted,
    make_wait_reason,
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
        self.is_short = self.chance.random() < 0.6
        """Money is: lines come back."""
        self.back: Counter[int] = Counter()
        self._seen = 0
        self._out: list[Parcel] = []
        self.written: list[bytes] = []
        self._uncommitted: list[bytes] = []

    def run(self) -> None:
        self.shard.core.submit(make_submitted())
        self.shard.step()
        for _ in range(4000):
            if not self.shard.core.open_batches:
                return
            self.now_ms += self.chance.randint(0, 300)
            doings = [self.work, self.work, self.results, self.results, self.end]
            self.chance.choice(doings + [self.take_back, self.grant] * self.is_short)()
            self.chance.choice([self.commit] * 9 + [self.crash])()

    def work(self) -> None:
        self.shard.work(self.now_ms)

    def results(self) -> None:
        fed = Counter(self.shard.fed) - self.back
        waiting = [n for n in fed if n not in self.shard.core.states[BATCH].done]
        if waiting:
            picked = self.chance.choices(waiting, k=self.chance.randint(1, 6))
            outcome = self.chance.choice([Outcome.COMPLETED, Outcome.FAILED])
            self._uncommitted += self.shard.collect(picked, outcome)
        for line, ending in self.shard.ended:
            self._uncommitted += self.shard.collect([line], ending)

    def take_back(self) -> None:
        """Accounts has no money for the last lines of a parcel."""
        sent = [r for r in self.shard.sent if r.topic == "requests"]
        self._out += [decode_envelope(record.headers, Parcel) for record in sent[self._seen :]]
        self._seen = len(sent)
        done = self.shard.core.states[BATCH].done
        self._out = [p for p in self._out if not any(line in done for line in p.lines)]
        if not self._out:
            return
        parcel = self._out.pop(self.chance.randrange(len(self._out)))
        kept = self.chance.randrange(len(parcel.lines))
        returned = LinesReturned(
            batch_id=BATCH,
            model=parcel.model,
            position=(parcel.position or 0) + kept,
            count=len(parcel.lines) - kept,
            reason=make_wait_reason(),
        )
        self.commit()
        self.shard.core.take_back(returned)
        self.back.update(parcel.lines[kept:])
        self.commit()

    def grant(self) -> None:
        model = self.chance.choice(list(self.shard.models))
        if self.shard.core.states[BATCH].models:
            lines = self.chance.choice([1, 3, None])
            self.shard.core.grant(Granted(batch_id=BATCH, model=model, lines=lines))

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


@pytest.mark.parametrize("seed", range(250))
def test_whatever_happens_each_line_ends_once(seed: int) -> None:
    """Crashes, lost reads, repeated results, a cancel or the end of the window: the books agree."""
    schedule = Schedule(seed)

    schedule.run()

    shard, batch = schedule.shard, schedule.shard.batch
    total = sum(shard.models.values())
    assert batch.status.is_final
    if batch.total:  # it was validated before it was cancelled
        every_line = Counter(range(total))
        ran = Counter(shard.fed + [line for line, _ in shard.ended])
        assert ran - schedule.back == every_line
        assert sorted(schedule.written) == sorted(b"answer %d" % n for n in range(total))
        assert batch.completed + batch.failed == batch.total == total
