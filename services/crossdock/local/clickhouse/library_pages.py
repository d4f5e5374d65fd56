"""Drops resident pages of the engine's library: a mapped file of 555 MB, of which loading touches 190 to 260 MiB.

Most of these pages (relocation tables, code of static constructors) are never read again. A page that is read again
costs a minor fault, because the file stays in the page cache.
"""

import ctypes
import mmap
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_PLACE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$")
_FIELD = re.compile(r"^(Rss|Anonymous): +(\d+) kB$")


@dataclass(slots=True)
class Mapping:
    """One mapping of a process's memory; sizes in KiB."""

    start: int
    end: int
    permissions: str
    path: str
    rss: int = 0
    anonymous: int = 0

    @property
    def is_droppable(self) -> bool:
        """Whether all its resident pages can be read from the file again."""
        return "w" not in self.permissions and self.anonymous == 0 and self.rss > 0


def read_mappings(lines: Iterable[str]) -> Iterator[Mapping]:
    """Parse the lines of /proc/PID/smaps on Linux."""
    mapping: Mapping | None = None
    for line in lines:
        if place := _PLACE.match(line):
            if mapping is not None:
                yield mapping
            mapping = Mapping(int(place[1], 16), int(place[2], 16), place[3], place[4].rstrip("\n"))
        elif mapping is not None and (found := _FIELD.match(line)):
            setattr(mapping, found[1].lower(), int(found[2]))
    if mapping is not None:
        yield mapping


def drop_library(name: str) -> int:
    """Drop the resident pages of the library whose path contains `name`; return their KiB. Linux only."""
    if not sys.platform.startswith("linux"):
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    dropped = 0
    with open("/proc/self/smaps") as smaps:  # noqa: PTH123  # a pseudo-file
        for mapping in read_mappings(smaps.readlines()):
            if name in mapping.path and mapping.is_droppable:
                length = mapping.end - mapping.start
                if madvise(mapping.start, length, mmap.MADV_DONTNEED) == 0:
                    dropped += mapping.rss
    return dropped
