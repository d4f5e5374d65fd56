"""Kafka's jars on a machine that has none yet."""

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import sys
from pathlib import Path
from crossdock.local.jars import kafka_jars
print(kafka_jars(Path(sys.argv[1])))
"""


@pytest.mark.soak
def test_two_first_starts_at_once_both_get_them(tmp_path: Path) -> None:
    """One removed the other's half of the work: "cannot fetch Apache Kafka"."""
    argv = [sys.executable, "-c", _PROGRAM, str(tmp_path / "cache")]
    both = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=600) for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    folder = Path(said[0][0].strip())
    assert any(jar.name.startswith("kafka_2.13-") for jar in folder.glob("*.jar"))
