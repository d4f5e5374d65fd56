"""A process that is shut in reaches its own folder, and nothing else."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from crossdock.local.clickhouse.sandbox import landlock_version

_ATTACK = """
import socket, subprocess, sys
from pathlib import Path
from crossdock.local.clickhouse.sandbox import shut_in

own, other, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
attacks = {
    "read": (other / "secret").read_bytes,
    "list": lambda: list(other.iterdir()),
    "write": lambda: (other / "new").write_text("x"),
    "remove": (other / "secret").unlink,
    "link": lambda: (own / "link").symlink_to(other / "secret") or (own / "link").read_text(),
    "move": lambda: (own / "mine").rename(other / "mine"),
    "environ": lambda: Path(f"/proc/{__import__('os').getppid()}/environ").read_bytes(),
    "run": lambda: subprocess.run(["/bin/true"], check=True),
    "connect": lambda: socket.create_connection(("127.0.0.1", port), 1),
}
shut_in([own])
(own / "mine").write_text("x")
for name, attack in attacks.items():
    try:
        attack()
    except OSError:
        continue
    print(name)
"""


@pytest.mark.enable_socket
@pytest.mark.skipif(landlock_version() < 4, reason="this kernel has no Landlock of version 4")
def test_a_process_that_is_shut_in_reaches_only_its_own_folder(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    (other / "secret").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as peer:
        arguments = (str(own), str(other), str(peer.getsockname()[1]))
        done = subprocess.run(
            [sys.executable, "-c", _ATTACK, *arguments], capture_output=True, text=True, check=False
        )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (own / "mine").read_text() == "x"
    assert [path.name for path in other.iterdir()] == ["secret"]
