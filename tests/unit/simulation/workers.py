"""Provider workers in a world of virtual time: the real pool, claims, worker and publisher; a broker and a provider
that are ours. A schedule of crashes, freezes (zombies), orderly stops and joins is drawn from a seed.
"""

import asyncio
import random
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import httpx

from crossdock.kernel.drivers.object_store import Objects, open_objects
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Outgoing
from crossdock.kernel.runtime.pool.claim_writer import ClaimWriter
from crossdock.kernel.runtime.pool.pool import Pool, lines_weight
from crossdock.provider.cancels import Cancels
from crossdock.provider.client import ProviderSite
from crossdock.provider.credentials.cache import Keyring
from crossdock.provider.publisher import Publisher
from crossdock.provider.worker import Worker
from crossdock_schemas.calls.usage import CallOutcome, Usage, UsageGroup
from crossdock_schemas.codec import decode_envelope, encode_headers
from crossdock_schemas.ids import HoldId, ParcelId, hold_id, line_request_id
from crossdock_schemas.parcel.parcel import Hold, Parcel, join_lines
from crossdock_schemas.parcel.result import ResultGroup
from crossdock_schemas.topics import DISPATCH, REQUESTS
from unit.provider.builders import BATCH, Chance, make_line, make_parcel, make_site, refused, sound
from unit.simulation.broker import SESSION_S, Broker, Member
from unit.simulation.loop import VirtualClock

TOPIC = "dispatch.first.batch"
PARTITIONS = 2
LIMIT_S = 900.0
REST_S = 40


@dataclass(frozen=True)
class LedgerCall:
    """A call in the provider's ledger."""

    request_id: str
    number: int
    at_s: float


class SimulatedProvider:
    """Answers after a while; some calls are refused with a 503, others break off. Both may be made again."""

    def __init__(
        self, chance: random.Random, *, slow_s: float, refusals: float, breaks: float
    ) -> None:
        self.chance = chance
        self.slow_s = slow_s
        self.refusals = refusals
        self.breaks = breaks
        self.ledger: list[LedgerCall] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        now_s = asyncio.get_running_loop().time()
        number = int(request.headers["x-crossdock-attempt"])
        self.ledger.append(LedgerCall(request.headers["x-crossdock-request-id"], number, now_s))
        await asyncio.sleep(self.chance.uniform(0.05, self.slow_s))
        if self.chance.random() < self.breaks:
            raise httpx.RemoteProtocolError("broken off")
        return refused(503) if self.chance.random() < self.refusals else sound()


class Life:
    """One life of a worker process."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.member = Member(world.broker, name)
        self.stop = asyncio.Event()
        clock = VirtualClock()
        publisher = Publisher(self.member, clock, flush_s=0.03)
        world.lives += 1
        claim = f"life-{world.lives}"
        self.claimer = ClaimWriter(
            self.member, clock, worker=name, claim=claim, source="test", gap_s=0.0
        )
        draining = asyncio.Event()
        worker = Worker(
            {"first": world.site()},
            publisher,
            self.member,
            world.objects,
            clock,
            claims=self.claimer,
            cancels=Cancels(),
            keyring=Keyring(None),
            chance=Chance(),
            health=Health("provider", 0),
            draining=draining,
        )
        self.pool = Pool(
            self.member,
            worker.handle,
            self.claimer,
            self.member.open_claims,
            clock,
            capacity=8,
            weigh=lines_weight,
            dead_letter=worker.dead_letter,
            draining=draining,
            commit_s=0,
        )
        self.member.on_revoked = self.pool.hand_over
        self.member.on_assigned = self.pool.assigned
        self._background = [publisher.run, self.claimer.run]
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        await self.world.broker.join(self.member)
        running = [asyncio.get_running_loop().create_task(run()) for run in self._background]
        try:
            await self.pool.run(self.stop)
        finally:
            for task in running:
                task.cancel()

    def kill(self) -> None:
        """As kill -9: no running work continues."""
        self.world.cut_off += self.pool.in_flight
        self.member.is_gone = True
        self.task.cancel()


@dataclass
class World:
    """One run. `faults` lists what it may not do."""

    seed: int
    crashes: bool = True
    chance: random.Random = field(init=False)
    lives: int = 0
    cut_off: int = 0
    """Lines in flight in lives that were killed, or frozen for longer than a session."""
    objects: Objects = field(init=False)
    broker: Broker = field(init=False)
    provider: SimulatedProvider = field(init=False)
    running: dict[str, Life] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    leaving: list[asyncio.Task[None]] = field(default_factory=list)
    held: dict[HoldId, set[int]] = field(default_factory=dict)
    """By hold, the places of its lines."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def site(self) -> ProviderSite:
        return make_site(self.provider, max_calls=6)

    async def run(self) -> "World":
        self.objects = open_objects("memory://")
        self.broker = Broker([TOPIC], PARTITIONS, self.chance)
        self.provider = SimulatedProvider(
            self.chance,
            slow_s=self.chance.choice([0.5, 3.0, 40.0]),
            refusals=self.chance.choice([0.0, 0.2]),
            breaks=self.chance.choice([0.0, 0.2]),
        )
        for name in ("w0", "w1"):
            self.running[name] = Life(self, name)
        feeding = asyncio.get_running_loop().create_task(self._feed())
        readmitting = asyncio.get_running_loop().create_task(self._readmit())
        for _ in range(self.chance.randint(2, 6)):
            await asyncio.sleep(self.chance.uniform(0.1, 4.0))
            await self._disturb()
        await feeding
        await self._finish()
        readmitting.cancel()
        return self

    async def _feed(self) -> None:
        first = 0
        for number in range(self.chance.randint(3, 8)):
            lines = tuple(range(first, first + self.chance.randint(1, 4)))
            first += len(lines)
            self.requests += [line_request_id(BATCH, line) for line in lines]
            parcel = make_parcel(
                lines=lines,
                parcel_id=ParcelId(f"parcel_{number:032x}"),
                deadline_ms=VirtualClock().now_ms() + 86_400_000,
            )
            self._admit(parcel, join_lines([make_line(line) for line in lines]))
            await asyncio.sleep(self.chance.uniform(0.0, 1.0))

    def _admit(self, parcel: Parcel, value: bytes | None) -> None:
        """As accounts and router do: a hold for each parcel, and off to the workers; a copy is passed over."""
        hold = Hold(hold_id=hold_id(parcel.parcel_id))
        if hold.hold_id in self.held:
            return
        self.held[hold.hold_id] = set(range(len(parcel.lines)))
        admitted = parcel.model_copy(update={"hold": hold})
        headers = encode_headers(DISPATCH, "test", parcel.parcel_id, 0, admitted)
        self.broker.append(Outgoing(TOPIC, parcel.parcel_id.encode(), value, headers))

    async def _readmit(self) -> None:
        """Admit what workers send back for another hold."""
        done = 0
        while True:
            asked = self.broker.records(REQUESTS.name)
            for record in asked[done:]:
                self._admit(decode_envelope(record.headers, Parcel), record.value)
            done = len(asked)
            await asyncio.sleep(0.05)

    async def _disturb(self) -> None:
        name = self.chance.choice(sorted(self.running))
        actions = [self._stop, self._scale]
        if self.crashes:
            actions += [self._crash, self._crash, self._freeze]
        await self.chance.choice(actions)(name)

    async def _crash(self, name: str) -> None:
        """kill -9; it comes back as itself, or never."""
        life = self.running.pop(name)
        life.kill()
        if self.chance.random() < 0.7 or not self.running:
            await asyncio.sleep(self.chance.uniform(0.2, 3.0))
            self.running[name] = Life(self, name)
        else:
            await asyncio.sleep(SESSION_S)
            await self.broker.expel(life.member)

    async def _freeze(self, name: str) -> None:
        """SIGSTOP, and SIGCONT some time later: longer than the session, it is a zombie."""
        life, length_s = self.running[name], self.chance.uniform(2.0, 50.0)
        life.member.thawed.clear()
        if length_s > SESSION_S:
            self.cut_off += life.pool.in_flight
            await asyncio.sleep(SESSION_S)
            await self.broker.expel(life.member)
            await asyncio.sleep(length_s - SESSION_S)
        else:
            await asyncio.sleep(length_s)
        life.member.thawed.set()
        if life.member.is_fenced:  # it notices by its next heartbeat, and joins again
            await asyncio.sleep(self.chance.uniform(0.0, 3.0))
            life.member.is_fenced = False
            await life.pool.hand_over([])
            await self.broker.join(life.member)

    async def _stop(self, name: str) -> None:
        """An orderly stop, and a start."""
        life = self.running.pop(name)
        life.stop.set()
        if self.chance.random() < 0.5:
            await life.task
            self.running[name] = Life(self, name)
            return
        self.running[f"{name}+"] = Life(self, f"{name}+")
        self.leaving.append(asyncio.get_running_loop().create_task(self._time_out(life)))

    async def _time_out(self, life: Life) -> None:
        """A worker that stopped without leaving the group is expelled when its session ends."""
        await life.task
        await asyncio.sleep(SESSION_S)
        await self.broker.expel(life.member)

    async def _scale(self, _: str) -> None:
        """One more, under a new name."""
        name = f"w{len(self.running) + 2}-{self.lives}"
        self.running[name] = Life(self, name)

    async def _finish(self) -> None:
        """Wait until every request has ended, and no work has run for longer than a lease."""
        rested_s = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(LIMIT_S):
                while rested_s < REST_S:
                    await asyncio.sleep(1.0)
                    rested_s = rested_s + 1 if self._is_at_rest() else 0
        tasks = [*self.leaving, *(life.task for life in self.running.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_at_rest(self) -> bool:
        """Every request has ended, and nothing runs any more, not even what is called a second time."""
        busy = any(life.pool.in_flight or life.pool.waiting for life in self.running.values())
        return not busy and set(self.results()) >= set(self.requests)

    # the books

    def results(self) -> Counter[str]:
        groups = [
            decode_envelope(r.headers, ResultGroup) for r in self.broker.records("batches.results")
        ]
        return Counter(result.request_id for group in groups for result in group.results)

    def rows(self) -> dict[str, Usage]:
        """Return the newest row of each execution: a report of its own worker beats an estimate."""
        found: dict[str, Usage] = {}
        for record in self.broker.records("usage"):
            for usage in UsageGroup.from_json(record.value or b"").executions:
                known = found.get(usage.execution_id)
                if known is None or known.outcome is CallOutcome.UNKNOWN:
                    found[usage.execution_id] = usage
        return found

    def unfreed(self) -> int:
        """Return the number of lines whose end accounts never reads, so that their hold stays."""
        left = {hold: set(slots) for hold, slots in self.held.items()}
        for record in self.broker.records("usage"):
            for end in UsageGroup.from_json(record.value or b"").ended:
                left[end.hold_id] -= set(end.slots)
        return sum(len(slots) for slots in left.values())

    def uncovered(self) -> int:
        """Return how many calls may have been paid for beyond the first one of a line that a hold covers."""
        rows = self.rows().values()
        paid = Counter((u.request_id, u.hold_id) for u in rows if _may_be_paid(u) or _broke_off(u))
        return sum(count - 1 for count in paid.values())

    @property
    def repeats(self) -> list[Usage]:
        """Calls after one that was answered, or may have been."""
        return [call for calls in self._calls() for call in calls[1:] if _was_paid(calls, call)]

    @property
    def begun_again(self) -> int:
        """How often a line was begun again that had been answered, or may have been."""
        pairs = [pair for calls in self._calls() for pair in pairwise(calls)]
        return sum(_may_be_paid(first) for first, _ in pairs)

    def _calls(self) -> list[list[Usage]]:
        """Return the calls of each request, in the order of time."""
        by_request: dict[str, list[Usage]] = defaultdict(list)
        for usage in sorted(self.rows().values(), key=lambda u: (u.started_at_ms, u.call)):
            by_request[usage.request_id].append(usage)
        return list(by_request.values())

    def faults(self) -> list[str]:
        """Return how the guarantees were broken."""
        found = []
        if lost := set(self.requests) - set(self.results()):
            found.append(f"{len(lost)} requests without an end")
        made = Counter((str(call.request_id), call.number) for call in self.provider.ledger)
        rows = self.rows().values()
        booked = Counter((str(u.request_id), u.attempt * 100 + u.call) for u in rows)
        if missing := made - booked:
            found.append(f"{missing.total()} calls without a row")
        supposed = Counter(
            (str(u.request_id), u.attempt * 100 + u.call)
            for u in rows
            if u.outcome is CallOutcome.UNKNOWN
        )
        if invented := booked - made - supposed:
            found.append(f"{invented.total()} rows without a call")
        if unflagged := [u for u in self.repeats if u.repeat_of is None]:
            found.append(f"{len(unflagged)} repeats without a flag")
        if unfreed := self.unfreed():
            found.append(f"{unfreed} lines whose holds never end")
        if uncovered := self.uncovered():
            found.append(f"{uncovered} calls that no hold covers")
        if self.begun_again > self.cut_off:
            found.append(f"{self.begun_again} lines begun again, {self.cut_off} were in flight")
        return found


def _was_paid(calls: list[Usage], call: Usage) -> bool:
    return any(map(_may_be_paid, calls[: calls.index(call)]))


def _may_be_paid(call: Usage) -> bool:
    return call.outcome is CallOutcome.OK or call.duplicate_suspected


def _broke_off(call: Usage) -> bool:
    return call.outcome.may_cost and call.outcome is not CallOutcome.UNKNOWN
