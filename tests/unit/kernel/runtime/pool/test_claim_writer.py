"""Claims are written before calls begin, in few notes, and only for owned partitions."""

import asyncio
from collections.abc import Sequence

import pytest
from typing_extensions import override

from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import LeaseLostError
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.process.timing import DEFAULT
from crossdock.kernel.runtime.pool.claim_writer import MAX_BYTES, ClaimWriter, Job
from crossdock.kernel.runtime.pool.claims import EarlierClaims, Start
from crossdock_schemas.calls.claim import ClaimNote

TOPIC = "dispatch.first.batch"


class FakeLog:
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[tuple[int | None, ClaimNote]] = []

    async def send(self, messages: Sequence[Outgoing]) -> dict[tuple[str, int], int]:
        for message in messages:
            self.notes.append((message.partition, ClaimNote.from_json(message.value or b"")))
        return {(m.topic, m.partition or 0): len(self.notes) for m in messages}


class SlowLog(FakeLog):
    """Takes a while for each send, by the clock that it is given."""

    def __init__(self, clock: ManualClock, took_ms: int) -> None:
        super().__init__()
        self._clock = clock
        self._took_ms = took_ms

    @override
    async def send(self, messages: Sequence[Outgoing]) -> dict[tuple[str, int], int]:
        self._clock.advance(self._took_ms)
        return await super().send(messages)


class Group:
    """Answers whether a partition is owned."""

    def __init__(self, claimer: ClaimWriter, clock: ManualClock, *, ours: bool = True) -> None:
        self.ours = ours
        self.asked: list[int] = []
        self._claimer = claimer
        self._clock = clock

    async def __call__(self, partition: int) -> bool:
        self.asked.append(partition)
        if self.ours:
            self._claimer.proved(self._clock.now_ms())
        return self.ours


def make_claimer(*, ours: bool = True) -> tuple[ClaimWriter, FakeLog, ManualClock, Group]:
    log, clock = FakeLog(), ManualClock(1_800_000_000_000)
    claimer = ClaimWriter(log, clock, worker="w", claim="mine", source="test", gap_s=0.0)
    claimer.still_owns = group = Group(claimer, clock, ours=ours)
    claimer.proved(clock.now_ms())
    return claimer, log, clock, group


def make_job(offset: int = 0, partition: int = 3, earlier: EarlierClaims | None = None) -> Job:
    return Job(Record(TOPIC, partition, offset, 0, None, b"", []), earlier)


async def start(claimer: ClaimWriter, job: Job, line: int = 0, call: int = 1) -> int:
    """Begin a call; the note is written at once."""
    at_ms, _ = await asyncio.gather(
        claimer.start(job, line, call, is_urgent=True), flush_soon(claimer)
    )
    return at_ms


async def flush_soon(claimer: ClaimWriter) -> None:
    """Write a note once others had their turn."""
    await asyncio.sleep(0)
    await claimer.flush()


async def test_a_call_begins_when_its_claim_is_acknowledged() -> None:
    claimer, log, clock, _ = make_claimer()

    async with asyncio.TaskGroup() as group:
        beginning = group.create_task(claimer.start(make_job(), 0, 1, is_urgent=False))
        await asyncio.sleep(0)
        assert not beginning.done()
        await claimer.flush()

    assert beginning.result() == clock.now_ms()
    ((partition, note),) = log.notes
    assert partition == 3
    assert (note.claim, note.lease_until_ms) == ("mine", clock.now_ms() + DEFAULT.lease_ms)


async def test_many_calls_share_a_note() -> None:
    claimer, log, _, _ = make_claimer()
    job = make_job()
    starts = [claimer.start(job, line, 1, is_urgent=False) for line in range(20)]

    await asyncio.gather(*starts, flush_soon(claimer))

    ((_, note),) = log.notes
    assert [(s.offset, s.call, s.lines) for s in note.started] == [(0, 1, tuple(range(20)))]


async def test_the_group_is_asked_when_it_has_not_said_for_a_while_that_we_are_its_member() -> None:
    claimer, _, clock, group = make_claimer()
    clock.advance(DEFAULT.owned_ms)
    await start(claimer, make_job(0))
    assert group.asked == []

    clock.advance(1)
    await start(claimer, make_job(1))
    assert group.asked == [3]


async def test_what_is_not_ours_any_more_is_not_begun() -> None:
    claimer, log, clock, _ = make_claimer(ours=False)
    clock.advance(DEFAULT.owned_ms + 1)

    with pytest.raises(LeaseLostError):
        await start(claimer, make_job())

    assert [note.started for _, note in log.notes] == [()]


async def test_a_job_begun_before_a_hand_over_and_never_claimed_is_not_begun() -> None:
    claimer, _, _, group = make_claimer()
    job = make_job()
    job.is_stale = True

    with pytest.raises(LeaseLostError):
        await start(claimer, job)

    assert group.asked == []


async def test_before_lines_go_elsewhere_the_lease_is_renewed_and_no_call_begins() -> None:
    claimer, log, clock, _ = make_claimer()

    await asyncio.gather(claimer.confirm(make_job()), flush_soon(claimer))

    ((_, note),) = log.notes
    assert note.started == ()
    assert note.lease_until_ms == clock.now_ms() + DEFAULT.lease_ms


@pytest.mark.parametrize("is_begun", [True, False], ids=["after a lapse", "never begun"])
async def test_lines_of_what_is_not_ours_any_more_go_nowhere(is_begun: bool) -> None:
    claimer, _, clock, group = make_claimer()
    job = make_job()
    if is_begun:
        await start(claimer, job)
    clock.advance(DEFAULT.lease_ms + 1)
    group.ours = False

    with pytest.raises(LeaseLostError):
        await asyncio.gather(claimer.confirm(job), flush_soon(claimer))


async def test_a_lease_is_renewed_while_something_runs() -> None:
    claimer, log, clock, group = make_claimer()
    job = make_job()
    await start(claimer, job)

    for _ in range(10):
        clock.advance(DEFAULT.lease_ms // 4)
        await claimer.flush()
    claimer.close(job)
    clock.advance(DEFAULT.lease_ms)
    await claimer.flush()

    assert len(log.notes) == 11
    assert group.asked == []


async def test_after_a_lapse_a_job_that_was_handed_over_meanwhile_is_lost() -> None:
    """The worker stood still; another had its partition in between, and may have begun the same lines."""
    claimer, _, clock, group = make_claimer()
    job = make_job()
    await start(claimer, job)
    clock.advance(DEFAULT.lease_ms + 1)
    job.is_stale = True

    with pytest.raises(LeaseLostError):
        await start(claimer, job, call=2)
    with pytest.raises(LeaseLostError):
        await claimer.start(job, 0, 3, is_urgent=True)

    assert group.asked == []


async def test_after_a_lapse_without_a_hand_over_the_group_decides() -> None:
    claimer, _, clock, group = make_claimer()
    job = make_job()
    await start(claimer, job)
    clock.advance(DEFAULT.lease_ms + 1)

    await start(claimer, job, call=2)

    assert group.asked == [3]


@pytest.mark.parametrize(
    ("took_ms", "begins"), [(DEFAULT.owned_ms, True), (DEFAULT.owned_ms + 1, False)]
)
async def test_a_claim_that_came_into_the_log_late_begins_nothing(
    took_ms: int,
    begins: bool,
) -> None:
    """The worker stood still in the middle of sending it: a new owner had read the claims before it was there."""
    clock = ManualClock(1_800_000_000_000)
    claimer = ClaimWriter(
        SlowLog(clock, took_ms), clock, worker="w", claim="mine", source="test", gap_s=0.0
    )
    claimer.still_owns = Group(claimer, clock, ours=False)
    claimer.proved(clock.now_ms())

    if begins:
        assert await start(claimer, make_job())
    else:
        with pytest.raises(LeaseLostError):
            await start(claimer, make_job())


async def test_what_ended_is_told_also_when_the_lease_is_lost() -> None:
    """Else its new owner would call again what was answered and paid for."""
    claimer, log, clock, group = make_claimer()
    job = make_job()
    await start(claimer, job)
    clock.advance(DEFAULT.lease_ms + 1)
    group.ours = False

    await asyncio.gather(claimer.end([(job, 0)]), flush_soon(claimer))

    _, note = log.notes[-1]
    assert [end.lines for end in note.ended] == [(0,)]
    assert (
        note.lease_until_ms == note.at_ms
    )  # nothing runs here any more that others should wait for


@pytest.mark.parametrize(
    ("claims", "is_lost"),
    [(["mine"], False), (["mine", "another"], True), (["another", "mine"], False)],
    ids=["only ours", "another after us", "another before us, as we knew"],
)
async def test_a_job_that_ran_through_a_hand_over_is_lost_if_another_began_it_too(
    claims: list[str],
    is_lost: bool,
) -> None:
    claimer, _, _, _ = make_claimer()
    before = [Start("another", 1, 0)] if claims[0] == "another" else []
    job = make_job(earlier=EarlierClaims(0, {0: before}) if before else None)
    now = EarlierClaims(0, {0: [Start(claim, n, n) for n, claim in enumerate(claims)]})

    claimer.has_lost(job, now)

    assert job.is_lost is is_lost
    assert not job.is_stale


async def test_very_many_claims_are_several_notes_that_each_fit() -> None:
    claimer, log, *_ = make_claimer()
    sizes: list[int] = []
    send = log.send

    async def measured(messages: Sequence[Outgoing]) -> dict[tuple[str, int], int]:
        sizes.extend(message.size for message in messages)
        return await send(messages)

    log.send = measured  # type: ignore[method-assign]  # a fake of ours
    jobs = [make_job(10**12 + number) for number in range(12_000)]
    begun = [
        asyncio.ensure_future(claimer.start(job, 10**6 + line, 99, is_urgent=False))  # noqa: TID251  # awaited below
        for job in jobs
        for line in range(4)
    ]
    await asyncio.sleep(0)

    await claimer.flush()
    await asyncio.gather(*begun)

    claimed = [(s.offset, n) for _, note in log.notes for s in note.started for n in s.lines]
    assert len(claimed) == len(set(claimed)) == len(begun)
    assert 1 < len(sizes) < 9
    assert max(sizes) < MAX_BYTES + 1000
    assert all(job.mark.claims_from is not None for job in jobs)
