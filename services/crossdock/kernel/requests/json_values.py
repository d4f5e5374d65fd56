"""How many values a JSON text holds: a short one may become twenty times its bytes in memory. Pure."""

import re

MAX_VALUES = 500_000
"""Strings, commas and opening brackets of one body: about 40 MiB in memory."""
SMALL_BYTES = 1024**2  # a text of this size holds few enough, whatever is in it
_VALUE = re.compile(rb'"[^"]*+"?+|[\[{,]')


def has_too_many_values(raw: bytes) -> bool:
    """Return whether parsing `raw` would make more than MAX_VALUES values. The text of a string counts once.

    It takes linear time, whatever `raw` is, and ends at the first value too many.
    """
    if len(raw) <= SMALL_BYTES:
        return False
    most = raw.count(b"[") + raw.count(b"{") + raw.count(b",") + raw.count(b'"')
    if most <= MAX_VALUES:
        return False
    plain = raw.replace(b"\\\\", b"").replace(
        b'\\"', b""
    )  # so that each quote begins or ends a string
    return any(number > MAX_VALUES for number, _ in enumerate(_VALUE.finditer(plain), 1))
