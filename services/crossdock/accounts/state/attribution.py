"""Attribution: the end users and tags that calls are booked under, besides their key. Pure.

A hold is attributed to those that have a budget when it is made, and its calls to the same ones, whatever budgets were
set since. A call without a hold is attributed to those that have, or had, a budget when it is booked.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.holds import OpenHold
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.attribution import is_user, tag_scope, user_scope
from crossdock_schemas.calls.usage import Charge
from crossdock_schemas.money import Units
from crossdock_schemas.parcel.parcel import Parcel


class Attribution(NamedTuple):
    """Scopes that a parcel's lines are attributed to."""

    shared: tuple[str, ...] = ()
    """All lines: the tags."""
    users: tuple[str, ...] = ()
    """Each line: its end user, or an empty text; empty where no line has one."""

    def of(self, place: int) -> tuple[str, ...]:
        """Return the scopes of the line at `place`."""
        user = self.users[place] if self.users else ""
        return (*self.shared, user) if user else self.shared


NO_ATTRIBUTION = Attribution()


class HoldShare(NamedTuple):
    """The part of a hold for lines that are attributed to the same scopes."""

    scopes: tuple[str, ...]
    held: Units
    spare: Units


def tags_of(state: AccountState, key: ApiKey, parcel: Parcel) -> dict[str, str]:
    """Return the tags of `parcel`: its key's take precedence over its project's, and those over its own.

    why: a request must not leave a tag's budget by naming another value.
    """
    return parcel.tags | state.projects[key.project].tags | key.tags


def scopes_of(tags: Mapping[str, str], user: str) -> tuple[str, ...]:
    """Return the scopes that may have a budget."""
    shared = (tag_scope(name, value) for name, value in tags.items())
    return (*shared, user_scope(user)) if user else tuple(shared)


def attribution_of(state: AccountState, parcel: Parcel) -> Attribution:
    if not state.attributed:
        return NO_ATTRIBUTION
    users = tuple(_attributed(state, user_scope(user)) for user in parcel.users)
    shared = tuple(scope for scope in scopes_of(parcel.tags, "") if scope in state.attributed)
    return Attribution(shared, users if any(users) else ())


def _attributed(state: AccountState, scope: str) -> str:
    return scope if scope in state.attributed else ""


def attribution_of_call(state: AccountState, charge: Charge) -> tuple[str, ...]:
    """Return the scopes of a call that has no hold."""
    if not state.attributed:
        return ()
    return tuple(s for s in scopes_of(charge.tags, charge.user) if s in state.attributed)


def shares_of(
    attribution: Attribution, worst_cases: Sequence[Units], expected: Sequence[Units]
) -> tuple[HoldShare, ...]:
    """Return the shares of a hold for lines with these worst cases and expected costs; empty without attribution."""
    if not any(attribution):
        return ()
    found: dict[tuple[str, ...], tuple[Units, Units]] = {}
    for place in range(len(worst_cases)):
        scopes = attribution.of(place)
        held, spare = found.get(scopes, (0, 0))
        worst_case = worst_cases[place]
        found[scopes] = held + worst_case, spare + worst_case - expected[place]
    if not any(found):
        return ()
    return tuple(HoldShare(scopes, *amounts) for scopes, amounts in found.items())


def whole(hold: OpenHold) -> HoldShare:
    """Return the one share of a hold without attribution."""
    return HoldShare((), hold.held, hold.spare)


def share_of(shares: Sequence[HoldShare], user: str) -> HoldShare:
    """Return the share of a line for that end user: the user's own, else the one of lines without attributed users."""
    own = user_scope(user)
    others = (share for share in shares if not any(map(is_user, share.scopes)))
    return next((s for s in shares if own in s.scopes), None) or next(others, shares[0])
