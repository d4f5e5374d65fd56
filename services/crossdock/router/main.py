"""Runs a router."""

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from crossdock.kernel.drivers.kafka import BROKER, Tail, wait_for_broker
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.logs import configure_logs
from crossdock.kernel.process.ops_server import open_ops
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock.kernel.runtime.agents.faust_runner import AgentRunner
from crossdock.router.routing import Router
from crossdock.router.settings import RouterSettings
from crossdock_schemas.topics import ADMITTED, FLEET, ROUTER_POSITIONS

GROUP = "crossdock.router"
FLEET_MEMORY_MS = 60_000


async def main(environ: Mapping[str, str]) -> int:
    settings = RouterSettings.from_env(environ, prefix="CROSSDOCK_ROUTER_")
    configure_logs(settings.log_level, "router")
    catalogue = load_catalogue(settings.catalogue)
    servers, clock = settings.kafka_bootstrap_servers, SystemClock()
    health = Health("router", settings.ordinal)
    async with AsyncExitStack() as stack:
        health.check("kafka", BROKER.why_not)
        await stack.enter_async_context(open_ops(health, settings.ops_port))
        await wait_for_broker(settings.kafka_bootstrap_servers, timeout_s=settings.broker_wait_s)
        router = Router(
            catalogue,
            open_objects(settings.objects_url),
            clock,
            sick_error_rate=settings.sick_error_rate,
        )
        folder = settings.data_dir or stack.enter_context(tempfile.TemporaryDirectory())

        async def serve(stop: asyncio.Event) -> None:
            runner = AgentRunner(
                servers,
                ADMITTED.name,
                router.route,
                group=GROUP,
                instance=settings.instance,
                positions=ROUTER_POSITIONS.name,
                folder=Path(folder),
                timing=settings.timing,
            )
            health.lag = lambda: runner.lag() | tail.lag()
            tail = Tail(
                servers,
                [(FLEET.name, 0)],
                router.observe,
                client=f"router.{settings.instance}.fleet",
                since_ms=clock.now_ms() - FLEET_MEMORY_MS,
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(tail.run(stop))
                await runner.run(stop, lambda: health.clear("start"))

        return await lifecycle.run(serve, drain_s=settings.drain_s)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
