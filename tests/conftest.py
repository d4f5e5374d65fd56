"""Markers by folder; one installation, one Kafka and one ClickHouse for the tests that need them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.dock import Dock, running_dock
from support.engines import RunningKafka, fetched_jars, start_clickhouse, start_kafka

settings.register_profile("dev", max_examples=50, deadline=None)
settings.load_profile("dev")

REAL = {"integration", "pipeline", "chaos", "local", "packaging"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = Path(item.path).relative_to(Path(__file__).parent).parts[0]
        if folder in REAL:
            item.add_marker(pytest.mark.integration)
            item.add_marker(pytest.mark.enable_socket)
        if folder == "bench":
            item.add_marker(pytest.mark.bench)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch Kafka's jars, where a test needs them, before any test's time runs."""
    if any("integration" in item.keywords for item in session.items):
        fetched_jars()


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a figure that shall be seen also when all is well."""

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n    {text}")

    return say


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningKafka]:
    with start_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_clickhouse(tmp_path_factory.mktemp("clickhouse") / "data") as url:
        yield url


@pytest.fixture(scope="session")
def dock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dock]:
    """A whole installation with two providers and two routers, and a fast simulator."""
    folder = tmp_path_factory.mktemp("dock")
    scale = ("--scale", "provider=2", "--scale", "router=2", "--latency-ms", "20")
    with running_dock(folder, *scale) as running:
        yield running
