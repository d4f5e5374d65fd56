"""A running installation takes a newer catalogue: a new provider is served, lines of a removed one go elsewhere."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from crossdock.kernel.drivers.kafka import provision
from crossdock_schemas.topics import provisioned
from support.dock import Dock, crossdock, running_dock, until
from support.effort import Effort
from support.hostile import (
    HostileProvider,
    Received,
    Reply,
    completion,
    hostile_catalogue,
    hostile_provider,
)

PARTITIONS = 2
MESSAGES: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture
def provider() -> Iterator[HostileProvider]:
    with hostile_provider() as running:
        yield running


@pytest.fixture
def own(tmp_path: Path, provider: HostileProvider, effort: Effort) -> Iterator[Dock]:
    file = hostile_catalogue(tmp_path / "c.toml", provider.url, {"old": "", "slow": ""})
    text = file.read_text()
    file.write_text(text.replace('name = "slow"', 'name = "slow"\nmax_in_flight = 2', 1))
    env = effort.steady_times | {"HOSTILE_PROVIDER_KEY": "sk-0123456789"}
    scale = ("--scale", "provider=2")
    with running_dock(tmp_path / "data", "--catalogue", str(file), *scale, env=env) as dock:
        until(dock.are_ready, what="every process being ready")
        yield dock


class Installed:
    """The catalogue of a running installation, as an operator changes it."""

    def __init__(self, dock: Dock, url: str) -> None:
        self._file = dock.data.path / "catalogue.json"
        self._servers = dock.addresses["KAFKA_BOOTSTRAP_SERVERS"]
        self._url = url
        self.value = json.loads(self._file.read_text())

    def add(self, name: str) -> None:
        """Add a provider like `old`: first its topics, then its entry."""
        asyncio.run(provision(self._servers, provisioned((name,), PARTITIONS)))
        like = next(one for one in self.value["providers"] if one["name"] == "old")
        model = like["models"][0] | {"model": name, "upstream_model": name}
        entry = {"name": name, "base_url": f"{self._url}/{name}/v1", "models": [model]}
        self.value["providers"].append(like | entry)
        self._write()

    def remove(self, name: str) -> None:
        self.value["providers"] = [one for one in self.value["providers"] if one["name"] != name]
        self._write()

    def _write(self) -> None:
        newer = self._file.with_suffix(".new")
        newer.write_text(json.dumps(self.value))
        newer.replace(self._file)


def slowly(_: Received) -> Reply:
    time.sleep(2)
    return completion()


def answer_of(dock: Dock, model: str) -> str:
    try:
        done = dock.client.chat.completions.create(model=model, messages=MESSAGES, timeout=30)
    except openai.APIStatusError as error:
        return str(error.status_code)
    return done.choices[0].message.content or ""


def answers(dock: Dock, model: str, wanted: str) -> Callable[[], bool]:
    return lambda: answer_of(dock, model) == wanted


def test_providers_come_and_go_while_it_runs(
    own: Dock, provider: HostileProvider, effort: Effort
) -> None:
    installed, before = Installed(own, provider.url), own.processes()

    for number in range(effort(3, 20)):
        name = f"new-{number}"
        installed.add(name)
        until(answers(own, name, "all aboard"), timeout_s=30, what=name)
        assert answer_of(own, "old") == "all aboard"
        installed.remove(name)
        until(answers(own, name, "404"), timeout_s=30, what=f"{name}'s end")
        assert answer_of(own, "old") == "all aboard"

    until(own.are_ready, what="every process being ready")
    assert {n: p["restarts"] for n, p in own.processes().items()} == {
        n: p["restarts"] for n, p in before.items()
    }


def test_lines_that_wait_for_a_removed_provider_end_with_the_reason(
    own: Dock, provider: HostileProvider
) -> None:
    installed = Installed(own, provider.url)
    provider.behave("slow", slowly)
    lines = [
        {
            "custom_id": str(number),
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "slow", "messages": MESSAGES, "max_tokens": 5},
        }
        for number in range(20)
    ]
    batch_id = own.submit(lines)
    until(lambda: bool(provider.calls["slow"]), what="the first call")

    installed.remove("slow")

    batch = own.wait(batch_id, timeout_s=90)
    _, failed = own.output(batch)
    codes = {line["response"]["body"]["error"]["code"] for line in failed}
    calls = len(provider.calls["slow"])
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (calls, 20 - calls)
    assert calls < 20
    assert codes == {"model_not_found"}
    done = crossdock("audit", "--data-dir", str(own.data.path))
    assert done.returncode == 0, done.stdout
