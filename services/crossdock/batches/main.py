"""Runs the batches stage."""

import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack

from crossdock.batches.partition import BatchesPartition
from crossdock.batches.settings import BatchesSettings
from crossdock.kernel.drivers.kafka import BROKER, wait_for_broker
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.logs import configure_logs
from crossdock.kernel.process.ops_server import open_ops
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock.kernel.runtime.shard.shard import ShardSpec, ShardWorker
from crossdock_schemas.topics import BATCH_COMMANDS, BATCH_RESULTS, BATCH_STATE

SPEC = ShardSpec(
    group="crossdock.batches",
    sources=(BATCH_COMMANDS.name, BATCH_RESULTS.name),
    state=BATCH_STATE.name,
)


async def main(environ: Mapping[str, str]) -> int:
    settings = BatchesSettings.from_env(environ, prefix="CROSSDOCK_BATCHES_")
    configure_logs(settings.log_level, "batches")
    catalogue = load_catalogue(settings.catalogue)
    clock = SystemClock()
    health = Health("batches", settings.ordinal)
    async with AsyncExitStack() as stack:
        health.check("kafka", BROKER.why_not)
        await stack.enter_async_context(open_ops(health, settings.ops_port))
        await wait_for_broker(settings.kafka_bootstrap_servers, timeout_s=settings.broker_wait_s)
        objects = open_objects(settings.objects_url)

        def open_partition(partition: int) -> BatchesPartition:
            return BatchesPartition(partition, settings, catalogue, objects, clock, health=health)

        worker = ShardWorker(
            SPEC,
            open_partition,
            servers=settings.kafka_bootstrap_servers,
            instance=settings.instance,
            health=health,
            timing=settings.timing,
        )
        return await lifecycle.run(worker.run, drain_s=settings.drain_s)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
