"""One installation that all attacks share."""

from collections.abc import Iterator

import pytest

from support.attacks import MODELS, SECRET, Attacked
from support.dock import running_dock, until
from support.effort import STEADY_TIMES
from support.hostile import hostile_catalogue, hostile_provider


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("attacked")
    with hostile_provider() as provider:
        file = hostile_catalogue(folder / "hostile.toml", provider.url, MODELS)
        env = STEADY_TIMES | {"HOSTILE_PROVIDER_KEY": SECRET}
        arguments = ("--catalogue", str(file), "--latency-ms", "20")
        with running_dock(folder / "data", *arguments, env=env) as dock:
            until(dock.are_ready, what="every process being ready")
            yield Attacked(dock, provider)
