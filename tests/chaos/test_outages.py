"""Kafka, ClickHouse, the object store, room on the disk: away for a while, under load. All goes on by itself."""

import os
import signal
import subprocess
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import openai
import psutil
import pytest

from support.audit import Report, audit_books
from support.dock import Dock, chat_lines, crossdock, running_dock, until
from support.effort import Effort

SHORT_LINES, LINES = 1000, 4000
# longer than sessions, leases, and the time that a transaction may take
SHORT_KAFKA_AWAY_S, KAFKA_AWAY_S = 14.0, 70.0
SHORT_OTHERS_AWAY_S, OTHERS_AWAY_S = 4.0, 20.0
DISK_MIB = 600


@pytest.fixture
def own(rough: Dock) -> Dock:
    rough.rest()
    for provider in ("sim-atlas", "sim-borealis", "sim-cumulus"):
        rough.behave(provider, latency={"ms": 300})
    return rough


@pytest.fixture
def lines(effort: Effort) -> int:
    return effort(SHORT_LINES, LINES)


@pytest.fixture
def others_away_s(effort: Effort) -> float:
    return effort(SHORT_OTHERS_AWAY_S, OTHERS_AWAY_S)


def reasons(dock: Dock, name: str) -> str:
    """Return why a process is not ready, as `crossdock status` shows it."""
    try:
        return "; ".join(dock.status(name)["reasons"])
    except (OSError, urllib.error.URLError):
        return ""


def agree(dock: Dock, batch_id: str, lines: int, tell: Callable[[str], None], what: str) -> None:
    """Every line is answered, and the books hold."""
    report = Report()
    began = time.monotonic()
    batch = dock.wait(batch_id)
    audit_books(dock, [(batch, lines)], report)
    tell(
        f"{what}: {report.lines} lines, {report.failed} failed, {report.calls} calls, {report.rows} rows, "
        f"{report.repeats} repeated and {report.flagged} flagged; done {time.monotonic() - began:.0f} s afterwards"
    )
    assert report.faults == []
    assert report.failed == 0


def test_while_kafka_is_away_intake_says_503_and_afterwards_all_goes_on(
    own: Dock, lines: int, effort: Effort, tell: Callable[[str], None]
) -> None:
    away_s = effort(SHORT_KAFKA_AWAY_S, KAFKA_AWAY_S)
    batch_id = own.submit(chat_lines(lines))
    until(lambda: progress(own, batch_id) > 200, what="some answers")
    pids = own.pids()
    impatient = own.client.with_options(max_retries=0, timeout=30)

    own.send_signal("kafka", signal.SIGSTOP)
    went = time.monotonic()
    said = [refusal(impatient) for _ in range(4)]
    took_s = [seconds for _, _, seconds in said]
    until(lambda: "kafka" in reasons(own, "provider.0"), what="the reason")
    time.sleep(max(0.0, away_s - (time.monotonic() - went)))
    own.send_signal("kafka", signal.SIGCONT)
    until(own.are_ready, what="every process being ready")

    agree(own, batch_id, lines, tell, f"Kafka away for {away_s:.0f} s")
    tell(f"refused within {', '.join(f'{s:.1f}' for s in took_s)} s")
    assert {(status, has_hint) for status, has_hint, _ in said} == {(503, True)}
    assert own.pids()["ingress.0"] == pids["ingress.0"]
    assert own.client.chat.completions.create(
        model="tern-mini", messages=[{"role": "user", "content": "Hi"}]
    ).choices


def progress(dock: Dock, batch_id: str) -> int:
    counts = dock.client.batches.retrieve(batch_id).request_counts
    return counts.completed if counts else 0


def refusal(client: openai.OpenAI) -> tuple[int, bool, float]:
    """Return status, whether it says when to come back, and the seconds that it took."""
    began = time.monotonic()
    try:
        client.chat.completions.create(
            model="tern-mini", messages=[{"role": "user", "content": "Hi"}]
        )
    except openai.APIStatusError as error:
        hint = "retry-after" in error.response.headers
        return error.status_code, hint, time.monotonic() - began
    return 200, False, time.monotonic() - began


def test_while_clickhouse_is_away_usage_waits_in_kafka(
    own: Dock, lines: int, others_away_s: float, tell: Callable[[str], None]
) -> None:
    own.send_signal("clickhouse.0", signal.SIGSTOP)
    batch_id = own.submit(chat_lines(lines))
    batch = own.wait(batch_id)
    time.sleep(others_away_s)
    own.send_signal("clickhouse.0", signal.SIGCONT)

    assert batch.status == "completed"
    agree(own, batch_id, lines, tell, "ClickHouse away while a batch ran")


def test_while_the_object_store_refuses_nothing_is_lost(
    own: Dock, lines: int, others_away_s: float, tell: Callable[[str], None]
) -> None:
    batch_id = own.submit(chat_lines(lines))
    until(lambda: progress(own, batch_id) > 200, what="some answers")
    store = own.data.path / "objects"
    away = store.with_name("objects-away")

    store.rename(away)
    store.write_text("no folder any more")
    until(lambda: "objects" in reasons(own, "batches.0"), what="the reason")
    status = upload_status(own)
    time.sleep(others_away_s)
    store.unlink()
    away.rename(store)
    until(own.are_ready, what="every process being ready")

    agree(own, batch_id, lines, tell, f"the store away for {others_away_s:.0f} s")
    assert status == 503


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, large enough to start on."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"only who may mount a small disk can fill it: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write until the disk is full; again, for what the engine let go of meanwhile: it drops parts that it merged."""
    content = bytes(65_536)
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with suppress(OSError):
        while os.write(target, content):
            pass
    os.close(target)


def is_gone(pid: int, small_disk: Path) -> bool:
    """Say whether the process has ended on a disk that stays full."""
    fill(small_disk / "filled")
    return not psutil.pid_exists(pid)


@pytest.mark.soak
def test_when_the_disk_has_room_again_all_goes_on(
    small_disk: Path, lines: int, others_away_s: float, tell: Callable[[str], None]
) -> None:
    """Kafka ends when its disk is full, and cannot start on it."""
    with running_dock(small_disk / "dock", "--scale", "provider=2") as dock:
        for provider in ("sim-atlas", "sim-borealis", "sim-cumulus"):
            dock.behave(provider, latency={"ms": 300})
        batch_id = dock.submit(chat_lines(lines))
        until(lambda: progress(dock, batch_id) > 200, what="some answers")
        kafka = dock.pids()["kafka"]

        until(lambda: is_gone(kafka, small_disk), what="Kafka's end")
        said = [refusal(dock.client.with_options(max_retries=0, timeout=30)) for _ in range(3)]
        until(lambda: "gone" in shown_status(dock), what="the word that Kafka is gone")
        shown = shown_status(dock)
        time.sleep(others_away_s)
        (small_disk / "filled").unlink()
        until(lambda: dock.pids()["kafka"] != kafka, what="a new Kafka")
        until(dock.are_ready, what="every process being ready")

        agree(dock, batch_id, lines, tell, f"the disk full for {others_away_s:.0f} s")
    assert {(status, has_hint) for status, has_hint, _ in said} == {(503, True)}
    assert "only 0 MiB free" in shown


def shown_status(dock: Dock) -> str:
    return " ".join(crossdock("status", "--data-dir", str(dock.data.path)).stdout.split())


def upload_status(dock: Dock) -> int:
    try:
        dock.client.with_options(max_retries=0).files.create(
            file=("a.jsonl", b"{}"), purpose="batch"
        )
    except openai.APIStatusError as error:
        return error.status_code
    return 200
