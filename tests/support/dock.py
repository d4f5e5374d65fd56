"""A whole installation for tests, started through its own command line."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil

from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.kernel.process.settings import read_kafka
from crossdock.local.datadir import DataDir

Line = dict[str, Any]
MODELS = ("tern-mini", "gull-base", "heron-large")
FETCH_S = 1.5  # what a stage has sent on is in the lag of the next one at its next fetch, which takes 0.5 s at most


@dataclass
class Dock:
    """One installation under its supervisor."""

    data: DataDir
    _clients: dict[tuple[str, str], openai.OpenAI] = field(default_factory=dict)

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses; from then on this process connects to that Kafka as they describe."""
        found: dict[str, str] = self.data.read_state()["addresses"]
        ACCESS.use(read_kafka(found))
        return found

    @property
    def client(self) -> openai.OpenAI:
        """The stock SDK. One client for all tests: its sockets are closed in order at the end."""
        return self.client_of(self.data.api_key()[0])

    def client_of(self, key: str) -> openai.OpenAI:
        """Return the stock SDK with a key."""
        url = self.addresses["OPENAI_BASE_URL"]
        if (url, key) not in self._clients:
            self._clients[url, key] = openai.OpenAI(
                base_url=url, api_key=key, max_retries=5, timeout=60
            )
        return self._clients[url, key]

    def manage(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """Send a request to the management API, as the owner or with `key`; return the answer's JSON.

        A request that fails because the API is not ready is repeated.
        """
        url = f"{self.addresses['OPENAI_BASE_URL']}/{path}"
        headers = {"authorization": f"Bearer {key or self.data.owner_key()}"}
        data = None if body is None else json.dumps(body).encode()
        give_up = time.monotonic() + 120
        while True:
            request = urllib.request.Request(url, data=data, method=method, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read())
            except OSError as error:
                is_final = isinstance(error, urllib.error.HTTPError) and error.code < 500
                if is_final or time.monotonic() > give_up:
                    raise
                time.sleep(0.5)

    def make_key(self, name: str, **fields: Any) -> tuple[str, str]:
        """Return the id of a new inference key, and the key."""
        made = self.manage("POST", "keys", {"name": name} | fields)
        return made["data"]["id"], made["key"]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def processes(self) -> dict[str, dict[str, Any]]:
        return {p["name"]: p for p in self.data.read_state()["processes"]}

    def kill(self, name: str) -> bool:
        """kill -9 a process of the installation, which its supervisor starts again; False if it is dead already."""
        process = self.processes()[name]
        if not process["pid"] or not psutil.pid_exists(process["pid"]):
            return False
        os.kill(process["pid"], signal.SIGKILL)
        return True

    def stop_orderly(self, name: str) -> None:
        """SIGTERM to a process of the installation; its supervisor starts it again."""
        self.send_signal(name, signal.SIGTERM)

    def restart(self, name: str, *, timeout_s: float = 240.0) -> None:
        """Stop a process in order; return when its supervisor has another one ready."""
        pid = self.pids()[name]
        self.stop_orderly(name)

        def is_back() -> bool:
            process = self.processes()[name]
            return bool(process["pid"] != pid and process["state"] == "ready")

        until(is_back, timeout_s=timeout_s, what=f"{name}'s return")

    def send_signal(self, name: str, number: signal.Signals) -> None:
        process = self.processes()[name]
        if process["pid"] and psutil.pid_exists(process["pid"]):
            os.kill(process["pid"], number)

    def is_alive(self, name: str) -> bool:
        pid = self.processes()[name]["pid"]
        return bool(pid and psutil.pid_exists(pid))

    @staticmethod
    def wake(pid: int) -> None:
        """SIGCONT to what was stopped, if it lives."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def pids(self) -> dict[str, int]:
        return {name: process["pid"] for name, process in self.processes().items()}

    def are_ready(self) -> bool:
        return all(process["state"] == "ready" for process in self.processes().values())

    def status(self, process: str) -> dict[str, Any]:
        """Return the status of a process."""
        found: dict[str, Any] = json.loads(self._ops(process, "status"))
        return found

    def is_at_rest(self) -> bool:
        """Return whether every process is ready and nothing is on its way to a provider."""
        if not self.are_ready():
            return False
        try:
            said = [self.status(name) for name, p in self.processes().items() if p["ops_port"]]
        except (OSError, urllib.error.URLError):
            return False
        pids = set(self.pids().values())
        return all(
            one["ready"]
            and one["pid"] in pids
            and not one.get("in_flight")
            and not one.get("waiting")
            and not sum(one["lag"].values())
            for one in said
        )

    def rest(self) -> None:
        """Wait until all work that was begun has ended, and is in ClickHouse."""
        until(self.is_at_rest, timeout_s=400, what="the dock at rest")
        time.sleep(FETCH_S)
        until(self.is_at_rest, timeout_s=400, what="the dock still at rest")

    def _ops(self, process: str, path: str) -> str:
        url = f"http://127.0.0.1:{self.processes()[process]['ops_port']}/{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    def metric(self, process: str, name: str) -> float:
        """Return a metric of one process's ops port, added up over its labels."""
        lines = self._ops(process, "metrics").splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.startswith((f"{name}{{", f"{name} "))
        )

    # the simulator

    def _simulator(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.addresses['CROSSDOCK_SIMULATOR_URL']}/_simulator/{path}"
        request = urllib.request.Request(url, data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def behave(self, provider: str, **behaviour: Any) -> None:
        self._simulator("PUT", f"providers/{provider}", behaviour)

    def reset_simulator(self) -> None:
        self._simulator("POST", "reset")

    def ledger(self) -> list[dict[str, Any]]:
        raw: bytes = self._simulator("GET", "ledger")
        return [json.loads(line) for line in raw.splitlines()]

    # ClickHouse

    def rows(self, sql: str) -> list[list[Any]]:
        """Return the rows of a SELECT."""
        url = self.addresses["CLICKHOUSE_URL"]
        answer = httpx.post(url, content=f"{sql} FORMAT JSONCompactEachRow", timeout=60)
        if not answer.is_success:
            raise RuntimeError(answer.text)
        return [json.loads(line) for line in answer.text.splitlines()]

    # batches

    def submit(self, lines: Iterable[Line], *, name: str = "input.jsonl", **arguments: Any) -> str:
        """Return the id of a new batch. `key`: of another key than the installation's."""
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        return self.submit_bytes(content, name=name, **arguments)

    def submit_bytes(self, content: bytes, *, name: str = "input.jsonl", **arguments: Any) -> str:
        key = arguments.pop("key", None)
        client = self.client if key is None else self.client_of(key)
        file = client.files.create(file=(name, content), purpose="batch")
        wanted: dict[str, Any] = {
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        } | arguments
        return client.batches.create(input_file_id=file.id, **wanted).id

    def wait(self, batch_id: str, *, timeout_s: float = 400.0) -> openai.types.Batch:
        client = self.client
        give_up = time.monotonic() + timeout_s
        while True:
            try:
                batch = client.batches.retrieve(batch_id)
            except openai.APIConnectionError:
                if time.monotonic() > give_up:
                    raise
                continue  # ingress is being started again
            if batch.status in {"completed", "failed", "expired", "cancelled"}:
                return batch
            if time.monotonic() > give_up:
                raise TimeoutError(f"{batch_id} is {batch.status}: {batch.request_counts}")
            time.sleep(0.2)

    def output(self, batch: openai.types.Batch) -> tuple[list[Line], list[Line]]:
        """Return the lines of the output and of the error file."""
        return self._lines(batch.output_file_id), self._lines(batch.error_file_id)

    def _lines(self, file_id: str | None) -> list[Line]:
        if file_id is None:
            return []
        return [
            json.loads(line) for line in self.client.files.content(file_id).content.splitlines()
        ]


def chat_lines(
    count: int, *, models: tuple[str, ...] = MODELS, chars: int = 200, **parameters: Any
) -> list[Line]:
    return [
        {
            "custom_id": f"line-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": models[number % len(models)],
                "messages": [{"role": "user", "content": f"{number} " + "word " * (chars // 5)}],
            }
            | parameters,
        }
        for number in range(count)
    ]


def until(condition: Callable[[], bool], *, timeout_s: float = 120.0, what: str = "it") -> None:
    """Wait until `condition()` holds."""
    give_up = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError(f"{what} did not come about in {timeout_s} s")
        time.sleep(0.1)


def repeated(ids: Iterable[str]) -> list[str]:
    return [identifier for identifier, count in Counter(ids).items() if count > 1]


def crossdock(
    *arguments: str, env: dict[str, str] | None = None, timeout_s: float = 300.0
) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "crossdock", *arguments],
        env=dict(os.environ) | (env or {}),  # noqa: TID251  # a child's environment
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@contextmanager
def running_dock(
    folder: Path, *arguments: str, env: dict[str, str] | None = None
) -> Iterator[Dock]:
    """Start an installation in `folder`, stop it in the end."""
    dock = Dock(DataDir(folder))
    try:
        started = crossdock("up", "--detach", "--data-dir", str(folder), *arguments, env=env)
        if started.returncode != 0:
            raise RuntimeError(started.stderr)
        yield dock
    finally:
        dock.close()
        crossdock("down", "--data-dir", str(folder))  # also what a start left that was broken off
