"""Runs the embedded ClickHouse."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
import uvicorn
from pydantic import Field

from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.logs import configure_logs
from crossdock.kernel.process.ops_server import open_ops
from crossdock.kernel.process.settings import Settings
from crossdock.local.clickhouse.engine import Engine
from crossdock.local.clickhouse.library_pages import drop_library
from crossdock.local.clickhouse.server import make_app
from crossdock.local.clickhouse.statement import Statement

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class EngineSettings(Settings):
    """CROSSDOCK_ENGINE_*."""

    folder: Path
    """Folder of the embedded engine's data."""
    port: int = Field(ge=1, le=65535)
    """Port on 127.0.0.1 for ClickHouse's HTTP interface."""


async def main(environ: Mapping[str, str]) -> int:
    settings = EngineSettings.from_env(environ, prefix="CROSSDOCK_ENGINE_")
    configure_logs(settings.log_level, "clickhouse")
    health = Health("clickhouse", settings.ordinal)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_ops(health, settings.ops_port))
        engine = Engine(settings.folder)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(
            engine.threads, engine.run, Statement("SELECT 1", "TabSeparated")
        )
        log.info("library.dropped", kib=drop_library("_chdb"))
        config = uvicorn.Config(
            make_app(engine),
            host="127.0.0.1",
            port=settings.port,
            log_config=None,
            access_log=False,
            http="httptools",
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(config)

        async def serve(stop: asyncio.Event) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(server._serve())  # noqa: SLF001  # `serve` would install its own signal handlers
                health.clear("start")
                await stop.wait()
                server.should_exit = True

        return await lifecycle.run(serve, drain_s=settings.drain_s)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
