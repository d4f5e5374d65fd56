"""crossdock up, down, status, logs, check, env: one installation on this machine."""

import asyncio
import math
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from crossdock.cli.shared.doors import doors_of
from crossdock.cli.shared.installation import (
    GIVEN,
    SHOWN,
    DataDirOption,
    addresses,
    data_dir,
    environment,
    without_given,
    without_secret,
)
from crossdock.cli.shared.options import JsonOption
from crossdock.cli.shared.output import show_json
from crossdock.kernel.process.errors import ProcessError
from crossdock.local.checks import findings, lack_of_space
from crossdock.local.datadir import DataDir
from crossdock.local.probe import status_of
from crossdock.local.process import end_leftovers, find
from crossdock_schemas.stages import STAGES

CatalogueOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--catalogue",
        help="A file of your own OpenAI-compatible providers (TOML or JSON), added to the built-in ones; may be repeated.",
    ),
]
ScaleOption = Annotated[
    list[str] | None,
    typer.Option("--scale", help="The processes of a stage, such as provider=2; may be repeated."),
]
LatencyOption = Annotated[
    float | None, typer.Option("--latency-ms", help="The latency of the simulated providers.")
]
PUBLIC = {
    *("OPENAI_BASE_URL", "CLICKHOUSE_URL", "KAFKA_BOOTSTRAP_SERVERS", "CROSSDOCK_SIMULATOR_URL"),
}
_COLOURS = {
    "ready": "green",
    "starting": "yellow",
    "restarting": "red",
    "gone": "red",
    "stopping": "yellow",
    "stopped": "dim",
}


def _counts(scale: Sequence[str]) -> dict[str, int]:
    names = [stage.name for stage in STAGES]
    counts: dict[str, int] = {}
    for item in scale:
        stage, _, count = item.partition("=")
        if stage not in names or not count.isdigit() or int(count) < 1:
            raise ProcessError(
                f"invalid --scale {item!r}: use STAGE=COUNT; STAGE is one of {', '.join(names)}"
            )
        counts[stage] = int(count)
    return counts


def up(
    ctx: typer.Context,
    data_dir_: DataDirOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Run it in the background; return when it is ready.")
    ] = False,
    catalogue: CatalogueOption = None,
    scale: ScaleOption = None,
    latency_ms: LatencyOption = None,
) -> None:
    """Start everything on this machine, with a simulated provider.

    It starts Kafka unless KAFKA_BOOTSTRAP_SERVERS is set, and ClickHouse unless CLICKHOUSE_URL is set.
    """
    data = data_dir(data_dir_)
    data.make()
    counts = _counts(scale or ())
    if detach:
        _detach(data, sys.argv[1:])
        return
    with data.locked():
        _, is_new = data.api_key()
        files = [path.absolute() for path in catalogue or ()]
        left = doors_of(ctx).serve(data, files, counts, latency_ms, show_key=is_new)
    if left:
        raise ProcessError(f"killed, because they did not stop in time: {', '.join(left)}")


def welcome(data: DataDir, *, show_key: bool, is_detached: bool = False) -> str:
    """Return the addresses, the new API key if there is one, and the next steps."""
    found = addresses(data, without_given(environment()))
    key = f"  your API key, shown once:  {found['OPENAI_API_KEY']}\n" if show_key else ""
    folder = shlex.quote(str(data.path))
    stop = "stop:           " if is_detached else "stop:            Ctrl-C, or"
    return (
        f"Ready: {found['OPENAI_BASE_URL']} (OpenAI's API), {without_secret(found['CLICKHOUSE_URL'])} (SQL)\n{key}"
        f'  for your shell:  eval "$(crossdock env --data-dir {folder})"\n'
        f"  then:            crossdock batches submit FILE, crossdock usage\n"
        f"  {stop} crossdock down --data-dir {folder}"
    )


def _detach(data: DataDir, arguments: Sequence[str]) -> None:
    """Start the supervisor in a session of its own, and wait until it is ready."""
    if data.is_running():
        with data.locked():
            return
    _, is_new = data.api_key()
    process = spawn(data, [argument for argument in arguments if argument != "--detach"])
    wait_until_ready(data, process)
    sys.stderr.write(welcome(data, show_key=is_new, is_detached=True) + "\n")


def spawn(data: DataDir, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start `crossdock` with `arguments` in a session of its own. It writes to the supervisor's log."""
    if not data.is_running():
        data.write_state({})
    with data.log_path("supervisor").open("wb") as out:
        return subprocess.Popen(  # noqa: S603  # ourselves
            [sys.executable, "-m", "crossdock", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def wait_until_ready(
    data: DataDir, process: subprocess.Popen[bytes], limit_s: float = math.inf
) -> None:
    """Wait for an installation that `spawn` started.

    Raises:
        ProcessError: if its process ended, or it is not ready in time.
    """
    give_up = time.monotonic() + limit_s
    while data.read_state().get("phase") != "ready":
        if time.monotonic() > give_up:
            raise ProcessError(
                f"not ready after {limit_s:.0f} s: see {data.log_path('supervisor')}"
            )
        if process.poll() is not None:
            raise data.supervisors_error()
        time.sleep(0.1)


def down(data_dir_: DataDirOption = None) -> None:
    """Stop everything.

    Stages stop first, Kafka last.
    """
    data = data_dir(data_dir_)
    state = data.read_state()
    if (data.path / "run").is_dir() and data.is_running() and state.get("pid"):
        supervisor = psutil.Process(state["pid"])
        supervisor.terminate()
        supervisor.wait(90)
        sys.stderr.write("stopped\n")
        return
    left = end_leftovers(state.get("processes", []))
    sys.stderr.write(
        f"nothing is running in {data.path}" + (f"; killed leftovers {left}" if left else "") + "\n"
    )


def status(data_dir_: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Show each process: state, restarts, lag.

    The exit code is 3 if the installation does not run.
    """

    async def ask() -> dict[str, Any]:
        ports = {p["name"]: p["ops_port"] for p in state.get("processes", []) if p["ops_port"]}
        found = await asyncio.gather(*map(status_of, ports.values()))
        return dict(zip(ports, found, strict=True))

    data = data_dir(data_dir_)
    running = (data.path / "run").is_dir() and data.is_running()
    stopped: dict[str, Any] = {"phase": "stopped", "processes": [], "addresses": {}}
    state = data.read_state() if running else stopped
    for process in state.get("processes", []):
        if find(process) is None:
            process["state"] = "gone"
    statuses = asyncio.run(ask())
    if as_json:
        for process in state["processes"]:
            process["status"] = statuses.get(process["name"], {})
        plain = {
            name: without_secret(address)
            for name, address in state["addresses"].items()
            if name in PUBLIC
        }
        show_json(state | {"addresses": plain, "data_dir": str(data.path)})
    else:
        console = Console()
        console.print(f"{data.path}: {state.get('phase')}", highlight=False)
        shown = process_table(state, statuses) if running else "start it with `crossdock up`"
        console.print(shown, highlight=False)
        if lack := running and lack_of_space(data):
            console.print(f"[red]{lack}[/]", highlight=False)
    if not running:
        raise typer.Exit(3)


def process_table(state: dict[str, Any], statuses: dict[str, dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("process", "state", "pid", "restarts", "lag", "not ready because"):
        table.add_column(column)
    for process in state.get("processes", []):
        own = statuses.get(process["name"], {})
        lag = sum(own.get("lag", {}).values()) if own.get("lag") else ""
        colour = _COLOURS.get(process["state"], "")
        table.add_row(
            process["name"],
            f"[{colour}]{process['state']}[/]" if colour else process["state"],
            str(process["pid"]),
            str(process["restarts"]),
            str(lag),
            "; ".join(own.get("reasons", [])),
        )
    return table


def logs(
    stage: Annotated[
        str | None,
        typer.Argument(help="A process such as provider.0, or a stage such as provider."),
    ] = None,
    data_dir_: DataDirOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new lines until Ctrl-C.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="The lines of each log.")] = 50,
) -> None:
    """Print the last lines of the logs."""
    data = data_dir(data_dir_)
    files = sorted((data.path / "logs").glob(f"{stage or ''}*.log"))
    if not files:
        names = ", ".join(sorted(p.stem for p in (data.path / "logs").glob("*.log")))
        raise ProcessError(f"no log of {stage!r} in {data.path}: use one of {names or '(none)'}")
    arguments = [
        "tail",
        f"--lines={lines}",
        *(["--follow=name"] if follow else []),
        *map(str, files),
    ]
    raise typer.Exit(subprocess.run(arguments, check=False).returncode)  # noqa: S603


def check(data_dir_: DataDirOption = None, catalogue: CatalogueOption = None) -> None:
    """Check that this machine has all that `up` needs."""
    rows = findings(data_dir(data_dir_), catalogue or [], without_given(environment()))
    table = Table(box=None, pad_edge=False, show_header=False)
    for good, name, text in rows:
        table.add_row("[green]ok[/]" if good else "[red]no[/]", name, text)
    Console().print(table)
    if not all(good for good, _, _ in rows):
        raise typer.Exit(1)


def env(data_dir_: DataDirOption = None) -> None:
    """Print the addresses and the API key for your shell.

    Use it as `eval "$(crossdock env)"`.
    """
    data = data_dir(data_dir_)
    found = addresses(data, without_given(environment()))
    printed = {name: found[name] for name in SHOWN if name in found}
    served = {name: printed[name] for name in data.served() if name in printed}
    printed[GIVEN] = " ".join(f"{name}={value}" for name, value in served.items())
    for name, value in printed.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
