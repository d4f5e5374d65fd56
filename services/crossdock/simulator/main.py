"""Runs the simulated provider."""

import asyncio
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing, suppress

from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.logs import configure_logs
from crossdock.kernel.process.ops_server import open_ops
from crossdock.simulator.control import SimulatedFleet
from crossdock.simulator.core.behaviour import Behaviour, Latency
from crossdock.simulator.ledger import CallLedger
from crossdock.simulator.provider import World
from crossdock.simulator.server import open_server
from crossdock.simulator.settings import SimulatorSettings
from crossdock.simulator.site import SimulatorSite

_FLUSH_EVERY_S = 0.1  # for rows that no answer flushes: hanging calls, and ends of the last calls


async def main(environ: Mapping[str, str]) -> int:
    settings = SimulatorSettings.from_env(environ, prefix="CROSSDOCK_SIMULATOR_")
    configure_logs(settings.log_level, "simulator")
    health = Health("simulator", settings.ordinal)
    async with AsyncExitStack() as stack:
        ledger = stack.enter_context(closing(CallLedger(settings.ledger)))
        world = World(ledger, settings.seed, time.time_ns, time.monotonic)
        site = SimulatorSite(
            SimulatedFleet(world, Behaviour(latency=Latency(ms=settings.latency_ms)))
        )
        await stack.enter_async_context(open_ops(health, settings.ops_port))
        server = await stack.enter_async_context(open_server(site, settings.host, settings.port))
        health.report(lambda: {"calls": len(ledger), "connections": server.connections})

        async def serve(stop: asyncio.Event) -> None:
            health.clear("start")
            while not stop.is_set():
                ledger.flush()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _FLUSH_EVERY_S)
            await server.drain()

        return await lifecycle.run(serve, drain_s=settings.drain_s)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
