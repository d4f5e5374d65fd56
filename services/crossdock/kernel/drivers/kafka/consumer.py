"""Consumers: members of a group, and readers of given partitions. Both read committed records only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError

from crossdock.kernel.drivers.kafka.admin import is_up
from crossdock.kernel.drivers.kafka.broker_health import BROKER
from crossdock.kernel.drivers.kafka.client import start_client
from crossdock.kernel.drivers.kafka.membership import leave_if_changed, members_of
from crossdock.kernel.drivers.kafka.stall_detector import StallWatch
from crossdock.kernel.process import metrics
from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.kernel.process.metrics import Traffic
from crossdock.kernel.process.record import Record
from crossdock.kernel.process.timing import DEFAULT, Timing

Place = tuple[str, int]
"""Topic and partition."""
Position = Mapping[Place, int]
"""The next offset to read, by place."""

OnRebalance = Callable[[Collection[Place]], Awaitable[None]]

METADATA_AGE_MS = 5_000
"""A member that joins while a restarted broker does not know its topics is assigned nothing until it asks again.

aiokafka's default is 5 minutes.
"""
REBALANCE_TIMEOUT_MS = 60_000  # members have this long to drain and rejoin
MAX_FETCH_BYTES = 2_097_152
FETCH_WAIT_MS = 500
COMMIT_LIMIT_S = 10.0  # a commit takes some ms, and some seconds after the broker came back
COMMIT_TRIES = 2


def record_from(raw: Any) -> Record:  # aiokafka ships no types
    return Record(
        raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, raw.headers
    )


def lag_of(raw: Any) -> dict[str, int]:
    """Return the lag of an aiokafka consumer by topic, as its last fetch saw it. Never blocks."""
    lags: dict[str, int] = {}
    for place in raw.assignment():
        end, position = raw.highwater(place), position_of(raw, place)
        if end is not None and position is not None:
            lags[place.topic] = lags.get(place.topic, 0) + max(0, end - position)
    return lags


def position_of(raw: Any, place: Any) -> int | None:
    """Return the position of an aiokafka consumer in an assigned place; None: it has none yet. Never blocks."""
    state = raw._subscription.subscription.assignment.state_value(place)  # noqa: SLF001  # `position` may block
    return int(state.position) if state is not None and state.has_valid_position else None


def has_joined(raw: Any) -> bool:
    """Return whether the group of an aiokafka consumer has assigned it what it may read, which may be nothing."""
    subscription = raw._subscription.subscription  # noqa: SLF001  # aiokafka shows only what is assigned
    return subscription is not None and subscription.assignment is not None


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # untyped upstream
    """Lets the owner release partitions before the group continues. It must not raise: aiokafka swallows errors."""

    def __init__(self, on_revoked: OnRebalance, on_assigned: OnRebalance) -> None:
        self._on_revoked = on_revoked
        self._on_assigned = on_assigned

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._on_revoked([(place.topic, place.partition) for place in revoked])

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        await self._on_assigned([(place.topic, place.partition) for place in assigned])


async def _ignore(_: Collection[Place]) -> None:
    """Do nothing: `assignment` has the result."""


class GroupConsumer:
    """A consumer; aiokafka's types stay inside."""

    def __init__(
        self,
        raw: AIOKafkaConsumer,
        servers: str,
        *,
        listener: _Listener | None = None,
        commit_limit_s: float = COMMIT_LIMIT_S,
        ask: Callable[[str], Awaitable[bool]] = is_up,
    ) -> None:
        self._raw = raw
        self._listener = listener
        self._commit_limit_s = commit_limit_s
        self._servers = servers
        self._is_up = partial(ask, servers)
        self._paused: frozenset[Place] = frozenset()
        self._watch = StallWatch(self, self._is_up)

    def close(self) -> None:
        """Stop reporting on Kafka."""
        self._watch.close()

    def has_joined(self) -> bool:
        """Return whether its group has assigned it what it may read, which may be nothing."""
        return has_joined(self._raw)

    def unread(self, topics: Collection[str]) -> frozenset[str]:
        """Return those of `topics` of which this member should read a part, and reads none.

        By ranges, a member with a part of a topic has a part of each topic that has as many partitions.
        """
        counts = {topic: len(self._raw.partitions_for_topic(topic) or ()) for topic in topics}
        read = {topic for topic, _ in self.assignment()}
        least = min((counts.get(topic, 0) for topic in read), default=None)
        if least is None:
            return frozenset(topic for topic, count in counts.items() if not count)
        return frozenset(
            t for t, count in counts.items() if t not in read and not 0 < count < least
        )

    async def unread_in_group(self, topics: Collection[str]) -> frozenset[str]:
        """Return those of `topics` with a partition that no member of the group reads.

        Raises:
            LogError: if Kafka refuses.
        """
        raw = self._raw
        members = await members_of(self._servers, raw._group_id)  # noqa: SLF001
        read = {place for member in members for place in member.places}
        counts = {topic: len(raw.partitions_for_topic(topic) or ()) for topic in topics}
        return frozenset(
            topic
            for topic, count in counts.items()
            if not count or any((topic, number) not in read for number in range(count))
        )

    def active(self) -> frozenset[Place]:
        """The assigned places that are not paused."""
        return self.assignment() - self._paused

    def assignment(self) -> frozenset[Place]:
        return frozenset((place.topic, place.partition) for place in self._raw.assignment())

    async def poll(self, *, max_records: int, timeout_ms: int) -> list[Record]:
        """Return up to `max_records` committed records of unpaused partitions, at once when there are some.

        Raises:
            LogError: if Kafka refused, or if the consumer is behind and receives nothing.
        """
        try:
            polled = await self._raw.getmany(timeout_ms=timeout_ms, max_records=max_records)
        except KafkaError as error:
            raise LogError(f"cannot poll: {error!r}") from error
        records = [record_from(raw) for group in polled.values() for raw in group]
        traffic = Traffic()
        for record in records:
            traffic.add(record.topic, record.size)
        traffic.count(metrics.RECORDS_POLLED, metrics.BYTES_POLLED)
        await self._watch.saw(len(records))
        return records

    def pause_only(self, places: Collection[Place]) -> None:
        """Pause `places` and resume every other assigned one; places not assigned are ignored."""
        wanted = frozenset(places) & self.assignment()
        if wanted == self._paused:
            return
        assigned = self._raw.assignment()
        raw = {place: TopicPartition(*place) for place in self.assignment()}
        self._raw.resume(
            *[raw[place] for place in raw if place not in wanted and raw[place] in assigned]
        )
        self._raw.pause(*[raw[place] for place in wanted])
        self._paused = wanted

    def forget_pauses(self) -> None:
        """Call after a rebalance: aiokafka starts new assignments unpaused."""
        self._paused = frozenset()

    async def commit(self, position: Mapping[Place, int | tuple[int, str]]) -> bool:
        """Commit offsets, alone or with a note of up to 4 kB; return False if the group has reassigned them.

        Raises:
            LogError: if Kafka answers new connections but not this consumer. An aiokafka client may lose its metadata
                for good when the broker dies; it then waits forever.
        """
        offsets = {TopicPartition(*place): offset for place, offset in position.items()}
        try:
            with BROKER.owing():
                await self._commit(offsets)
        except (IllegalStateError, KafkaError):
            return False
        metrics.COMMITS.inc()
        return True

    async def _commit(self, offsets: Any) -> None:  # untyped upstream
        unanswered = 0
        while unanswered < COMMIT_TRIES:
            try:
                async with asyncio.timeout(self._commit_limit_s):
                    await self._raw.commit(offsets)
            except TimeoutError:
                unanswered = unanswered + 1 if await self._is_up() else 0
            else:
                return
        raise LogError(
            "Kafka answers new connections but not the commits of this consumer: restarting"
        )

    async def committed(self, places: Collection[Place]) -> dict[Place, tuple[int, str]]:
        """Return the committed offset and its note, by place; places without one are left out."""
        wanted = [TopicPartition(*place) for place in places]
        try:
            # why private: the public `committed` takes one partition at a time and drops the note
            found = await self._raw._coordinator.fetch_committed_offsets(wanted)  # noqa: SLF001
        except KafkaError as error:
            raise LogError(f"cannot ask for committed offsets: {error!r}") from error
        return {
            (p.topic, p.partition): (int(at.offset), at.metadata or "")
            for p, at in found.items()
            if at.offset >= 0
        }

    async def beginnings(self, places: Collection[Place]) -> dict[Place, int]:
        """Return the first offset that each place still holds."""
        try:
            found = await self._raw.beginning_offsets([TopicPartition(*place) for place in places])
        except KafkaError as error:
            raise LogError(f"cannot ask for first offsets: {error!r}") from error
        return {(place.topic, place.partition): offset for place, offset in found.items()}

    async def leave(self) -> None:
        """Leave the group: other members take over the partitions now, not at the end of the session."""
        coordinator = self._raw._coordinator  # noqa: SLF001  # aiokafka lets a static member leave by its time-out only
        coordinator._group_instance_id = None  # noqa: SLF001
        await coordinator.close()

    async def resubscribe(self, topics: Collection[str]) -> None:
        """Read `topics`, which exist, instead of the present ones; as a new member, see `membership`."""
        await self.rejoin()
        # without an await in between: the member joins with the new list
        self._raw.subscribe(topics=list(topics), listener=self._listener)

    async def rejoin(self) -> None:
        """Leave the group, and join it as a new member."""
        coordinator = self._raw._coordinator  # noqa: SLF001
        instance, coordinator._group_instance_id = coordinator._group_instance_id, None  # noqa: SLF001
        try:
            await coordinator._maybe_leave_group()  # noqa: SLF001  # it asks to join again
        finally:
            coordinator._group_instance_id = instance  # noqa: SLF001

    async def position(self, place: Place) -> int:
        return int(await self._raw.position(TopicPartition(*place)))

    async def seek(self, place: Place, offset: int) -> None:
        self._raw.seek(TopicPartition(*place), offset)

    async def end_offsets(self, places: Collection[Place]) -> dict[Place, int]:
        try:
            ends = await self._raw.end_offsets([TopicPartition(*place) for place in places])
        except KafkaError as error:
            raise LogError(f"cannot ask for end offsets: {error!r}") from error
        return {(place.topic, place.partition): offset for place, offset in ends.items()}

    async def offsets_at(self, places: Collection[Place], timestamp_ms: int) -> dict[Place, int]:
        """Return the first offset at or after `timestamp_ms`; places without one are left out."""
        found = await self._raw.offsets_for_times(
            {TopicPartition(*place): timestamp_ms for place in places}
        )
        return {(p.topic, p.partition): int(at.offset) for p, at in found.items() if at is not None}

    def lag(self) -> dict[str, int]:
        """Return by topic the distance to the end that the last fetch saw. Never blocks."""
        return lag_of(self._raw)


@asynccontextmanager
async def _started(
    raw: AIOKafkaConsumer, servers: str, listener: _Listener | None = None
) -> AsyncIterator[GroupConsumer]:
    await start_client(raw, servers, "consumer")
    consumer = GroupConsumer(raw, servers, listener=listener)
    try:
        yield consumer
    finally:
        consumer.close()
        await asyncio.wait_for(raw.stop(), timeout=10)


@asynccontextmanager
async def open_group_consumer(
    servers: str,
    topics: Sequence[str],
    *,
    group: str,
    instance: str,
    on_revoked: OnRebalance = _ignore,
    on_assigned: OnRebalance = _ignore,
    timing: Timing = DEFAULT,
) -> AsyncIterator[GroupConsumer]:
    """Open the static member `instance` of `group`. Topics with equal partition counts are assigned together."""
    name = f"{group}.{instance}"
    await leave_if_changed(servers, group, name, topics)
    raw = AIOKafkaConsumer(
        **ACCESS.options(servers),
        client_id=name,
        group_id=group,
        group_instance_id=name,
        partition_assignment_strategy=[RangePartitionAssignor],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=timing.session_ms,
        heartbeat_interval_ms=timing.heartbeat_ms,
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        metadata_max_age_ms=METADATA_AGE_MS,
        max_partition_fetch_bytes=MAX_FETCH_BYTES,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    listener = _Listener(on_revoked, on_assigned)
    raw.subscribe(topics=list(topics), listener=listener)
    async with _started(raw, servers, listener) as consumer:
        yield consumer


@asynccontextmanager
async def open_reader(
    servers: str, places: Sequence[Place], *, client: str, fetch_wait_ms: int = FETCH_WAIT_MS
) -> AsyncIterator[GroupConsumer]:
    """Open a consumer without a group on `places`, from their beginnings; `seek` moves it.

    `fetch_wait_ms`: a fetch of empty partitions waits this long at the broker, and delays the fetches of other places.
    """
    raw = AIOKafkaConsumer(
        **ACCESS.options(servers),
        client_id=client,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=MAX_FETCH_BYTES,
        fetch_max_wait_ms=fetch_wait_ms,
    )
    raw.assign([TopicPartition(*place) for place in places])
    async with _started(raw, servers) as consumer:
        yield consumer
