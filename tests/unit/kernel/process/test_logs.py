"""Our events and the libraries' records are JSON lines with the stage's name."""

import json
import logging
import os
import pty
import subprocess
import sys

from crossdock.kernel.process.logs import REPEATS_S, Repeats

_PROGRAM = """
import logging, structlog
from crossdock.kernel.process.logs import configure_logs
configure_logs("INFO", "batches")
structlog.get_logger().info("batch.submitted", batch_id="b")
structlog.get_logger().debug("too.quiet")
logging.getLogger("aiokafka").info("too quiet")
logging.getLogger("library").warning("heard %s", "this", extra={"more": 1})
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("it.failed")
"""


def test_every_line_is_json() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )

    ours, theirs, failed = [json.loads(line) for line in done.stderr.splitlines()]
    assert (ours["event"], ours["batch_id"], ours["stage"], ours["level"]) == (
        "batch.submitted",
        "b",
        "batches",
        "info",
    )
    assert (theirs["event"], theirs["more"], theirs["level"]) == ("heard this", 1, "warning")
    assert failed["exception"][0]["exc_type"] == "ZeroDivisionError"


def test_a_traceback_shows_no_values() -> None:
    """Locals hold prompts and keys. structlog's ready-made tracebacks wrote them, 4 kB of them for each error."""
    program = """
import structlog
from crossdock.kernel.process.logs import configure_logs
configure_logs("INFO", "provider")
def call(api_key):
    prompt = "the secret " + "prompt"
    raise OSError("refused")
try:
    call("sk-" + "secret")
except OSError:
    structlog.get_logger().exception("it.failed")
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # fmt: skip

    assert "it.failed" in done.stderr
    assert '"name": "call"' in done.stderr
    assert "sk-secret" not in done.stderr
    assert "the secret prompt" not in done.stderr


def test_a_traceback_on_a_terminal_shows_no_values_either() -> None:
    """Rich's tracebacks, which structlog takes where a person looks, show all locals."""
    program = """
import sys

import structlog
from crossdock.kernel.process.logs import configure_logs
configure_logs("INFO", "provider")
def call(header):
    raise OSError("refused")
try:
    call("Bearer " + sys.argv[1])  # newer Pythons quote the source
except OSError:
    structlog.get_logger().exception("it.failed")
"""
    ours, theirs = pty.openpty()

    subprocess.run([sys.executable, "-c", program, "sk-secret"], stderr=theirs, check=True)
    os.close(theirs)
    said = os.read(ours, 65_536).decode()
    os.close(ours)

    assert "refused" in said
    assert "sk-secret" not in said


def record(text: str, *, level: int = logging.ERROR, name: str = "aiokafka.conn") -> logging.LogRecord:  # fmt: skip
    return logging.LogRecord(name, level, "", 0, text, (1,), None)


def test_a_librarys_message_is_written_once_in_a_while_with_the_number_left_out() -> None:
    """With Kafka away, aiokafka wrote 50 kB a second into each log."""
    now_s = 0.0
    repeats = Repeats(lambda: now_s)

    first = [repeats.filter(record("no node %s")) for _ in range(1000)]
    now_s = REPEATS_S
    after = record("no node %s")

    assert first.count(True) == 1
    assert repeats.filter(after)
    assert vars(after)["left_out"] == 999


def test_other_messages_and_our_own_events_pass() -> None:
    repeats = Repeats(lambda: 0.0)
    repeats.filter(record("no node %s"))

    assert repeats.filter(record("no topic %s"))
    assert repeats.filter(record("no node %s", level=logging.WARNING))
    assert repeats.filter(record("no node %s", name="aiokafka.client"))
    ours = [record("") for _ in range(2)]
    for one in ours:
        one.msg = {"event": "call.finished"}  # as structlog does
    assert [repeats.filter(one) for one in ours] == [True, True]


def test_no_line_shows_a_secret_of_the_process() -> None:
    """Of an event, of a library's record, of a traceback, and of what ends the process."""
    program = """
import logging, structlog
from crossdock.kernel.process.logs import LOG_SECRETS, configure_logs
configure_logs("INFO", "provider")
LOG_SECRETS.add(["hush-0123456789", 'a"quoted\\\\\\\\secret'])
structlog.get_logger().info("it.said", words="Bearer hush-0123456789", more=['a"quoted\\\\\\\\secret'])
logging.getLogger("library").warning("heard %s", "hush-0123456789")
try:
    raise ValueError("no: hush-0123456789")
except ValueError:
    structlog.get_logger().exception("it.failed")
raise ValueError("the end: hush-0123456789")
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # fmt: skip

    assert done.returncode == 1
    assert "hush" not in done.stderr
    assert "quoted" not in done.stderr
    assert done.stderr.count("[secret]") == 5
    assert json.loads(done.stderr.splitlines()[0])["words"] == "Bearer [secret]"
