"""crossdock batches: whoever watches a batch that waits is told why, once."""

from typing import Any

import pytest

from crossdock.cli.usage import watching
from crossdock.cli.usage.watching import status_of, watch_batch

KEY = "The daily budget of the key key_1 is used up: 1 of 1 USD."
PROJECT = "The total budget of the project proj_1 is used up: 9 of 9 USD."


def make_batch(status: str = "in_progress", message: str | None = None) -> dict[str, Any]:
    waiting = message and {"code": "budget_exceeded", "message": message, "lines": 3}
    return {
        "id": "batch_1",
        "status": status,
        "errors": None,
        "request_counts": {"total": 4, "completed": 1, "failed": 0},
        "crossdock": {"cost_usd": "0.5", "waiting": waiting},
    }


class Dock:
    """Shows one state of a batch after the other."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self._states = list(states)

    def batch(self, batch_id: str) -> dict[str, Any]:
        return self._states.pop(0)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL_S", 0)
    monkeypatch.setenv("COLUMNS", "200")


def watched(capsys: pytest.CaptureFixture[str], *states: dict[str, Any]) -> list[str]:
    """Return the lines that tell of waiting, on stderr."""
    watch_batch(Dock(*states, make_batch("completed")), "batch_1")
    written = capsys.readouterr()
    assert written.out == ""
    return [line.rstrip() for line in written.err.splitlines() if line.startswith("waiting: ")]


def test_why_a_batch_waits_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    told = watched(capsys, make_batch(), *[make_batch(message=KEY)] * 3)

    assert told == [f"waiting: {KEY}"]


def test_another_reason_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    states = [make_batch(message=message) for message in (KEY, PROJECT, PROJECT, None, KEY)]

    assert watched(capsys, *states) == [f"waiting: {m}" for m in (KEY, PROJECT, KEY)]


def test_nothing_is_told_of_a_batch_that_runs(capsys: pytest.CaptureFixture[str]) -> None:
    of_before = make_batch()
    del of_before["crossdock"]["waiting"]

    assert watched(capsys, make_batch(), of_before) == []


def test_the_progress_line_says_that_it_waits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")

    watch_batch(Dock(make_batch("completed", KEY)), "batch_1")

    assert "completed, waiting: budget_exceeded" in capsys.readouterr().err


def test_in_a_list_the_status_says_that_it_waits() -> None:
    assert status_of(make_batch(message=KEY)) == "in_progress (waiting)"
    assert status_of(make_batch()) == "in_progress"


def test_whoever_watches_is_told_once_what_it_may_cost(capsys: pytest.CaptureFixture[str]) -> None:
    estimate = {"low_usd": "0", "likely_usd": "0.0154", "worst_usd": "0.8", "is_from_history": True}
    states = [make_batch("validating"), *(make_batch() for _ in range(3)), make_batch("completed")]
    for state in states[1:]:
        state["crossdock"]["estimate"] = estimate

    watch_batch(Dock(*states), "batch_1")

    assert capsys.readouterr().err.count("expected cost $0.015400, worst case $0.800000") == 1
