"""Our events and the libraries' records are JSON lines with the stage's name."""

import json
import subprocess
import sys

_PROGRAM = """
import logging, structlog
from crossdock.kernel.logs import configure_logs
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
