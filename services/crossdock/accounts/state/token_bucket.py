"""Tokens per minute of a key: a bucket that a minute empties. Pure.

A call that begins puts in what it may use: its input at four bytes a token, and the answer that its line allows. What
it used less is taken out again when it ended, what it used more is put in. So over any time no more tokens are used, or
reserved still, than a full bucket and what flows out. One line that is larger than the bucket begins when nothing is in
it: refused, it could never run, although its size is a guess before its call; those behind it wait the longer.
"""

from collections.abc import Iterable
from typing import NamedTuple

from crossdock_schemas.pricing.estimate import BYTES_PER_TOKEN, USUAL_OUTPUT
from crossdock_schemas.pricing.worst_case import Ask

PARTS = 60_000
"""Of a token: so many milliseconds has a minute, so what flows out is exact."""


class Bucket(NamedTuple):
    """What was in it when it was last touched."""

    level: int = 0
    """Parts of tokens; more than it holds where calls used more than they may."""
    at_ms: int = 0


def reserve_of(ask: Ask) -> int:
    """Return the tokens that a line reserves; an answer without a limit counts as one of usual length."""
    return -(-ask.input // BYTES_PER_TOKEN) + (ask.output or USUAL_OUTPUT) * ask.choices


def level_of(bucket: Bucket, tpm: int, now_ms: int) -> int:
    """Return how many parts are in it now."""
    return max(0, bucket.level - tpm * max(0, now_ms - bucket.at_ms))


def put(bucket: Bucket, tpm: int, now_ms: int, tokens: int) -> Bucket:
    """Put `tokens` in, or, below 0, take them out as far as there are any."""
    level = max(0, level_of(bucket, tpm, now_ms) + tokens * PARTS)
    return Bucket(level, max(bucket.at_ms, now_ms))


def count_fitting(bucket: Bucket, tpm: int, now_ms: int, lines: Iterable[int]) -> int:
    """Return how many of `lines`, which reserve so many tokens, may begin now, from the first on."""
    level, count = level_of(bucket, tpm, now_ms), 0
    for tokens in lines:
        is_alone = not level
        level += tokens * PARTS
        if level > tpm * PARTS and not is_alone:
            break
        count += 1
    return count


def count_alike(bucket: Bucket, tpm: int, now_ms: int, tokens: int, promised: int) -> int:
    """Return how many lines that reserve `tokens` each may begin now, if so many tokens are promised to others."""
    level = level_of(bucket, tpm, now_ms) + promised * PARTS
    fitting = max(0, tpm * PARTS - level) // (max(1, tokens) * PARTS)
    return fitting if level else max(1, fitting)


def next_ms(bucket: Bucket, tpm: int, tokens: int) -> int:
    """Return when a line that reserves `tokens` may begin."""
    over = bucket.level - max(0, tpm - tokens) * PARTS
    return bucket.at_ms + max(0, -(-over // tpm))
