"""Runs the metering sink."""

import sys
from collections.abc import Mapping

from crossdock.kernel.drivers.clickhouse import open_tables
from crossdock.kernel.process import lifecycle
from crossdock.kernel.runtime.sink.batch import CutPolicy
from crossdock.kernel.runtime.sink.sink_worker import SinkSpec, SinkWorker
from crossdock.kernel.runtime.stage import open_stage, read_settings
from crossdock.metering.decode import SOURCES, decode
from crossdock.metering.rows import COLUMNS
from crossdock.metering.settings import MeteringSettings

SPEC = SinkSpec(
    group="crossdock.metering", sources=tuple(topic.name for topic in SOURCES), decode=decode
)


async def main(environ: Mapping[str, str]) -> int:
    settings = read_settings(MeteringSettings, environ, "metering")
    policy = CutPolicy(settings.max_rows, settings.max_bytes, settings.max_age_s)
    async with open_stage("metering", settings) as stage:
        tables = await stage.stack.enter_async_context(
            open_tables(settings.clickhouse_url, COLUMNS)
        )
        worker = SinkWorker(SPEC, stage, tables, await stage.open_producer(), policy)
        return await stage.run(worker.run)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
