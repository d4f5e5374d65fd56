"""crossdock demo: the whole thing with one command, and Ctrl-C stops all of it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from crossdock.local.datadir import DataDir
from support.dock import crossdock, until

INTERRUPTED = (130, -signal.SIGINT)
"""A shell shows both as 130. CPython ends with the second if the interrupt met what `exec` had as text."""


def running(folder: Path) -> list[int]:
    """Return the pids of the processes that work for the installation in `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            about = [*process.cmdline(), process.environ().get("CROSSDOCK_OBJECTS_URL", "")]
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if any(str(folder) in text for text in about):
            found.append(process.pid)
    return found


@pytest.fixture
def heed_ctrl_c() -> Iterator[None]:
    """As in a terminal: a shell starts what it puts in the background with SIGINT ignored, and that is inherited."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_demo_ends_with_numbers_that_agree(tmp_path: Path) -> None:
    done = crossdock("demo", "--lines", "90", "--data-dir", str(tmp_path))

    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert re.search(r"ok +lines: 90 in = 90 answered \+ 0 failed", said)
    assert re.search(r"ok +calls: (\d+) rows in ClickHouse = \1 in the provider's own ledger", said)
    assert re.search(r"ok +cost: [0-9.]+ USD = price x tokens, exactly", said)
    assert re.search(r"ok +audit: (\d+) of \1 checks", said)
    assert "…" not in said
    for model in ("tern-mini", "gull-base", "heron-large"):
        assert model in said
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 90
    assert "crossdock up" in said
    assert running(tmp_path) == []


@pytest.mark.usefixtures("heed_ctrl_c")
@pytest.mark.parametrize("phase", ["starting", "ready"])
def test_ctrl_c_stops_everything(tmp_path: Path, phase: str) -> None:
    data = DataDir(tmp_path)
    with (tmp_path / "out").open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "-m", "crossdock", "demo", "--lines", "20000", "--data-dir", str(tmp_path)],
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    until(lambda: data.read_state().get("phase") == phase, what=phase)
    until(lambda: len(running(tmp_path)) > 2, what="the first engines")

    os.killpg(demo.pid, signal.SIGINT)
    code = demo.wait(60)

    assert code in INTERRUPTED
    assert "Traceback" not in (tmp_path / "out").read_text()
    assert running(tmp_path) == []
    assert data.read_state()["phase"] == "stopped"
