"""LiteLLM's proxy against the same simulator: what the pipeline is compared with.

Run: infra/scripts/bench litellm_side [--simulator URL] [--requests 2000]

A venv of its own (never the project's) is made once, under the user's cache. Its documented production settings: no
debug logs, LITELLM_LOG=ERROR, LITELLM_MODE=PRODUCTION, a master key; one worker, no database, no callbacks, no retries.
The model cost map is the one in the package, so that all traffic stays on loopback.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvloop

from bench.load import Target, chat_body, drive
from bench.processes import cpu_s, free_port, peak_mib, running, running_simulator

VERSION = "1.106.2"
KEY = "sk-bench"
MODELS = ("gull", "heron", "tern")
LANES = (64, 256)
SERVERS: dict[str, tuple[str, ...]] = {"uvicorn": (), "granian": ("--run_granian",)}
"""The HTTP servers that it documents, and their flags; uvicorn is its default."""
WARM_UP_CALLS = 300
START_S = 90.0  # its imports take a while
MOST_S = 300.0  # of one run
INSTALL_S = 600


@dataclass(frozen=True)
class Figures:
    """What one run showed."""

    server: str
    lanes: int
    requests: int
    failures: int
    rate: float
    """Completions per second."""
    cpu_s_per_1000: float
    """CPU seconds of the proxy per 1,000 completions."""
    peak_mib: float
    p50_ms: float
    p99_ms: float

    def show(self) -> str:
        return (
            f"LiteLLM {VERSION} on {self.server}, 1 worker, {self.lanes} in flight: {self.rate:,.0f} completions/s, "
            f"{self.cpu_s_per_1000:.2f} CPU s per 1,000, peak {self.peak_mib:.0f} MiB, "
            f"p50 {self.p50_ms:.0f} ms, p99 {self.p99_ms:.0f} ms, "
            f"{self.failures} of {self.requests} failed"
        )


def litellm_venv(cache: Path) -> Path:
    """Return a venv with LiteLLM's proxy; made at the first call, whole or not at all.

    Raises:
        subprocess.CalledProcessError: if it cannot be installed.
    """
    venv = cache / f"litellm-{VERSION}"
    marker = venv / "complete"
    if not marker.exists():
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run(_install(venv), check=True, timeout=INSTALL_S)
        marker.touch()
    return venv


def _install(venv: Path) -> list[str]:
    wanted = f"litellm[proxy]=={VERSION}"
    python, uv = str(venv / "bin" / "python"), Path(sys.executable).with_name("uv")
    if uv.exists():
        return [str(uv), "pip", "install", "--quiet", "--python", python, wanted]
    return [python, "-m", "pip", "install", "--quiet", wanted]


def user_cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251  # a benchmark is its own main
    return (Path(root) if root else Path.home() / ".cache") / "crossdock"


def config(simulator_url: str) -> str:
    """Return config.yaml (JSON is YAML)."""
    models = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/{name}",
                "api_base": f"{simulator_url}/litellm/v1",
                "api_key": "sk-simulated",
            },
        }
        for name in MODELS
    ]
    litellm = {"set_verbose": False, "request_timeout": 600, "num_retries": 0}
    return json.dumps(
        {
            "model_list": models,
            "litellm_settings": litellm,
            "router_settings": {"num_retries": 0},
            "general_settings": {"master_key": KEY},
        }
    )


@asynccontextmanager
async def running_litellm(
    simulator_url: str, server: str = "uvicorn"
) -> AsyncIterator[tuple[psutil.Process, str]]:
    """Run the proxy with one worker; give it and its URL."""
    venv = await asyncio.to_thread(litellm_venv, user_cache())
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "config.yaml"
        await asyncio.to_thread(path.write_text, config(simulator_url))
        env = {
            "PATH": f"{venv / 'bin'}:/usr/bin:/bin",
            "HOME": scratch,
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "NO_PROXY": "*",
        }
        argv = [str(venv / "bin" / "litellm"), "--config", str(path), "--host", "127.0.0.1"]
        argv += ["--port", str(port), "--num_workers", "1", *SERVERS[server]]
        log = Path(scratch) / "log"
        async with running(argv, env, port, timeout_s=START_S, log=log) as process:
            yield process, f"http://127.0.0.1:{port}"


async def measure(
    process: psutil.Process, url: str, *, server: str, requests: int, lanes: int
) -> Figures:
    """Drive `requests` completions with 1 kB prompts through the proxy."""
    target = Target(f"{url}/v1/chat/completions", f"authorization: Bearer {KEY}\r\n")
    body = chat_body(MODELS[0])
    await drive(target, body, calls=WARM_UP_CALLS, lanes=lanes, timeout_s=MOST_S)
    before = cpu_s(process)
    load = await drive(target, body, calls=requests, lanes=lanes, timeout_s=MOST_S)
    spent_s = cpu_s(process) - before
    return Figures(
        server=server,
        lanes=lanes,
        requests=requests,
        failures=load.failures,
        rate=(requests - load.failures) / load.took_s,
        cpu_s_per_1000=spent_s / requests * 1000,
        peak_mib=peak_mib(process),
        p50_ms=load.percentile_ms(0.5),
        p99_ms=load.percentile_ms(0.99),
    )


async def compare(
    simulator_url: str, *, requests: int = 2000, servers: Sequence[str] = tuple(SERVERS)
) -> list[Figures]:
    """Return the figures of each server at each concurrency, best rate first."""
    found: list[Figures] = []
    for server in servers:
        async with running_litellm(simulator_url, server) as (process, url):
            for lanes in LANES:
                asked = min(lanes, requests)
                found.append(
                    await measure(process, url, server=server, requests=requests, lanes=asked)
                )
    return sorted(found, key=lambda figures: -figures.rate)


async def main(simulator: str | None, requests: int, servers: Sequence[str]) -> int:
    async with AsyncExitStack() as stack:
        url = simulator or (await stack.enter_async_context(running_simulator(50.0)))[1]
        found = await compare(url, requests=requests, servers=servers)
    for figures in found:
        print(figures.show())
    best = found[0]
    print(f"best: {best.rate:,.0f} completions/s on {best.server} at {best.lanes} in flight")
    return 1 if any(figures.failures for figures in found) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulator", help="its URL; one of 50 ms is started if there is none")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--server", choices=SERVERS, action="append", help="default: all, in turn")
    asked = parser.parse_args()
    sys.exit(uvloop.run(main(asked.simulator, asked.requests, asked.server or tuple(SERVERS))))
