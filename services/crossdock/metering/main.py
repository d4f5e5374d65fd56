"""Runs the metering sink."""

import asyncio
import sys
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack

from crossdock.kernel.drivers.clickhouse import open_tables
from crossdock.kernel.drivers.kafka import (
    BROKER,
    open_group_consumer,
    open_producer,
    wait_for_broker,
)
from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.logs import configure_logs
from crossdock.kernel.process.ops_server import open_ops
from crossdock.kernel.runtime.dead_letters import DeadLetters
from crossdock.kernel.runtime.sink.batch import CutPolicy
from crossdock.kernel.runtime.sink.sink import Sink
from crossdock.metering.decode import decode
from crossdock.metering.rows import COLUMNS
from crossdock.metering.settings import MeteringSettings
from crossdock_schemas.topics import (
    ACCOUNT_ALERTS,
    ACCOUNT_CHANGES,
    ACCOUNT_JOURNAL,
    BATCH_DIRECTORY,
    BATCH_RESULTS,
    RESULTS,
    USAGE,
)

GROUP = "crossdock.metering"
TOPICS = [
    USAGE.name,
    RESULTS.name,
    BATCH_RESULTS.name,
    BATCH_DIRECTORY.name,
    ACCOUNT_CHANGES.name,
    ACCOUNT_JOURNAL.name,
    ACCOUNT_ALERTS.name,
]


async def main(environ: Mapping[str, str]) -> int:
    settings = MeteringSettings.from_env(environ, prefix="CROSSDOCK_METERING_")
    configure_logs(settings.log_level, "metering")
    health = Health("metering", settings.ordinal)
    policy = CutPolicy(settings.max_rows, settings.max_bytes, settings.max_age_s)
    async with AsyncExitStack() as stack:
        health.check("kafka", BROKER.why_not)
        await stack.enter_async_context(open_ops(health, settings.ops_port))
        await wait_for_broker(settings.kafka_bootstrap_servers, timeout_s=settings.broker_wait_s)
        tables = await stack.enter_async_context(open_tables(settings.clickhouse_url, COLUMNS))
        producer = await stack.enter_async_context(
            open_producer(settings.kafka_bootstrap_servers, client=f"metering.{settings.instance}")
        )
        dead = DeadLetters("metering", SystemClock())

        async def serve(stop: asyncio.Event) -> None:
            sinks: list[Sink] = []

            async def forget(places: Collection[tuple[str, int]]) -> None:
                for sink in sinks:
                    await sink.forget(places)

            async with open_group_consumer(
                settings.kafka_bootstrap_servers,
                TOPICS,
                group=GROUP,
                instance=settings.instance,
                on_revoked=forget,
                timing=settings.timing,
            ) as consumer:
                sink = Sink(consumer, tables, decode, producer, dead, policy=policy, health=health)
                sinks.append(sink)
                health.lag = consumer.lag
                health.report(lambda: {"waiting": sink.waiting})
                health.clear("start")
                await sink.run(stop)

        return await lifecycle.run(serve, drain_s=settings.drain_s)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
