"""Runs a router."""

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from crossdock.kernel.drivers.kafka import Tail
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process import lifecycle
from crossdock.kernel.runtime.agents.faust_runner import AgentRunner, AgentSpec
from crossdock.kernel.runtime.live_catalogue import LiveCatalogue
from crossdock.kernel.runtime.stage import open_stage, read_settings
from crossdock.router.routing import Router
from crossdock.router.settings import RouterSettings
from crossdock_schemas.topics import ADMITTED, FLEET, ROUTER_POSITIONS

FLEET_MEMORY_MS = 60_000
SPEC = AgentSpec(group="crossdock.router", source=ADMITTED.name, positions=ROUTER_POSITIONS.name)


async def main(environ: Mapping[str, str]) -> int:
    settings = read_settings(RouterSettings, environ, "router")
    catalogue = LiveCatalogue(settings.catalogue)
    async with open_stage("router", settings) as stage:
        objects = open_objects(settings.objects_url)
        rate = settings.sick_error_rate
        router = Router(catalogue.current, objects, stage.clock, sick_error_rate=rate)
        catalogue.on_change(router.use)
        await stage.beside(catalogue.follow())
        folder = settings.data_dir or stage.stack.enter_context(tempfile.TemporaryDirectory())

        async def serve(stop: asyncio.Event) -> None:
            runner = AgentRunner(
                SPEC,
                stage.servers,
                router.route,
                instance=settings.instance,
                folder=Path(folder),
                timing=settings.timing,
            )
            since_ms = stage.clock.now_ms() - FLEET_MEMORY_MS
            client, places = f"{stage.client}.fleet", [(FLEET.name, 0)]
            tail = Tail(stage.servers, places, router.observe, client=client, since_ms=since_ms)
            stage.health.lag = lambda: runner.lag() | tail.lag()
            async with asyncio.TaskGroup() as group:
                group.create_task(tail.run(stop))
                await runner.run(stop, lambda: stage.health.clear("start"))

        return await stage.run(serve)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
