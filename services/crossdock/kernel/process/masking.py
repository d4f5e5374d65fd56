"""Masks secrets in text that others wrote, such as providers' answers, and in logs. Pure.

A secret is found as it is, and as base64, hex, in URLs and in JSON, also a part of it of 23 characters or more. Out of
reach: a secret that is encrypted, compressed, or cut into pieces with other text between them.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from crossdock.kernel.process.patterns import Pattern, compile_once

HIDDEN = b"[provider key]"
MIN_SECRET = 8  # characters; shorter texts occur in ordinary text, too
MIN_RUN = 16  # characters of a secret in a row that are masked; issuers' prefixes are shorter
BLOCK = 8  # characters that are searched for
STRIDE, WIDE_STRIDE, WIDEST_STRIDE = 8, 32, 64  # from block to block
FEW, LONG = 4, 256  # secrets of one mask; characters of one secret
MIN_OPAQUE = 20  # characters of a parameter's value that is a secret whatever its name is

_SECRET_NAME = re.compile(r"(?i)key|token|secret|passw|credential|auth|sig|code|dsn")
_OPAQUE = re.compile(r"[A-Za-z0-9+/=_.~-]*")
_ESCAPED = (
    r"(?:%[2-7][0-9A-Fa-f]){4}|(?:\\u00[2-7][0-9A-Fa-f]){4}|(?:&#[xX]?0*[0-9A-Fa-f]{2,3};){4}"
)
"""A secret may be spelled with escapes where so many follow each other."""
_ESCAPES = re.compile(_ESCAPED.encode())
Place = tuple[bytes, int]
"""A form of a secret, and the place of a block in it."""


class SecretMask:
    """Replaces secrets in bytes. With no secrets it does nothing."""

    def __init__(self, secrets: Iterable[str], hidden: bytes = HIDDEN) -> None:
        found = dict.fromkeys(secret for secret in secrets if len(secret) >= MIN_SECRET)
        self._secrets = tuple(secret.encode(errors="replace") for secret in found)
        self._hidden = hidden

    def clean(self, content: bytes) -> bytes:
        """Return `content` with every secret masked; `content` itself without any."""
        if not self._secrets or self._search.search(content) is None:
            return content
        content = self._masked(content)
        return self._spelled.sub(self._hidden, content) if _ESCAPES.search(content) else content

    def clean_text(self, text: str) -> str:
        raw = text.encode(errors="surrogatepass")
        clean = self.clean(raw)
        return text if clean is raw else clean.decode(errors="replace")

    @cached_property
    def _blocks(self) -> Mapping[bytes, list[Place]]:
        """The blocks that are searched for, and where they occur in the forms of secrets."""
        stride = STRIDE if len(self._secrets) <= FEW else WIDE_STRIDE
        found: dict[bytes, list[Place]] = {}
        for form in dict.fromkeys(form for secret in self._secrets for form in _forms(secret)):
            step = WIDEST_STRIDE if len(form) > LONG else stride
            for at in range(0, len(form) - BLOCK + 1, step):
                block = form[at : at + BLOCK]
                if block.isascii():
                    found.setdefault(block, []).append((form, at))
        return found

    @cached_property
    def _search(self) -> Pattern:
        blocks = (re.escape(block.decode()) for block in self._blocks)
        return compile_once("|".join((*blocks, _ESCAPED)))

    @cached_property
    def _spelled(self) -> re.Pattern[bytes]:
        """Matches 16 characters of a secret or more, whichever of them are escaped."""
        pieces = [piece for secret in self._secrets for piece in _pieces(secret)]
        return re.compile(b"|".join(b"".join(map(_spellings, piece)) for piece in pieces))

    def _masked(self, content: bytes) -> bytes:
        """Mask each run of a form, around a block, that is long enough."""
        pieces, done = [], 0
        for found in self._search.finditer(content):
            at = found.start()
            if at < done:
                continue
            start, end = self._run(content, at, done)
            if end > start:
                pieces += [content[done:start], self._hidden]
                done = end
        return b"".join((*pieces, content[done:])) if pieces else content

    def _run(self, content: bytes, at: int, done: int) -> tuple[int, int]:
        """Return the longest run of a form around the block at `at`; an empty one if it is too short."""
        longest = (at, at)
        for form, place in self._blocks.get(content[at : at + BLOCK], ()):
            before = content[max(done, at - place) : at]
            start = at - _common(before[::-1], form[:place][::-1])
            end = at + _common(content[at : at + len(form) - place], form[place:])
            if max(min(MIN_RUN, len(form)), longest[1] - longest[0] + 1) <= end - start:
                longest = (start, end)
        return longest


def _common(text: bytes, other: bytes) -> int:
    """Return the length of the common beginning."""
    if text.startswith(other):
        return len(other)
    pairs = enumerate(zip(text, other, strict=False))
    return next((n for n, (one, two) in pairs if one != two), min(len(text), len(other)))


def _forms(secret: bytes) -> Iterator[bytes]:
    """Yield the ways to write a secret."""
    yield secret
    escaped = secret.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    yield escaped
    yield escaped.replace(b"/", b"\\/")
    yield quote(secret, safe="").encode()
    yield quote(secret, safe="/").encode()
    yield secret.hex().encode()
    for shift in range(3):  # the secret may begin at each place of a group of three bytes
        coded = b64encode(bytes(shift) + secret)
        first = (0, 2, 3)[shift]
        core = coded[first : (shift + len(secret)) * 8 // 6]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")


def _pieces(secret: bytes) -> Iterator[bytes]:
    """Yield the whole secret, then parts of it."""
    yield secret
    if len(secret) > MIN_RUN:
        for at in range(0, len(secret) - MIN_RUN + 1, MIN_RUN):
            yield secret[at : at + MIN_RUN]


def _spellings(byte: int) -> bytes:
    """Return a pattern for one character as it is, and as URLs, JSON and HTML escape it."""
    code = f"{byte:02x}".encode()
    ways = (re.escape(bytes([byte])), b"%%(?i:%s)" % code, rb"\\u00(?i:%s)" % code)
    return b"(?:%s|&#0*%d;|&#[xX]0*(?i:%s);)" % (b"|".join(ways), byte, code)


def secrets_of_url(url: str) -> Iterator[str]:
    """Yield the secrets in an address: its password, and parameters that are keys by their name or look."""
    parts = urlsplit(url)
    if parts.password and parts.password != parts.username:
        yield from (parts.password, unquote(parts.password))
    for name, value in parse_qsl(parts.query):
        is_opaque = len(value) >= MIN_OPAQUE and _OPAQUE.fullmatch(value)
        if is_opaque or _SECRET_NAME.search(name):
            yield value


def secrets_of_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets among the variables of a process: by their names, and in their addresses."""
    for name, value in environ.items():
        if "://" in value:
            yield from _secrets_of_addresses(value)
        elif _SECRET_VARIABLE.search(name) and not _HARMLESS.search(name):
            yield from _listed(value)


_SECRET_VARIABLE = re.compile(
    r"(?i)(?:key|keys|token|secret|passwd|password|passphrase|credentials?|(?<![a-z])auth)(?:_|$)"
)
_HARMLESS = re.compile(r"(?i)_(?:file|path|id|dir|env|s|ms|mechanism|method|sock)$")


def _secrets_of_addresses(value: str) -> Iterator[str]:
    for url in value.split(","):
        try:
            yield from secrets_of_url(url)
        except ValueError:
            continue


def _listed(value: str) -> Iterator[str]:
    """Yield a value, or its parts: master keys are separated by commas."""
    yield from (part.strip() for part in value.split(","))
