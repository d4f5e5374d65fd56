"""Tokens per minute of a key: a bucket that empties within a minute. Pure.

A line that starts fills in the tokens that it reserves: its input at four bytes a token, and the answer that it allows.
When its call ended, the difference to the tokens used is taken out or filled in. So over any time the tokens used and
reserved are at most a full bucket plus what flows out. A line that is larger than the bucket starts when the bucket is
empty: otherwise it could never run, although its size is only a guess before its call. Lines behind it wait longer.
"""

from collections.abc import Iterable
from typing import NamedTuple

from crossdock_schemas.pricing.estimate import BYTES_PER_TOKEN, USUAL_OUTPUT
from crossdock_schemas.pricing.worst_case import Ask

PARTS = 60_000
"""Parts of a token: as many as a minute has milliseconds, so that the outflow is exact."""


class TokenBucket(NamedTuple):
    """Its level when it last changed."""

    level: int = 0
    """Parts of tokens; above a full bucket if calls used more than they reserved."""
    at_ms: int = 0


def reservation_of(ask: Ask) -> int:
    """Return the tokens that a line reserves; an answer without a limit counts with the usual length."""
    return -(-ask.input // BYTES_PER_TOKEN) + (ask.output or USUAL_OUTPUT) * ask.choices


def level_of(bucket: TokenBucket, tpm: int, now_ms: int) -> int:
    """Return the level now, in parts of tokens."""
    return max(0, bucket.level - tpm * max(0, now_ms - bucket.at_ms))


def fill(bucket: TokenBucket, tpm: int, now_ms: int, tokens: int) -> TokenBucket:
    """Fill `tokens` in, or, below 0, take them out; the level is never below 0."""
    level = max(0, level_of(bucket, tpm, now_ms) + tokens * PARTS)
    return TokenBucket(level, max(bucket.at_ms, now_ms))


def count_fitting(bucket: TokenBucket, tpm: int, now_ms: int, lines: Iterable[int]) -> int:
    """Return how many of `lines`, which reserve so many tokens, may start now, from the first on."""
    level, count = level_of(bucket, tpm, now_ms), 0
    for tokens in lines:
        is_alone = not level
        level += tokens * PARTS
        if level > tpm * PARTS and not is_alone:
            break
        count += 1
    return count


def count_of_size(bucket: TokenBucket, tpm: int, now_ms: int, tokens: int, promised: int) -> int:
    """Return how many lines that reserve `tokens` each may start now, if so many tokens are promised to others."""
    level = level_of(bucket, tpm, now_ms) + promised * PARTS
    fitting = max(0, tpm * PARTS - level) // (max(1, tokens) * PARTS)
    return fitting if level else max(1, fitting)


def next_ms(bucket: TokenBucket, tpm: int, tokens: int) -> int:
    """Return when a line that reserves `tokens` may start."""
    over = bucket.level - max(0, tpm - tokens) * PARTS
    return bucket.at_ms + max(0, -(-over // tpm))
