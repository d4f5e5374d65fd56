"""Dropping a mapped library from memory."""

import mmap
import os
from pathlib import Path

import pytest

from crossdock.local.clickhouse.library_pages import drop_library, read_mappings

SMAPS = """\
7f0000000000-7f0000100000 r-xp 00000000 fe:00 42 /lib/some engine.so
Size:               1024 kB
Rss:                 512 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
7f0000100000-7f0000200000 r--p 00100000 fe:00 42 /lib/some engine.so
Rss:                 256 kB
Anonymous:           256 kB
7f0000200000-7f0000300000 rw-p 00000000 00:00 0
Rss:                  64 kB
Anonymous:             0 kB
"""


def test_mappings_are_read_with_their_sizes() -> None:
    first, second, third = read_mappings(SMAPS.splitlines(keepends=True))

    assert (first.start, first.end) == (0x7F0000000000, 0x7F0000100000)
    assert (first.path, first.rss, first.anonymous) == ("/lib/some engine.so", 512, 0)
    assert (second.rss, second.anonymous) == (256, 256)
    assert third.path == ""


def test_only_what_can_be_read_from_its_file_again_may_be_dropped() -> None:
    """Relocated pages are read-only too, and would be lost: they count as anonymous."""
    code, relocated, data = read_mappings(SMAPS.splitlines())

    assert code.is_droppable
    assert not relocated.is_droppable
    assert not data.is_droppable


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux only")
def test_a_dropped_file_reads_as_before(tmp_path: Path) -> None:
    content = os.urandom(1_048_576)
    file = tmp_path / "library-of-the-test"
    file.write_bytes(content)
    with file.open("rb") as opened:
        mapped = mmap.mmap(opened.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        assert mapped[:] == content

        dropped = drop_library("library-of-the-test")

        assert dropped == 1024
        assert mapped[:] == content
        mapped.close()
