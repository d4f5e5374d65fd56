"""The door to RE2, whose time is linear in the text, whatever the pattern is."""

from functools import lru_cache
from typing import TypeAlias

import re2

Pattern: TypeAlias = "re2._Regexp"  # noqa: SLF001  # the binding has no public name for it
PatternError = re2.error
MAX_MEMORY = 1 << 19  # bytes for one pattern's automata; RE2 itself would take 8 MiB
OWN_MEMORY = 1 << 23  # bytes for one of Crossdock's own patterns
MAX_PATTERNS = 512  # compiled patterns in the cache


def compile_once(pattern: str, max_memory: int = OWN_MEMORY) -> Pattern:
    """Return a compiled pattern that its user keeps.

    Raises:
        PatternError: if it is invalid, or too large for its memory.
        UnicodeEncodeError: if it has half a character.
    """
    options = re2.Options()
    options.max_mem = max_memory
    options.log_errors = False
    compiled: Pattern = re2.compile(pattern, options)
    return compiled


@lru_cache(maxsize=MAX_PATTERNS)
def compile_pattern(pattern: str, max_memory: int = MAX_MEMORY) -> Pattern:
    """Return a compiled pattern, from the cache if it is there. Raises as `compile_once` does."""
    return compile_once(pattern, max_memory)
