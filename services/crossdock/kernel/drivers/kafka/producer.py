"""Idempotent producers that send groups: one broker batch per partition, acknowledged before `send` returns."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import zip_longest
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    ProducerFenced,
    UnknownTopicOrPartitionError,
)

from crossdock.kernel.drivers.kafka.broker_health import BROKER
from crossdock.kernel.drivers.kafka.client import start_client
from crossdock.kernel.process import metrics
from crossdock.kernel.process.errors import FencedError, LogError, RecordTooLargeError
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.kernel.process.metrics import Traffic
from crossdock.kernel.process.record import MAX_RECORD_BYTES, Outgoing, partition_for
from crossdock.kernel.process.timing import DEFAULT, Timing

REQUEST_TIMEOUT_MS = 30_000
SEND_LIMIT_S = 60.0  # aiokafka's idempotent batches never expire; a stuck sender ends the process
STOP_LIMIT_S = 10.0


class Producer:
    """Sends groups of records, in order within a partition."""

    def __init__(self, raw: AIOKafkaProducer, *, send_limit_s: float = SEND_LIMIT_S) -> None:
        self._raw = raw
        self._send_limit_s = send_limit_s
        self._partitions: dict[str, int] = {}

    async def send(self, messages: Sequence[Outgoing]) -> dict[tuple[str, int], int]:
        """Send `messages` and wait until Kafka acknowledged all; return by place the offset of the first one.

        Raises:
            FencedError: if another process took over the transactional id.
            LogError: if Kafka refused, or did not answer in time.
            RecordTooLargeError: if a record is too large; then nothing was sent.
        """
        if not messages:
            return {}
        check_sizes(messages)
        traffic = Traffic()
        try:
            with BROKER.owing():
                async with asyncio.timeout(self._send_limit_s):
                    offsets = await self._send(messages, traffic)
        except TimeoutError as error:
            limit_s = self._send_limit_s
            raise LogError(
                f"no acknowledgement from {messages[0].topic!r} in {limit_s:.0f} s"
            ) from error
        except ProducerFenced as error:
            raise FencedError(str(error)) from error
        except KafkaError as error:
            raise LogError(f"cannot send to {messages[0].topic!r}: {error!r}") from error
        traffic.count(metrics.RECORDS_SENT, metrics.BYTES_SENT)
        return offsets

    async def _send(
        self, messages: Sequence[Outgoing], traffic: Traffic
    ) -> dict[tuple[str, int], int]:
        grouped: dict[tuple[str, int], list[Outgoing]] = {}
        for message in messages:
            partition = message.partition
            if partition is None:
                partition = partition_for(message.key, await self.partition_count(message.topic))
            grouped.setdefault((message.topic, partition), []).append(message)
        batches = {place: self._batches(group, traffic) for place, group in grouped.items()}
        shipped: list[Awaitable[Any]] = []
        try:
            # why in turns: the second batch of a partition waits until the first one is sent
            for turn in zip_longest(*batches.values()):
                for place, batch in zip(batches, turn, strict=True):
                    if batch is not None:
                        shipped.append(await self._ship(batch, place))
        except KafkaError:
            await asyncio.gather(*shipped, return_exceptions=True)
            raise
        firsts = await _all_of(shipped)
        return {place: int(first.offset) for place, first in zip(batches, firsts, strict=False)}

    def _batches(
        self, group: Iterable[Outgoing], traffic: Traffic
    ) -> list[Any]:  # untyped upstream
        """Return builders of batches that hold `group` in order."""
        timestamp = time.time_ns() // 1_000_000  # the record's own timestamp
        builders: list[Any] = []
        for message in group:
            size = self._append(builders[-1], message, timestamp) if builders else None
            if size is None:
                builders.append(self._raw.create_batch())
                size = self._append(builders[-1], message, timestamp)  # a first record always fits
            traffic.add(message.topic, size or 0)
        return builders

    @staticmethod
    def _append(builder: Any, message: Outgoing, timestamp: int) -> int | None:  # untyped upstream
        """Return how many bytes `message` takes in the batch; None if it does not fit."""
        appended = builder.append(
            timestamp=timestamp, key=message.key, value=message.value, headers=message.headers
        )
        return None if appended is None else appended.size

    async def _ship(self, builder: Any, place: tuple[str, int]) -> Any:  # untyped upstream
        return await self._raw.send_batch(builder, place[0], partition=place[1])

    async def partition_count(self, topic: str) -> int:
        """Return the number of partitions of `topic`. It is cached, because partitions are never added.

        Waits while no broker answers: a worker with calls in flight must not end because of it.

        Raises:
            UnknownTopicOrPartitionError: if a broker answers that there is no such topic.
        """
        while topic not in self._partitions:
            try:
                self._partitions[topic] = len(await self._raw.partitions_for(topic))
            except UnknownTopicOrPartitionError:
                if await self._raw.client.force_metadata_update():
                    raise
        return self._partitions[topic]


class TransactionalProducer(Producer):
    """A producer whose sends become visible together, or never."""

    def __init__(
        self, raw: AIOKafkaProducer, transactional_id: str, *, commit_limit_s: float
    ) -> None:
        super().__init__(raw)
        self.transactional_id = transactional_id
        self._commit_limit_s = commit_limit_s

    async def commit(self, messages: Sequence[Outgoing]) -> None:
        """Send `messages` in one transaction.

        Raises:
            FencedError: if another process took over; no message became visible.
            LogError: if Kafka refused; the transaction was aborted, or its end is unknown and fenced later.
            RecordTooLargeError: if a record is too large; the transaction was aborted.
        """
        if not messages:
            return
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._commit_limit_s), self._raw.transaction():
                await self.send(messages)
        except TimeoutError as error:
            metrics.TRANSACTIONS.labels("failed").inc()
            limit_s = self._commit_limit_s
            raise LogError(
                f"transaction of {self.transactional_id!r} did not end in {limit_s:.0f} s"
            ) from error
        except ProducerFenced as error:
            metrics.TRANSACTIONS.labels("fenced").inc()
            raise FencedError(f"{self.transactional_id!r} was taken over: {error!r}") from error
        except KafkaError as error:
            metrics.TRANSACTIONS.labels("failed").inc()
            raise LogError(f"transaction of {self.transactional_id!r} failed: {error!r}") from error
        metrics.TRANSACTIONS.labels("committed").inc()
        metrics.TRANSACTION_SECONDS.observe(time.monotonic() - started)


def check_sizes(messages: Iterable[Outgoing]) -> None:
    """Check that Kafka takes `messages`.

    Raises:
        RecordTooLargeError: for the first one that is too large.
    """
    for message in messages:
        if message.is_too_large:
            raise RecordTooLargeError(message.topic, message.key, message.size)


async def _all_of(awaitables: Iterable[Awaitable[Any]]) -> list[Any]:
    """Wait for all of them, then raise the first error."""
    outcomes = await asyncio.gather(*awaitables, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


@asynccontextmanager
async def _started(raw: AIOKafkaProducer, servers: str) -> AsyncIterator[AIOKafkaProducer]:
    await start_client(raw, servers, "producer")
    try:
        yield raw
    except BaseException:
        with suppress(KafkaError, TimeoutError):  # the first error is the reason
            await asyncio.wait_for(raw.stop(), timeout=STOP_LIMIT_S)
        raise
    try:
        await asyncio.wait_for(raw.stop(), timeout=STOP_LIMIT_S)
    except (KafkaError, TimeoutError) as error:
        raise LogError(f"the producer did not stop in order: {error!r}") from error


@asynccontextmanager
async def open_producer(
    servers: str, *, client: str, linger_ms: int = 0, send_limit_s: float = SEND_LIMIT_S
) -> AsyncIterator[Producer]:
    """Open an idempotent producer (acks=all). A send that takes longer than `send_limit_s` is an error."""
    raw = AIOKafkaProducer(
        **ACCESS.options(servers),
        client_id=client,
        enable_idempotence=True,
        acks="all",
        linger_ms=linger_ms,
        max_batch_size=MAX_RECORD_BYTES,
        max_request_size=MAX_RECORD_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    async with _started(raw, servers):
        yield Producer(raw, send_limit_s=send_limit_s)


@asynccontextmanager
async def open_transactional_producer(
    servers: str,
    *,
    client: str,
    transactional_id: str,
    timing: Timing = DEFAULT,
) -> AsyncIterator[TransactionalProducer]:
    """Open the producer of one partition. Opening fences every earlier holder of `transactional_id`."""
    raw = AIOKafkaProducer(
        **ACCESS.options(servers),
        client_id=client,
        transactional_id=transactional_id,
        transaction_timeout_ms=timing.transaction_ms,
        retry_backoff_ms=5,  # the first send after a commit is often answered "not yet"; the default 100 ms is p90
        max_batch_size=MAX_RECORD_BYTES,
        max_request_size=MAX_RECORD_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    async with _started(raw, servers):
        yield TransactionalProducer(raw, transactional_id, commit_limit_s=timing.commit_limit_s)
