"""What calls cost: postings in the journal, and what each key has spent. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from crossdock.accounts.recent import Recent
from crossdock.accounts.state import AccountState
from crossdock_schemas.ids import KeyId, ProjectId
from crossdock_schemas.journal import Entry, EntryKind, Ledger, Posting, Spend
from crossdock_schemas.usage import Charge

NOTHING = Decimal(0)
Place = tuple[ProjectId, KeyId, str]
"""Project, key, provider."""


@dataclass
class Sum:
    """What was booked of one place."""

    amount_usd: Decimal = NOTHING
    calls: int = 0


def book(state: AccountState, rows: Iterable[Charge], recent: Recent, now_ms: int) -> list[Entry]:
    """Book what is new in `rows`, all of one account: at most one entry of each kind."""
    sums: dict[EntryKind, dict[Place, Sum]] = {}
    for row in rows:
        taken = recent.take(row)
        if taken is None:
            continue
        amount, is_correction = taken
        kind = EntryKind.CORRECTION if is_correction else EntryKind.CAPTURE
        places = sums.setdefault(kind, {})
        found = places.setdefault((row.project, row.key_id, row.provider), Sum())
        found.amount_usd += amount
        found.calls += 1
    entries = []
    for kind, places in sums.items():
        for (project, key_id, _), found in places.items():
            calls = found.calls if kind is EntryKind.CAPTURE else 0
            _spend(state, project, key_id, found.amount_usd, calls, now_ms)
        postings = tuple(p for place, found in places.items() for p in _postings(place, found))
        if postings:
            entries.append(_entry(state, kind, places, postings, now_ms))
    return entries


def _spend(  # noqa: PLR0917  # whose, how much, when
    state: AccountState, project: ProjectId, key_id: KeyId, amount: Decimal, calls: int, now_ms: int
) -> None:
    known = state.spends.get(key_id) or Spend(
        account=state.account, project=project, key_id=key_id, at_ms=now_ms
    )
    state.put(known.plus(amount, calls, now_ms))


def _postings(place: Place, found: Sum) -> tuple[Posting, ...]:
    """Return both sides; none of nothing."""
    if found.amount_usd == NOTHING:
        return ()
    project, key_id, provider = place
    return tuple(
        Posting(ledger=ledger, project=project, key_id=key_id, provider=provider, amount_usd=amount)
        for ledger, amount in (
            (Ledger.SPEND, found.amount_usd),
            (Ledger.PROVIDER, -found.amount_usd),
        )
    )


def _entry(
    state: AccountState,
    kind: EntryKind,
    places: dict[Place, Sum],
    postings: tuple[Posting, ...],
    now_ms: int,
) -> Entry:
    state.entries += 1
    return Entry(
        account=state.account,
        number=state.entries,
        at_ms=now_ms,
        kind=kind,
        executions=sum(found.calls for found in places.values()),
        postings=postings,
    )
