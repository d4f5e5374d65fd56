"""A broker with one consumer group, as a pool's worker sees it: logs, offsets, rebalances, fences, connections."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.runtime.pool.claims import ClaimsView
from crossdock_schemas.calls.claim import ClaimNote
from crossdock_schemas.topics import CLAIMS

Place = tuple[str, int]
SESSION_S = 10.0
Rebalanced = Callable[[Collection[Place]], Awaitable[None]]


class Broker:
    """Topics of `partitions` partitions each; `sources` are what the group reads."""

    def __init__(self, sources: Sequence[str], partitions: int, chance: random.Random) -> None:
        self.sources = tuple(sources)
        self.partitions = partitions
        self.chance = chance
        self.logs: dict[Place, list[Record]] = {}
        self.offsets: dict[Place, tuple[int, str]] = {}
        self.members: dict[str, Member] = {}
        self._rebalancing = asyncio.Lock()

    def log(self, place: Place) -> list[Record]:
        return self.logs.setdefault(place, [])

    def append(self, message: Outgoing) -> int:
        partition = message.partition
        if partition is None:
            partition = sum(message.key or b"") % self.partitions
        log = self.log((message.topic, partition))
        now_ms = round(asyncio.get_running_loop().time() * 1000)
        log.append(
            Record(
                message.topic,
                partition,
                len(log),
                now_ms,
                message.key,
                message.value,
                message.headers,
            )
        )
        return len(log) - 1

    def records(self, topic: str) -> list[Record]:
        return [r for place, log in sorted(self.logs.items()) if place[0] == topic for r in log]

    # the group

    async def join(self, member: "Member") -> None:
        """A known name takes over its partitions at once; a new one changes those of all members."""
        earlier = self.members.get(member.name)
        self.members[member.name] = member
        if earlier is not None and earlier.owned:
            member.owned, earlier.owned = earlier.owned, frozenset()
            earlier.is_fenced = True
            return
        await self.rebalance()

    async def expel(self, member: "Member") -> None:
        """The session ended, or the member left."""
        if self.members.get(member.name) is member:
            del self.members[member.name]
            member.owned = frozenset()
            member.is_fenced = True
            await self.rebalance()

    async def rebalance(self) -> None:
        """Revoke everything, then share it out among the members; one rebalance at a time.

        (A static member that died stays one, with its share, until its session ends.)
        """
        async with self._rebalancing:
            for member in self._present():
                await self._tell(member, member.on_revoked)
            members = self._present()
            for member in members:
                member.owned = frozenset()
                member.generation += 1
            for number in range(self.partitions if members else 0):
                owner = members[number % len(members)]
                owner.owned |= {(topic, number) for topic in self.sources}
            for member in members:
                member.next = {p: self.offsets.get(p, (0, ""))[0] for p in member.owned}
                await self._tell(member, member.on_assigned)

    def _present(self) -> list["Member"]:
        return [member for _, member in sorted(self.members.items())]

    @staticmethod
    async def _tell(member: "Member", told: Rebalanced) -> None:
        """A member that dies or pauses meanwhile delays the others for one session at most."""
        if member.is_frozen or member.is_gone:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(SESSION_S):
                await told(member.owned)


class Member:
    """One life of a worker: its connection and its membership. Implements `pool.Source` and a producer's `send`."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.broker = broker
        self.name = name
        self.owned: frozenset[Place] = frozenset()
        self.next: dict[Place, int] = {}
        self.paused: frozenset[Place] = frozenset()
        self.generation = 0
        self.is_fenced = False
        self.is_gone = False
        self.thawed = asyncio.Event()
        self.thawed.set()
        self.on_revoked: Rebalanced = self._nothing
        self.on_assigned: Rebalanced = self._nothing

    @staticmethod
    async def _nothing(_: Collection[Place]) -> None:
        """Do nothing."""

    @property
    def is_frozen(self) -> bool:
        return not self.thawed.is_set()

    async def _reach(self) -> None:
        """A round trip: it takes a moment; a frozen process makes none, a dead one never returns."""
        await asyncio.sleep(self.broker.chance.uniform(0.001, 0.02))
        await self.thawed.wait()
        if self.is_gone:
            await asyncio.get_running_loop().create_future()

    async def send(self, messages: Sequence[Outgoing]) -> dict[Place, int]:
        await self._reach()
        offsets: dict[Place, int] = {}
        for message in messages:
            offset = self.broker.append(message)
            if message.partition is not None:
                offsets.setdefault((message.topic, message.partition), offset)
            if self.broker.chance.random() < 0.02:
                await self._reach()  # a kill may come between two records of a send
        await self._reach()
        return offsets

    def assignment(self) -> frozenset[Place]:
        return self.owned

    async def poll(self, *, max_records: int, timeout_ms: int) -> list[Record]:
        await self._reach()
        found: list[Record] = []
        for place in sorted(self.owned - self.paused):
            log, start = self.broker.log(place), self.next.get(place, 0)
            taken = log[start : start + max_records]
            self.next[place] = start + len(taken)
            found += taken
        if not found:
            await asyncio.sleep(timeout_ms / 1000)
        return found

    def pause_only(self, places: Collection[Place]) -> None:
        self.paused = frozenset(places)

    def forget_pauses(self) -> None:
        self.paused = frozenset()

    async def commit(self, position: Mapping[Place, tuple[int, str]]) -> bool:
        generation = self.generation
        await self._reach()
        if generation != self.generation or self.is_fenced or not position.keys() <= self.owned:
            return False
        self.broker.offsets |= position
        return True

    async def committed(self, places: Collection[Place]) -> dict[Place, tuple[int, str]]:
        await self._reach()
        return {p: self.broker.offsets[p] for p in places if p in self.broker.offsets}

    async def beginnings(self, places: Collection[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, 0)

    async def seek(self, place: Place, offset: int) -> None:
        self.next[place] = offset

    async def leave(self) -> None:
        await self._reach()
        await self.broker.expel(self)

    @asynccontextmanager
    async def open_claims(self, starts: Mapping[int, int]) -> AsyncIterator["ClaimReader"]:
        await self._reach()
        yield ClaimReader(self, starts)


class ClaimReader:
    def __init__(self, member: Member, starts: Mapping[int, int]) -> None:
        self.member = member
        self.next = dict(starts)

    async def catch_up(self, view: ClaimsView) -> dict[int, int]:
        await self.member._reach()
        ends = {p: len(self.member.broker.log((CLAIMS.name, p))) for p in self.next}
        self._read(view)
        return ends

    async def more(self, view: ClaimsView) -> None:
        await asyncio.sleep(0.2)
        await self.member._reach()
        self._read(view)

    def _read(self, view: ClaimsView) -> None:
        for partition, start in self.next.items():
            log = self.member.broker.log((CLAIMS.name, partition))
            for record in log[start:]:
                view.apply(partition, ClaimNote.from_json(record.value or b""), record.offset)
            self.next[partition] = len(log)
