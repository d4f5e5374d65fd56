"""Finds custom_ids that occur twice among millions, in 12 bytes a line.

Hashes of 64 bits are kept in buckets. Each bucket is searched by itself, so that the set that finds repeats stays
small. Different ids may have one hash (1 in 10^7 for 2,000,000 lines), so the caller compares the ids themselves.
"""

from array import array
from collections.abc import Iterator
from hashlib import blake2b

BUCKETS = 64


class SeenIds:
    """Hashes of ids, and their lines."""

    def __init__(self) -> None:
        self._hashes = [array("Q") for _ in range(BUCKETS)]
        self._lines = [array("I") for _ in range(BUCKETS)]

    def add(self, custom_id: str, line: int) -> None:
        digest = int.from_bytes(
            blake2b(custom_id.encode("utf-8", "replace"), digest_size=8).digest()
        )
        bucket = digest % BUCKETS
        self._hashes[bucket].append(digest)
        self._lines[bucket].append(line)

    def suspects(self) -> Iterator[tuple[int, int]]:
        """Yield (first line, later line) for each repeated hash."""
        for hashes, lines in zip(self._hashes, self._lines, strict=True):
            first: dict[int, int] = {}
            for digest, line in zip(hashes, lines, strict=True):
                earlier = first.setdefault(digest, line)
                if earlier != line:
                    yield earlier, line
