"""Shuts this process in, with Linux's Landlock: its own folders, no program, no connection to anything.

It is the second door behind the engine's rights: also a fault of the engine reaches no file of other programs.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_NO_NEW_PRIVILEGES = 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = (1 << bit for bit in (0, 1, 2, 3, 14))
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_CONNECT_TCP = 1 << 1
_ABSTRACT_SOCKETS_AND_SIGNALS = 3
_WITH_NET, _WITH_SCOPES = 4, 6  # the versions that have them
_SYSTEM = (
    *("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/sys", "/dev/null"),
    *("/dev/urandom", "/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/sys"),
)


def landlock_version() -> int:
    """Return the version of Landlock on this system: 0 or less without it."""
    if not sys.platform.startswith("linux"):
        return 0
    return int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, 1))


def shut_in(writable: Iterable[Path], readable: Iterable[Path] = ()) -> int:
    """Restrict this thread and every later one; return Landlock's version, 0 where the system has none.

    Raises:
        OSError: if the system has Landlock and refuses.
    """
    version = landlock_version()
    if version < 1:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    everything = (1 << (13 + min(version - 1, 2))) - 1
    fields = (
        everything,
        *((_CONNECT_TCP,) if version >= _WITH_NET else ()),
        *((_ABSTRACT_SOCKETS_AND_SIGNALS,) if version >= _WITH_SCOPES else ()),
    )
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    rules = _checked(libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0))
    for path in (*map(Path, (*_SYSTEM, sys.prefix, sys.base_prefix)), *readable):
        _allow(libc, rules, path, _READ_FILE | _READ_DIR)
    for path in writable:
        _allow(libc, rules, path, everything & ~_EXECUTE)
    _checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(libc.syscall(_RESTRICT_SELF, rules, 0))
    os.close(rules)
    return version


def _allow(libc: ctypes.CDLL, rules: int, path: Path, access: int) -> None:
    if not path.exists():
        return
    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    rule = struct.pack("=Qi", access if path.is_dir() else access & _OF_FILES, folder)
    _checked(libc.syscall(_ADD_RULE, rules, 1, rule, 0))
    os.close(folder)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock refuses: {os.strerror(number)}")
    return result
