"""crossdock batches and usage, against a running installation."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.dock import MODELS, Dock, chat_lines, crossdock, until


def run(
    dock: Dock, *arguments: str, code: int = 0, env: dict[str, str] | None = None
) -> tuple[str, str]:
    """Run a command on the session's installation; return stdout and stderr."""
    done = crossdock(*arguments, env={"CROSSDOCK_DATA_DIR": str(dock.data.path)} | (env or {}))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in chat_lines(60)))
    return path


def test_a_batch_is_submitted_watched_and_its_results_written(
    dock: Dock, file: Path, tmp_path: Path
) -> None:
    submitted, _ = run(dock, "batches", "submit", str(file), "--no-watch", "-m", "team=a=b")
    batch_id = submitted.strip()

    _, watched = run(dock, "batches", "watch", batch_id)
    printed, _ = run(dock, "batches", "results", batch_id)
    _, written = run(dock, "batches", "results", batch_id, "-o", str(tmp_path / "out.jsonl"))
    _, errors = run(dock, "batches", "results", batch_id, "--errors")

    assert dock.client.batches.retrieve(batch_id).metadata == {"team": "a=b"}
    assert "60 completed, 0 failed" in " ".join(watched.split())
    ids = {json.loads(line)["custom_id"] for line in printed.splitlines()}
    assert ids == {f"line-{n}" for n in range(60)}
    assert (tmp_path / "out.jsonl").read_text() == printed
    assert written == ""
    assert "no failed lines" in errors
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_submit_watches_until_the_end(dock: Dock, file: Path) -> None:
    submitted, watched = run(dock, "batches", "submit", str(file))

    assert submitted.startswith("batch_")
    assert "completed" in watched
    assert dock.client.batches.retrieve(submitted.strip()).status == "completed"


def test_batches_are_listed(dock: Dock, file: Path) -> None:
    batch_id = run(dock, "batches", "submit", str(file))[0].strip()

    table, _ = run(dock, "batches", "list", "--limit", "3")
    narrow, _ = run(dock, "batches", "list", "--limit", "1", env={"COLUMNS": "80"})
    raw, _ = run(dock, "batches", "list", "--limit", "1", "--json")

    assert table.splitlines()[1].startswith(batch_id)
    assert batch_id in narrow, "an id that is cut cannot be used"
    assert [batch["id"] for batch in json.loads(raw)] == [batch_id]


def test_a_batch_is_cancelled(dock: Dock, tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in chat_lines(12_000)))
    for provider in ("sim-atlas", "sim-borealis", "sim-cumulus"):
        dock.behave(provider, latency={"ms": 4000})  # else it may be done before the second command
    batch_id = run(dock, "batches", "submit", str(path), "--no-watch")[0].strip()

    said, _ = run(dock, "batches", "cancel", batch_id)
    dock.reset_simulator()
    batch = dock.wait(batch_id)
    again = run(dock, "batches", "cancel", batch_id, code=1)

    assert said.strip() in {"cancelling", "cancelled"}
    assert batch.status == "cancelled"
    assert "Cannot cancel a batch with status 'cancelled'" in again[1]


def test_a_bad_line_is_shown_with_its_number(dock: Dock, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(chat_lines(1)[0]) + "\nnot json\n")

    _, said = run(dock, "batches", "submit", str(path), code=1)

    assert "line 2: invalid_json_line" in said
    assert "failed validation" in said.splitlines()[-1]


@pytest.mark.parametrize("columns", ["80", "200"])
def test_usage_shows_every_model_and_cuts_no_number(dock: Dock, columns: str) -> None:
    batch = dock.wait(dock.submit(chat_lines(30)))
    sql = f"SELECT count() FROM crossdock.requests FINAL WHERE batch_id = '{batch.id}'"
    until(lambda: dock.rows(sql) == [[30]], what="the rows of the batch")

    shown, _ = run(dock, "usage", env={"COLUMNS": columns})
    raw, _ = run(dock, "usage", "--json")

    rows = json.loads(raw)
    assert set(MODELS) <= {row["model"] for row in rows}
    assert "…" not in shown
    for row in rows:
        amount = re.escape(row["USD"].rstrip("0"))
        pattern = rf"^{row['model']} +{row['provider']} +{row['requests']} .*{row['input tokens']} .*{amount}$"
        assert re.search(pattern, shown, re.MULTILINE), (row, shown)
    assert re.search(r"^total ", shown, re.MULTILINE)
    assert "USD by model, last 1 h" in shown


def test_without_an_installation_every_command_says_how_to_get_one(
    dock: Dock, file: Path, tmp_path: Path
) -> None:
    nothing = {"CROSSDOCK_DATA_DIR": str(tmp_path / "none")}
    commands = (
        ("batches", "list"),
        ("batches", "submit", str(file)),
        ("usage",),
        ("env",),
    )

    said = [run(dock, *command, code=1, env=nothing)[1] for command in commands]

    assert all(re.match(r"crossdock: no installation in .*crossdock up", line) for line in said)
    assert {len(line.splitlines()) for line in said} == {1}


def test_an_installation_that_does_not_answer_is_told_in_one_line(dock: Dock) -> None:
    gone = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "CLICKHOUSE_URL": "http://127.0.0.1:1"}

    _, batches = run(dock, "batches", "list", code=1, env=gone)
    _, usage = run(dock, "usage", code=1, env=gone)

    assert re.fullmatch(r"crossdock: no answer from .*crossdock status`\n", batches)
    assert re.fullmatch(r"crossdock: no ClickHouse answers .*CLICKHOUSE_URL\n", usage)


def test_a_wrong_key_is_told_in_one_line(dock: Dock) -> None:
    _, said = run(dock, "batches", "list", code=1, env={"OPENAI_API_KEY": "sk-wrong"})

    assert re.fullmatch(r"crossdock: Incorrect API key.*crossdock env.*\n", said)


def test_lines_that_fail_are_the_exit_code_and_stdin_is_a_file(dock: Dock, file: Path) -> None:
    """The command that runs a batch is used in scripts: a batch of which lines failed is no success."""
    for provider in ("sim-atlas", "sim-borealis", "sim-cumulus"):
        dock.behave(provider, faults={"500": 1.0})
    with file.open("rb") as given:
        submitted = subprocess.run(
            [sys.executable, "-m", "crossdock", "batches", "submit", "-"],
            env=dict(os.environ) | {"CROSSDOCK_DATA_DIR": str(dock.data.path)},  # noqa: TID251  # a child's environment
            stdin=given,
            capture_output=True,
            text=True,
            check=False,
        )
    dock.reset_simulator()
    batch_id = submitted.stdout.strip()

    assert submitted.returncode == 3, submitted.stderr
    assert "0 completed, 60 failed" in " ".join(submitted.stderr.split())
    run(dock, "batches", "watch", batch_id, code=3)


def test_an_interrupt_ends_watching_in_one_line_and_the_batch_continues(
    dock: Dock, tmp_path: Path
) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in chat_lines(2_000)))
    batch_id = run(dock, "batches", "submit", str(path), "--no-watch")[0].strip()
    watching = subprocess.Popen(
        [sys.executable, "-m", "crossdock", "batches", "watch", batch_id],
        env=dict(os.environ) | {"CROSSDOCK_DATA_DIR": str(dock.data.path)},  # noqa: TID251  # a child's environment
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(1.5)
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=60)

    assert watching.returncode in {0, 130}
    assert "Traceback" not in said
    assert watching.returncode == 0 or said.endswith("crossdock: interrupted\n")
    assert dock.wait(batch_id).status == "completed"


def test_a_missing_file_and_a_bad_first_line_are_told(dock: Dock, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text("nothing\n")

    _, missing = run(dock, "batches", "submit", os.fspath(tmp_path / "none.jsonl"), code=2)
    _, no_url = run(dock, "batches", "submit", str(bad), code=1)
    _, unknown = run(dock, "batches", "watch", "batch_nope", code=1)

    assert "does not exist" in " ".join(missing.replace("│", " ").split())
    assert re.search(r"has no url; pass --endpoint", no_url)
    assert re.search(r"No batch found with id 'batch_nope'", unknown)
