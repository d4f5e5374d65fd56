"""Runs the batches stage."""

import sys
from collections import defaultdict
from collections.abc import Mapping

from crossdock.batches.partition import BatchesPartition
from crossdock.batches.settings import BatchesSettings
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process import lifecycle
from crossdock.kernel.runtime.fair_threads import FairThreads
from crossdock.kernel.runtime.live_catalogue import LiveCatalogue
from crossdock.kernel.runtime.shard.shard import ShardWorker
from crossdock.kernel.runtime.shard.spec import ShardSpec
from crossdock.kernel.runtime.stage import open_stage, read_settings
from crossdock_schemas.ids import BatchId
from crossdock_schemas.topics import BATCH_COMMANDS, BATCH_RESULTS, BATCH_STATE

SPEC = ShardSpec(
    group="crossdock.batches",
    sources=(BATCH_COMMANDS.name, BATCH_RESULTS.name),
    state=BATCH_STATE.name,
)


async def main(environ: Mapping[str, str]) -> int:
    settings = read_settings(BatchesSettings, environ, "batches")
    catalogue = LiveCatalogue(settings.catalogue)
    async with open_stage("batches", settings) as stage:
        objects = open_objects(settings.objects_url)
        threads = FairThreads(max_waiting=None)

        failing = defaultdict[int, set[BatchId]](set)

        def open_partition(number: int) -> BatchesPartition:
            opened = BatchesPartition(
                number,
                settings,
                catalogue.current,
                objects,
                stage.clock,
                health=stage.health,
                failing=failing[number],
                threads=threads,
            )
            catalogue.on_change(opened.use, of=number)
            return opened

        await stage.beside(catalogue.follow())

        worker = ShardWorker(
            SPEC,
            open_partition,
            servers=stage.servers,
            instance=settings.instance,
            health=stage.health,
            timing=settings.timing,
        )
        return await stage.run(worker.run)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
