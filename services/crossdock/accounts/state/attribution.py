"""What calls count for besides their key: end users and tags. Pure.

A hold counts for those that had a budget when it was made, whatever was set since; its calls count for the same ones. A
call that has no hold any more counts for those that have, or had, a budget when it is told of.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.holds import Held, to_units
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.attribution import is_user, tag_scope, user_scope
from crossdock_schemas.calls.usage import Charge
from crossdock_schemas.parcel.parcel import Parcel


class Marks(NamedTuple):
    """Scopes that a parcel's lines count for."""

    shared: tuple[str, ...] = ()
    """All lines: the tags."""
    users: tuple[str, ...] = ()
    """Each line: its end user, or an empty text; empty where no line has one."""

    def of(self, place: int) -> tuple[str, ...]:
        """Return what the line at `place` counts for."""
        user = self.users[place] if self.users else ""
        return (*self.shared, user) if user else self.shared


NO_MARKS = Marks()


class Share(NamedTuple):
    """What of a hold is for lines that count for the same `marks`, in 1e-12 USD."""

    marks: tuple[str, ...]
    rest: int
    """What it covers still."""
    spare: int
    """What of it fluid budgets do not count."""


def tags_of(state: AccountState, key: ApiKey, parcel: Parcel) -> dict[str, str]:
    """Return the tags of what `parcel` asks for: the request's go before the key's, and those before the project's.

    A parcel that was admitted before keeps the tags that it had then.
    """
    return state.projects[key.project].tags | key.tags | parcel.tags


def scopes_of(tags: Mapping[str, str], user: str) -> tuple[str, ...]:
    """Return the scopes that may have a budget."""
    shared = (tag_scope(name, value) for name, value in tags.items())
    return (*shared, user_scope(user)) if user else tuple(shared)


def marks_of(state: AccountState, parcel: Parcel) -> Marks:
    """Return what the lines of `parcel` count for now."""
    if not state.marks:
        return NO_MARKS
    users = tuple(_counted(state, user_scope(user)) for user in parcel.users)
    shared = tuple(scope for scope in scopes_of(parcel.tags, "") if scope in state.marks)
    return Marks(shared, users if any(users) else ())


def _counted(state: AccountState, scope: str) -> str:
    return scope if scope in state.marks else ""


def marks_of_row(state: AccountState, row: Charge) -> tuple[str, ...]:
    """Return what a call counts for that has no hold."""
    if not state.marks:
        return ()
    return tuple(scope for scope in scopes_of(row.tags, row.user) if scope in state.marks)


def shares_of(
    marks: Marks, worst: Sequence[Decimal], likely: Sequence[Decimal]
) -> tuple[Share, ...]:
    """Return the shares of a hold for lines that cost `worst` at most, USD; empty where they count for nothing."""
    if not any(marks):
        return ()
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for place in range(len(worst)):
        most, usual = to_units(worst[place]), to_units(likely[place])
        rest, spare = found.get(marks.of(place), (0, 0))
        found[marks.of(place)] = rest + most, spare + most - usual
    if not any(found):
        return ()
    return tuple(Share(of_lines, *amounts) for of_lines, amounts in found.items())


def whole(held: Held) -> Share:
    """Return the one share of a hold that counts for its key only."""
    return Share((), held.rest, held.spare)


def share_of(shares: Sequence[Share], user: str) -> Share:
    """Return the share of a line for that end user: that user's own, else the one of lines whose users do not count."""
    own = user_scope(user)
    others = (share for share in shares if not any(map(is_user, share.marks)))
    return next((s for s in shares if own in s.marks), None) or next(others, shares[0])
