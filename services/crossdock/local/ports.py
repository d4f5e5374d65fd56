"""Free ports on the loopback address."""

import fcntl
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import IO

from crossdock.kernel.process.errors import ProcessError


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def reserve(port: int) -> IO[str] | None:
    """Return a file that reserves `port` until it is closed; None if the port is in use or reserved.

    why: seconds pass between the choice of a port and its use; another installation could choose it meanwhile.
    """
    folder = Path(tempfile.gettempdir()) / f"crossdock-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ProcessError(f"{folder} is not a folder of yours: remove it, or set TMPDIR")
    held = (folder / str(port)).open("a")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        return None
    if not is_free(port):
        held.close()
        return None
    return held
