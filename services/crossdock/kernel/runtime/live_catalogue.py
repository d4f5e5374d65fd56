"""The catalogue of a running process. It is read again when its file changes, or on SIGHUP.

A file that is missing or invalid changes nothing: the process keeps the catalogue that it has.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from crossdock.kernel.process.errors import SettingsError
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock_schemas.pricing.catalogue import Catalogue

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LOOK_S = 1.0
Use = Callable[[Catalogue], None]
Stamp = tuple[int, int, int] | None


class LiveCatalogue:
    """The newest valid catalogue of a file.

    Raises:
        SettingsError: if there is no valid one at the start.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen = _stamp(path)
        self._users: dict[object, Use] = {}
        self.current = load_catalogue(path)

    def on_change(self, use: Use, *, of: object = None) -> None:
        """Call `use` with each later catalogue; it replaces an earlier user of the same name `of`."""
        self._users[of] = use

    async def follow(self) -> None:
        """Look for a newer file again and again, until cancelled."""
        asked = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await asked.wait()
            stamp = _stamp(self._path)
            if asked.is_set() or stamp != self._seen:
                asked.clear()
                self._seen = stamp
                self.reload()

    def reload(self) -> bool:
        """Read the file; return whether the catalogue is another one now. A user may refuse it with a SettingsError."""
        try:
            found = load_catalogue(self._path)
            if found == self.current:
                return False
            for use in self._users.values():
                use(found)
        except SettingsError as error:
            log.warning(
                "catalogue.refused", reason=str(error), remedy="the earlier one stays in use"
            )
            return False
        self.current = found
        log.info("catalogue.reloaded", providers=len(found.providers), models=len(found.models))
        return True


def _stamp(path: Path | None) -> Stamp:
    """Return a value that differs between versions of the file; None: there is no file."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
