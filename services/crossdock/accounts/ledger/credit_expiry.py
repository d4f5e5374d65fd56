"""When credits expire, and when that is reported; `credit_lots` decides what then lapses. Pure."""

import heapq
from collections.abc import Iterator, Sequence
from decimal import Decimal

from crossdock.accounts.ledger import credit_lots
from crossdock.accounts.ledger.alerts import expiries
from crossdock.accounts.outputs import alert_record, directory_record
from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.pages import entity_page
from crossdock.kernel.runtime.shard.step_builder import StepBuilder
from crossdock.kernel.runtime.shard.throttle import Throttle
from crossdock_schemas.accounts.credit import Credit, Lots
from crossdock_schemas.accounts.directory import identity
from crossdock_schemas.ids import AccountId

SHOW_MS = 1000


class CreditExpiry:
    """The credits of a partition's accounts that expire."""

    def __init__(self, notice_days: int, step: StepBuilder) -> None:
        self._notice_days = notice_days
        self._step = step
        self._due: list[tuple[int, AccountId]] = []
        """A heap of when an account's credits expire, or are soon to expire. Extra entries have no effect."""
        self._kept: dict[AccountId, Lots] = {}
        """As their pages have them."""
        self._shown = Throttle[AccountId](SHOW_MS)

    def restore(self, state: AccountState) -> None:
        """Take over the lots of `state`."""
        if state.lots is not None:
            self._kept[state.account] = state.lots
            self._shown.note(state.account)  # the directory may not show the last lots yet
            self._watch(state)

    def _watch(self, state: AccountState) -> None:
        for at_ms in credit_lots.due_ms(state, self._notice_days):
            heapq.heappush(self._due, (at_ms, state.account))

    def add(self, state: AccountState, credit: Credit) -> None:
        """Count credits, added or removed; the state has them already."""
        credit_lots.add(state, credit)
        if credit.expires_at_ms is not None:
            self._watch(state)

    def due(self, now_ms: int) -> Iterator[AccountId]:
        """Yield the accounts whose credits expire now, or soon."""
        while self._due and self._due[0][0] <= now_ms:
            yield heapq.heappop(self._due)[1]

    def settle(self, state: AccountState, released_usd: Decimal) -> Sequence[Credit]:
        """Take what was spent from the lots that expire first, and return the lapses; the state has them already.

        `released_usd`: what holds released since the last time.
        """
        settled = credit_lots.settle(state, released_usd, self._notice_days)
        self._step.send(*map(alert_record, expiries(state, settled)))
        for lapse in settled.lapses:
            state.put(lapse)
            self._step.keep(entity_page(lapse))
            self._step.send(directory_record(identity(lapse), lapse, state.now_ms))
        found = state.lots
        if found is not None and found != self._kept.get(state.account):
            self._kept[state.account] = found
            self._shown.note(state.account)
            self._step.keep(entity_page(found))
        return settled.lapses

    def show(self, now_ms: int) -> None:
        """Show the lots in the directory: each account's once in SHOW_MS at most."""
        for account in self._shown.due(now_ms):
            lots = self._kept[account]
            self._step.send(directory_record(identity(lots), lots, now_ms))
