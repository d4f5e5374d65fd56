"""Cuts items into groups that each fit into a record. Sizes are those of the encoded bytes. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def _never(_: object, __: object) -> bool:
    return False


def cut(
    items: Iterable[T],
    size_of: Callable[[T], int],
    *,
    max_bytes: int,
    max_count: int | None = None,
    parts: Callable[[T, T], bool] = _never,
) -> Iterator[list[T]]:
    """Yield the items in groups of at most `max_bytes` and `max_count`, in order, without empty groups.

    An item that is larger than `max_bytes` is a group of its own. `parts(last, next)` begins a new group between two
    items.
    """
    group: list[T] = []
    size = 0
    for item in items:
        length = size_of(item)
        if group and (
            size + length > max_bytes or len(group) == max_count or parts(group[-1], item)
        ):
            yield group
            group, size = [], 0
        group.append(item)
        size += length
    if group:
        yield group
