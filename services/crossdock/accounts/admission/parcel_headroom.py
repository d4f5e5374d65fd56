"""How many of a parcel's lines the headroom covers. Pure.

Lines use up the budgets that bind all of them one after the other; the budgets of an end user are used up by that
user's lines only. The first line without headroom ends the search.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from crossdock.accounts.admission.headroom import (
    Affordable,
    KeyHeadroom,
    affordable,
    headroom_of,
    headroom_of_scopes,
)
from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.attribution import NO_ATTRIBUTION, Attribution
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.money import Units


class UserHeadroom(NamedTuple):
    """The headroom under an end user's budgets, and the places of that user's lines."""

    headroom: KeyHeadroom
    places: tuple[int, ...]


@dataclass
class ParcelHeadroom:
    """All that binds the lines of a parcel."""

    shared: KeyHeadroom
    users: tuple[UserHeadroom, ...] = ()
    attribution: Attribution = NO_ATTRIBUTION

    @cached_property
    def is_limited(self) -> bool:
        return any(one.worst_case is not None for one in self._all())

    @cached_property
    def is_fluid(self) -> bool:
        return any(one.expected is not None for one in self._all())

    def _all(self) -> Sequence[KeyHeadroom]:
        return [self.shared, *(user.headroom for user in self.users)]

    def affordable(self, worst_cases: Sequence[Units], expected: Sequence[Units]) -> Affordable:
        """Return how many lines with these worst cases and expected costs it covers."""
        found = affordable(self.shared, worst_cases, expected)
        for headroom, places in self.users:
            one = affordable(
                headroom, [worst_cases[n] for n in places], [expected[n] for n in places]
            )
            if one.lines < len(places) and places[one.lines] < found.lines:
                found = one._replace(lines=places[one.lines])
        return found


def parcel_headroom(state: AccountState, key: ApiKey, attribution: Attribution) -> ParcelHeadroom:
    """Return what binds lines of `key` with this attribution. The state's totals are those of today."""
    shared = headroom_of(state, key, attribution.shared)
    if not attribution.users:
        return ParcelHeadroom(shared, attribution=attribution)
    places: dict[str, list[int]] = {}
    for place, user in enumerate(attribution.users):
        if user:
            places.setdefault(user, []).append(place)
    users = (UserHeadroom(headroom_of_scopes(state, (u,)), tuple(p)) for u, p in places.items())
    return ParcelHeadroom(shared, tuple(users), attribution)
