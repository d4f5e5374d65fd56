"""The shape "agents": faust, for stateless work per message. The only module that imports faust.

It adds what faust lacks (reference/streaming.md, 1):
- it reads committed records only: faust hard-codes read_uncommitted, so the consumer is changed after it is made;
- outputs and position are committed once, in one transaction (`exactly_once`); faust's own commit may lag, and a
  message that it delivers again is skipped;
- a message is acknowledged after that; faust acknowledges in a `finally`, also when handling failed;
- acknowledgements are in the order of the offsets, one batch after another, so the commit never skips a message;
- an error in `handle` ends the process; faust would log it, acknowledge and continue.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import faust
import structlog
from faust.streams import Stream
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, EventT, StreamT
from faust.types.auth import CredentialsT
from typing_extensions import override

from crossdock.kernel.drivers.kafka.consumer import METADATA_AGE_MS, has_joined, lag_of, position_of
from crossdock.kernel.process.errors import FencedError
from crossdock.kernel.process.kafka_settings import ACCESS, KafkaSettings
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.process.timing import DEFAULT, Timing
from crossdock.kernel.runtime.agents.exactly_once import Once

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MAX_BATCH = 1000
STOP_S = 10.0  # for an orderly stop of faust
LOOK_S = 0.05
LOOK_AHEAD = 2000  # events held before faust's stream has to wait

Handle = Callable[[Sequence[Record]], Awaitable[list[Outgoing]]]
"""Returns the outputs of records of one partition."""


@dataclass(frozen=True)
class AgentSpec:
    """An agent stage: its group, the topic that it reads, and the topic of its positions."""

    group: str
    source: str
    positions: str


def _credentials(access: KafkaSettings) -> CredentialsT | None:
    """Return how faust connects: as aiokafka's own clients."""
    context = access.ssl_context()
    if access.uses_sasl:
        return faust.SASLCredentials(
            username=access.kafka_sasl_username,
            password=access.kafka_sasl_password.get_secret_value(),
            mechanism=access.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    """Makes the consumer read committed records only."""

    @override
    def _create_worker_consumer(self, transport: Any) -> Any:  # faust's own signature
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001  # read when it starts; there is no setting
        consumer._fetch_max_wait_ms = 500  # noqa: SLF001  # faust's 1500 delays an orderly stop
        return consumer


class _Consumer(driver.Consumer):
    """Commits the positions of `Once`.

    faust's own count stands still at each transaction marker: it adds a gap with the record behind it, so the run of
    acknowledged offsets ends there.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fetched: dict[int, int] = {}
        """The offset of the last record that was fetched, by partition."""

    @override
    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return cast("_Transport", self.transport).position_of(tp.partition)

    @override
    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: positions need no gaps."""

    @override
    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        records = await super()._getmany(active_partitions, timeout)
        self.fetched |= {tp.partition: batch[-1].offset for tp, batch in records.items() if batch}
        return records

    @override
    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _Transport(driver.Transport):
    Consumer = _Consumer  # type: ignore[mutable-override]  # how faust names its parts
    position_of: Callable[[int], int | None]


class AgentRunner:
    """One agent on one topic, as a static member of its group."""

    def __init__(
        self,
        spec: AgentSpec,
        servers: str,
        handle: Handle,
        *,
        instance: str,
        folder: Path,
        timing: Timing = DEFAULT,
    ) -> None:
        self._handle = handle
        self._source = spec.source
        group = spec.group
        self._once = Once(
            servers, spec.source, group=group, positions=spec.positions, timing=timing
        )
        self._events: list[EventT[Any]] = []
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._stream: StreamT[Any] | None = None
        self.app = faust.App(
            group,
            broker=[f"kafka://{server}" for server in servers.split(",")],
            broker_credentials=_credentials(ACCESS.of(servers)),
            datadir=str(folder),
            autodiscover=False,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            consumer_group_instance_id=f"{group}.{instance}",
            consumer_auto_offset_reset="earliest",
            consumer_metadata_max_age_ms=METADATA_AGE_MS,
            broker_client_id=f"{group}.{instance}",
            broker_commit_interval=1.0,
            broker_session_timeout=timing.session_ms / 1000,
            broker_heartbeat_interval=timing.heartbeat_ms / 1000,
            stream_wait_empty=True,
            store="memory://",
        )
        transport = _Transport(self.app.conf.broker, self.app, self.app.loop)
        transport.position_of = self._once.position
        self.app.transport = transport
        source = self.app.topic(spec.source, key_serializer="raw", value_serializer="raw")
        self.app.agent(source, concurrency=1)(self._take)

    async def _take(self, stream: StreamT[Any]) -> None:
        manual = cast("Stream[Any]", stream).noack()
        self._stream = manual
        async for event in manual.events():
            self._events.append(event)
            self._arrived.set()
            if len(self._events) >= LOOK_AHEAD:
                self._room.clear()
                await self._room.wait()

    def lag(self) -> dict[str, int]:
        """Return the lag by topic; empty before the first assignment."""
        return {} if self._consumer is None else lag_of(self._consumer)

    @property
    def _consumer(self) -> Any:  # untyped upstream
        """The consumer inside faust's; None before it was assigned partitions."""
        raw = self._raw_consumer
        return raw if raw is not None and raw.assignment() else None

    @property
    def _raw_consumer(self) -> Any:  # untyped upstream
        return getattr(getattr(self.app.consumer, "_thread", None), "_consumer", None)

    def _has_joined(self) -> bool:
        """Return whether the group has assigned it what it reads: nothing, if it has more members than partitions."""
        raw = self._raw_consumer
        if raw is None or self.app.rebalancing or not raw.partitions_for_topic(self._source):
            return False
        return has_joined(raw)

    async def _catch_up(self) -> None:
        """Return once the records that were there at the first assignment are sent on."""
        await _until(self._has_joined)
        ends = await self.app.consumer.highwaters(*self.app.consumer.assignment())
        await _until(lambda: all(self._has_reached(place, end) for place, end in ends.items()))

    def _has_reached(self, place: Any, end: int) -> bool:
        """Return whether the records of a partition below `end` are sent on; one that was lost needs no more."""
        consumer = self._consumer
        if consumer is None or place.partition not in self._partitions():
            return True
        position = position_of(consumer, place)
        if position is None or position < end:
            return False
        last = cast("_Consumer", self.app.consumer).fetched.get(place.partition)
        return last is None or (self._once.position(place.partition) or 0) > last

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Handle messages until `stop`; then finish the current batch and leave the group.

        `on_ready` is called once it has sent on what waited when it joined.

        Raises:
            CrossdockError: the error of `handle`; no message of that batch was acknowledged.
        """
        await self.app.start()
        catching_up = asyncio.ensure_future(self._catch_up())  # noqa: TID251  # cancelled below
        catching_up.add_done_callback(lambda done: None if done.cancelled() else on_ready())
        stopping = asyncio.ensure_future(stop.wait())  # noqa: TID251  # cancelled below
        try:
            while not stop.is_set():
                arriving = asyncio.ensure_future(self._arrived.wait())  # noqa: TID251  # cancelled below
                await asyncio.wait((arriving, stopping), return_when=asyncio.FIRST_COMPLETED)
                arriving.cancel()
                self._arrived.clear()
                await self._handle_waiting()
        except BaseException:
            self.app.conf.stream_wait_empty = False  # the open messages are never acknowledged
            raise
        finally:
            stopping.cancel()
            catching_up.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self.app.stop()
            await self._once.close()

    async def _handle_waiting(self) -> None:
        while self._events:
            batch, self._events = self._events[:MAX_BATCH], self._events[MAX_BATCH:]
            self._room.set()
            await self._once.keep_only(self._partitions())
            by_partition: dict[int, list[Record]] = {}
            for event in batch:
                by_partition.setdefault(event.message.partition, []).append(_record(event))
            async with asyncio.TaskGroup() as group:
                for partition, records in by_partition.items():
                    group.create_task(self._send_on(partition, records))
            for event in batch:
                if self._stream is not None:
                    await self._stream.ack(event)

    async def _send_on(self, partition: int, records: Sequence[Record]) -> None:
        try:
            unsent = await self._once.unsent(partition, records)
            if unsent:
                outgoing = await self._handle(unsent)
                await self._once.commit(partition, outgoing, unsent[-1].offset + 1)
        except FencedError:
            if partition in self._partitions():
                raise
            log.info("partition.lost", partition=partition)  # its new owner reads these records too

    def _partitions(self) -> set[int]:
        """Return the assigned partitions."""
        return {place.partition for place in self.app.consumer.assignment()}


def _record(event: EventT[Any]) -> Record:
    message = event.message
    headers = message.headers or ()
    return Record(
        message.topic,
        message.partition,
        message.offset,
        int((message.timestamp or 0) * 1000),
        message.key,
        message.value,
        list(headers.items()) if isinstance(headers, Mapping) else list(headers),
    )


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # faust has no event for it
        await asyncio.sleep(LOOK_S)
