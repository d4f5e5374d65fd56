"""crossdock usage: a table whose numbers are whole, and a plot if there is anything to plot."""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from crossdock.cli.app import main
from crossdock.cli.shared.doors import Doors
from support.management import Shell

ROWS = [
    ("tern-mini", "atlas", 2, 3, 1, 700, 90, Decimal("0.000000120000")),
    ("gull-base", "borealis", 10, 10, 0, 1200, 300, Decimal("1.5")),
]
COST = [(datetime(2026, 1, 31, 12, 0), "tern-mini", Decimal("0.1"))]  # noqa: DTZ001  # as ClickHouse returns it


class FakeUsage:
    """ClickHouse with some usage, and a terminal that remembers what is plotted."""

    def __init__(self, rows: list[Any], over_time: list[Any]) -> None:
        self._found = (rows, over_time)
        self.spans: list[tuple[str, int, int]] = []
        self.plotted: list[tuple[Sequence[Any], int, float]] = []

    def run(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["usage", *words], Doors(read_usage=self._read, plot=self._plot))
        assert ended.value.code == 0
        written = capsys.readouterr()
        return written.out, written.err

    def _read(self, url: str, span_s: int, step_s: int) -> tuple[list[Any], list[Any]]:
        self.spans.append((url, span_s, step_s))
        return self._found

    def _plot(self, rows: Sequence[Any], slots: Sequence[datetime], hours: float, _: int) -> None:
        self.plotted.append((rows, len(slots), hours))


@pytest.fixture(autouse=True)
def _installation(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", "http://tables:8123")
    monkeypatch.setenv("COLUMNS", "60")


def test_a_narrow_terminal_cuts_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    usage = FakeUsage(ROWS, COST)

    out, _ = usage.run(capsys, "--hours", "2")

    lines = [line.split() for line in out.splitlines()]
    assert ["tern-mini", "atlas", "2", "3", "1", "700", "90", "0.00000012"] in lines
    assert ["total", "12", "13", "1", "1900", "390", "1.50000012"] in lines
    assert usage.spans == [("http://tables:8123", 7200, 120)]
    assert usage.plotted == [(COST, 61, 2.0)]


def test_for_programs_amounts_keep_all_digits(capsys: pytest.CaptureFixture[str]) -> None:
    usage = FakeUsage(ROWS, COST)

    told = json.loads(usage.run(capsys, "--json")[0])

    assert [row["USD"] for row in told] == ["0.000000120000", "1.5"]
    assert usage.plotted == []


def test_without_calls_the_next_step_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = FakeUsage([], []).run(capsys)

    assert out == ""
    assert err == "no calls yet: submit a batch with `crossdock batches submit FILE`\n"
    assert FakeUsage([], []).run(capsys, "--json")[0] == "[]\n"


@pytest.mark.parametrize("hours", ["nan", "inf", "-1", "0", "1e300"])
def test_hours_have_bounds(hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["usage", "--hours", hours])

    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
