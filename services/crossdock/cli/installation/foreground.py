"""An installation in the foreground. It shows a table of its processes until Ctrl-C or `crossdock down`."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live

from crossdock.cli.installation.local import process_table, welcome
from crossdock.cli.shared.installation import environment, without_given
from crossdock.local.datadir import DataDir
from crossdock.local.installation import UpOptions, plan
from crossdock.local.supervisor import Supervisor


def serve(
    data: DataDir,
    catalogues: Sequence[Path],
    scale: Mapping[str, int],
    latency_ms: float | None,
    *,
    show_key: bool,
) -> list[str]:
    """Run until SIGINT or SIGTERM; return the names of the processes that had to be killed."""
    return asyncio.run(_serve(data, UpOptions(catalogues, scale, latency_ms), show_key=show_key))


async def _serve(data: DataDir, options: UpOptions, *, show_key: bool) -> list[str]:
    console = Console(stderr=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    console.print(f"Crossdock in {data.path}", highlight=False)
    with console.status("preparing Kafka and its storage (only the first time, up to a minute)"):
        installation = await asyncio.to_thread(plan, data, options, without_given(environment()))
    with Live(console=console, auto_refresh=False, transient=not console.is_terminal) as live:

        def show() -> None:
            live.update(process_table(supervisor.state(), {}), refresh=console.is_terminal)
            if supervisor.phase == "ready" and not shown:
                shown.append(True)
                live.console.print(welcome(data, show_key=show_key), highlight=False)

        shown: list[bool] = []
        supervisor = Supervisor(data, os.getpid(), on_change=show)
        return await supervisor.run(installation, stop)
