"""Pages of a listing: by time, cursor by id. Pure."""

import heapq
from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeVar

from crossdock.ingress.values import errors
from crossdock_schemas.ids import time_of


class Rank(NamedTuple):
    """The position of an item in a listing."""

    created_at_ms: int
    identifier: str


class Ranked(Protocol):
    @property
    def created_at_ms(self) -> int: ...


T = TypeVar("T", bound=Ranked)


def choose_page(
    items: Iterable[tuple[str, T]], *, after: str | None, limit: int, newest_first: bool
) -> tuple[list[T], bool]:
    """Return up to `limit` of the (id, item) pairs that follow the item `after`, and whether there are more.

    A cursor whose item is gone still has a place: its id holds its time.

    Raises:
        RefusedError: if `after` is not an id.
    """
    ranked = {
        identifier: (Rank(item.created_at_ms, identifier), item) for identifier, item in items
    }
    wanted = list(ranked.values())
    if after is not None:
        cursor = ranked[after][0] if after in ranked else _rank_of(after)
        wanted = [
            pair for pair in wanted if (pair[0] < cursor if newest_first else pair[0] > cursor)
        ]
    pick = heapq.nlargest if newest_first else heapq.nsmallest
    found = pick(limit + 1, wanted, key=lambda pair: pair[0])
    return [item for _, item in found[:limit]], len(found) > limit


def _rank_of(identifier: str) -> Rank:
    made_at_ms = time_of(identifier)
    if made_at_ms is None:
        raise errors.wrong_value("after", identifier, "Expected the id of an item of the list.")
    return Rank(made_at_ms, identifier)
