"""Tiers, and the engines that tests share: a worker of pytest-xdist starts one of each, if its tests need it.

`fast` tests need no engine. All others are `real`; those that share an engine or an installation run in one worker,
one after the other, in random order. With `--soak` only the tests run that have a longer form, in that form.
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from support.dock import Dock, running_dock
from support.effort import SHORT_TIMES, Effort
from support.engines import RunningKafka, fetched_jars, start_clickhouse, start_kafka
from support.groups import GroupScheduling, group_of, turn_of

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("soak", max_examples=500, deadline=None)
settings.load_profile("dev")

TESTS = Path(__file__).parent
FAST = ("unit/", "contract/", "integration/ingress/")
SHARED = {
    "rough": "rough",
    "dock": "dock",
    "attacked": "attacked",
    "kafka": "engines",
    "clickhouse_url": "engines",
}
"""Fixtures that are started once in a worker, and the group of the tests that ask for them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run what has a longer form, in that form")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    """Mark tests before they are chosen by their marks; put the groups in turn after they were shuffled."""
    is_soak = bool(config.getoption("--soak"))
    for item in items:
        _mark(item)
    yield
    runs = [item for item in items if _runs(item, is_soak=is_soak)]
    config.hook.pytest_deselected(
        items=[item for item in items if not _runs(item, is_soak=is_soak)]
    )
    items[:] = sorted(runs, key=_turn)


def _mark(item: pytest.Item) -> None:
    path = item.path.relative_to(TESTS).as_posix()
    is_fast = path.startswith(FAST) and item.get_closest_marker("real") is None
    item.add_marker(pytest.mark.fast if is_fast else pytest.mark.real)
    shared = next((name for name in SHARED if name in getattr(item, "fixturenames", ())), None)
    if shared and not is_fast and group_of(path) != SHARED[shared]:
        raise pytest.UsageError(f"{path} asks for {shared!r}: name it in tests/support/groups.py")


def _runs(item: pytest.Item, *, is_soak: bool) -> bool:
    is_long_only = item.get_closest_marker("soak") is not None
    has_long_form = "effort" in getattr(item, "fixturenames", ())
    return is_long_only or has_long_form if is_soak else not is_long_only


def _turn(item: pytest.Item) -> int:
    return turn_of(item.path.relative_to(TESTS).as_posix())


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep groups together; without them (--dist loadfile) leave it to the plugin."""
    return GroupScheduling(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch Kafka's jars, where a test needs them, before any test's time runs."""
    if session.config.option.collectonly:
        return
    if any(item.get_closest_marker("real") for item in session.items):
        fetched_jars()


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keep a figure that is printed at the end, also when all is well."""
    return lambda text: record_property("figure", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests told."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = [report for report in reports if report.when == "call" and report.user_properties]
    if told:
        terminalreporter.section("figures")
    for report in told:
        terminalreporter.write_line(report.nodeid.partition("@")[0])
        for _, text in report.user_properties:
            terminalreporter.write_line(f"    {text}")


@pytest.fixture(scope="session")
def effort(request: pytest.FixtureRequest) -> Effort:
    """How much a test does: `effort(short, soak)`. A test that asks for it runs in full with --soak."""
    return Effort(is_soak=request.config.getoption("--soak"))


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
    """A whole installation with two of each stage that shares its work, and a fast simulator."""
    folder = tmp_path_factory.mktemp("dock")
    scale = ("--scale", "provider=2", "--scale", "router=2", "--scale", "ingress=2")
    with running_dock(folder, *scale, "--latency-ms", "20") as running:
        yield running


@pytest.fixture(scope="session")
def rough(tmp_path_factory: pytest.TempPathFactory, effort: Effort) -> Iterator[Dock]:
    """An installation whose processes and engines are killed and paused; its times are short but for a soak."""
    folder = tmp_path_factory.mktemp("rough")
    scale = ("--scale", "provider=2", "--scale", "router=2")
    with running_dock(folder, *scale, env={} if effort.is_soak else SHORT_TIMES) as running:
        yield running
