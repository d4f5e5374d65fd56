"""How many of a parcel's lines there is money for. Pure.

What binds all lines is used up line after line; what binds an end user only by that user's lines. The first line that
finds no room ends it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from crossdock.accounts.admission.headroom import Fit, Rooms, fit, rooms_of, rooms_of_scopes
from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.attribution import Marks
from crossdock_schemas.accounts.account import ApiKey


class UserRooms(NamedTuple):
    """What an end user's budgets leave, and which lines are for that user."""

    rooms: Rooms
    places: tuple[int, ...]


@dataclass
class ParcelRooms:
    """What binds the lines of a parcel."""

    shared: Rooms
    users: tuple[UserRooms, ...] = ()

    @cached_property
    def is_limited(self) -> bool:
        return self.shared.worst is not None or any(u.rooms.worst is not None for u in self.users)

    @cached_property
    def is_fluid(self) -> bool:
        return self.shared.likely is not None or any(u.rooms.likely is not None for u in self.users)

    def fit(self, worst: Sequence[Decimal], likely: Sequence[Decimal]) -> Fit:
        """Return how many lines there is money for that cost `worst` at most and are likely to cost `likely`, USD."""
        found = fit(self.shared, worst, likely)
        for rooms, places in self.users:
            one = fit(rooms, [worst[n] for n in places], [likely[n] for n in places])
            if one.lines < len(places) and places[one.lines] < found.lines:
                found = one._replace(lines=places[one.lines])
        return found


def rooms_for(state: AccountState, key: ApiKey, marks: Marks) -> ParcelRooms:
    """Return what binds lines of `key` that count for `marks`. The state's tallies are those of today."""
    shared = rooms_of(state, key, marks.shared)
    if not marks.users:
        return ParcelRooms(shared)
    places: dict[str, list[int]] = {}
    for place, user in enumerate(marks.users):
        if user:
            places.setdefault(user, []).append(place)
    return ParcelRooms(
        shared,
        tuple(UserRooms(rooms_of_scopes(state, (u,)), tuple(p)) for u, p in places.items()),
    )
