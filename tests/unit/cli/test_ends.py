"""How commands end: with one line and an exit code, whatever happens to their files, their pipes and their terminal."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from crossdock.cli.usage.watching import is_whole
from support.effort import Effort
from support.management import Shell

NOWHERE = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "sk-1"}
LINE = b'{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n'


def start(*arguments: str, env: dict[str, str] = NOWHERE, **named: Any) -> subprocess.Popen[bytes]:
    pipes: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    return subprocess.Popen[bytes](
        [sys.executable, "-m", "crossdock", *arguments],
        env=dict(os.environ) | env,  # noqa: TID251  # a child's environment
        **(pipes | named),
    )


def ended(running: subprocess.Popen[bytes], given: bytes | None = None) -> tuple[int, str]:
    _, said = running.communicate(given, timeout=60)
    return running.returncode, said.decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_bytes(LINE)
    return path


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_stdin_is_a_file(name: str) -> None:
    running = start("batches", "submit", name, stdin=subprocess.PIPE)

    code, said = ended(running, LINE)

    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("crossdock: no answer from http://127.0.0.1:9/v1")


def test_a_pipe_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(LINE,)).start()

    code, said = ended(start("batches", "submit", str(tmp_path / "pipe")))

    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("crossdock: no answer from")


@pytest.mark.parametrize("command", ["submit", "estimate"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "cannot read {path}: it does not exist"),
        (lambda path: path.mkdir(), "{path} is a directory: name a file of requests"),
        (lambda path: path.touch(), "{path} is empty: write one request per line"),
        (lambda path: path.symlink_to(path), "cannot read {path}: "),
    ],
    ids=["missing", "a directory", "empty", "a circle"],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(
    shell: Shell,
    tmp_path: Path,
    command: str,
    *,
    make: Any,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    (tmp_path / "catalogue.json").write_text('{"providers": []}')
    given = ["--catalogue", str(tmp_path / "catalogue.json")] if command == "estimate" else []
    path = tmp_path / "given.jsonl"
    make(path)

    outcome = shell.run("batches", command, str(path), *given)

    assert outcome.code == 2
    assert outcome.err.startswith(f"crossdock: {said.format(path=path)}")
    assert outcome.err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_told_in_one_line(file: Path) -> None:
    file.chmod(0)

    assert ended(start("batches", "submit", str(file))) == (2, f"crossdock: cannot read {file}: permission denied\n")  # fmt: skip


def _batch(failed: int) -> bytes:
    counts = {"total": 2, "completed": 2 - failed, "failed": failed}
    batch = {"id": "batch_1", "status": "completed", "errors": None, "request_counts": counts}
    more = {"crossdock": {"cost_usd": "0"}, "output_file_id": "file_1", "data": []}
    return json.dumps(batch | more).encode()


class _Dock(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        last = self.path.strip("/").split("/")[-1]
        body = (
            b"x" * 200_000 if last == "content" else _batch(int(last[-1:].isdigit() and last[-1]))
        )
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@pytest.fixture
def dock() -> Any:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Dock) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_address[1]}/v1",
            "OPENAI_API_KEY": "sk-1",
        }
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            "none/out",
            "cannot write {path}: the folder {path.parent} does not exist; create it first\n",
        ),
        ("", "{path} is a directory: name a file to write\n"),
        ("/dev/full", "cannot write /dev/full: no space left on device\n"),
    ],
)
def test_an_output_that_cannot_be_written_is_told_in_one_line(
    dock: dict[str, str], tmp_path: Path, output: str, said: str
) -> None:
    path = tmp_path / output

    code, line = ended(start("batches", "results", "batch_1", "-o", str(path), env=dock))

    assert (code, line) == (2, f"crossdock: {said.format(path=path)}")
    assert not [*tmp_path.iterdir()]


def test_an_existing_output_is_replaced_as_a_whole(dock: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")

    assert ended(start("batches", "results", "batch_1", "-o", str(tmp_path / "out"), env=dock)) == (0, "")  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_bytes() == b"x" * 200_000


def test_a_full_stdout_is_told_in_one_line(dock: dict[str, str]) -> None:
    with Path("/dev/full").open("wb") as full:
        assert ended(start("batches", "results", "batch_1", env=dock, stdout=full)) == (1, "crossdock: no space left on device\n")  # fmt: skip


@pytest.mark.parametrize("arguments", [("batches", "results", "batch_1"), ("--help",), ("batches", "list", "--json")])  # fmt: skip
def test_a_reader_that_is_gone_ends_a_command_quietly(
    dock: dict[str, str], arguments: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    running = start(*arguments, env=dock, stdout=writer)
    os.close(writer)
    os.close(reader)

    assert ended(running) == (141, "")


@pytest.mark.parametrize(("status", "counts", "whole"), [
    ("completed", (3, 3, 0), True),
    ("completed", (3, 2, 1), False),
    ("expired", (3, 3, 0), False),
    ("cancelled", (3, 1, 0), False),
])  # fmt: skip
def test_a_batch_is_whole_if_each_line_completed(
    status: str, counts: tuple[int, int, int], whole: bool
) -> None:
    names = ("total", "completed", "failed")
    batch = {"status": status, "request_counts": dict(zip(names, counts, strict=True))}

    assert is_whole(batch) is whole


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (1, 3)])
def test_lines_that_failed_are_the_exit_code(dock: dict[str, str], failed: int, code: int) -> None:
    ended_with, said = ended(start("batches", "watch", f"batch_{failed}", env=dock))

    assert ended_with == code
    assert f"{2 - failed} completed, {failed} failed" in said


SCRIPT = "import sys; import crossdock.__main__ as program; sys.argv[0] = 'crossdock'; print('up', flush=True); program.main()"
"""Before this, no program can say anything about an interrupt: Python itself is starting."""


@pytest.mark.parametrize("arguments", [("batches", "submit", "-"), ("batches", "results", "batch_1"), ("check",)])  # fmt: skip
def test_an_interrupt_at_any_moment_is_one_line(
    dock: dict[str, str], arguments: tuple[str, ...], effort: Effort
) -> None:
    chance = random.Random(7)
    for _ in range(effort(5, 60)):
        running = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments],
            env=dict(os.environ) | dock,  # noqa: TID251  # a child's environment
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert running.stdout is not None
        running.stdout.readline()
        threading.Event().wait(chance.uniform(0.001, 1.2))
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        if b"interrupted" in said or running.returncode == 130:
            assert (running.returncode, said) == (130, b"crossdock: interrupted\n")
        else:
            assert b"Traceback" not in said
