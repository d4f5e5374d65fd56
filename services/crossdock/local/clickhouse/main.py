"""Runs the embedded ClickHouse."""

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path

import structlog
import uvicorn
from pydantic import Field, SecretStr

import crossdock
import crossdock_schemas
from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.logs import configure_logs
from crossdock.kernel.process.ops_server import open_ops
from crossdock.kernel.process.settings import Settings
from crossdock.local.clickhouse.access import OWNER, Users
from crossdock.local.clickhouse.engine import Engine, prepare
from crossdock.local.clickhouse.library_pages import drop_library
from crossdock.local.clickhouse.protocol import BoundedProtocol
from crossdock.local.clickhouse.sandbox import shut_in
from crossdock.local.clickhouse.server import make_app
from crossdock.local.clickhouse.statement import Statement

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MAX_HEADER_BYTES = 65_536
MAX_CLIENTS = 256


class EngineSettings(Settings):
    """CROSSDOCK_ENGINE_*."""

    folder: Path
    """Folder of the embedded engine's data."""
    port: int = Field(ge=1, le=65535)
    """Port on 127.0.0.1 for ClickHouse's HTTP interface."""
    users: SecretStr
    """Users with the SHA-256 of their secrets: name=digest, comma-separated."""


async def main(environ: Mapping[str, str]) -> int:
    settings = EngineSettings.from_env(environ, prefix="CROSSDOCK_ENGINE_")
    configure_logs(settings.log_level, "clickhouse")
    health = Health("clickhouse", settings.ordinal)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_ops(health, settings.ops_port))
        engine = _open_engine(settings.folder)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(
            engine.threads, engine.run, Statement("SELECT 1", "TabSeparated"), OWNER
        )
        log.info("library.dropped", kib=drop_library("_chdb"))
        config = uvicorn.Config(
            make_app(engine, Users.parse(settings.users.get_secret_value())),
            host="127.0.0.1",
            port=settings.port,
            log_config=None,
            access_log=False,
            http=BoundedProtocol,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            limit_concurrency=MAX_CLIENTS,
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


def _open_engine(folder: Path) -> Engine:
    """Open the engine in a process that reaches only its own folders."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(folder.parent)
    near = Path(folder.name)
    writable = prepare(near)
    ours = [Path(path) for module in (crossdock, crossdock_schemas) for path in module.__path__]
    if (spec := find_spec("chdb")) is not None and spec.origin is not None:
        ours.append(Path(spec.origin).parents[1])
    os.putenv("TMPDIR", str(writable[-1].absolute()))  # chdb makes a folder when it is imported
    version = shut_in(writable, [Path(f"{near}-access"), *ours])
    log.info("sandbox.closed" if version else "sandbox.unavailable", landlock=version)
    return Engine(near)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
