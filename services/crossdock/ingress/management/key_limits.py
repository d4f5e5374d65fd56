"""Limits: budgets as our view shows them, and the commands that move them."""

from collections.abc import Iterable
from functools import partial
from operator import contains

from crossdock.ingress.commands.account_commands import Desk, sign
from crossdock.ingress.http.auth import Principal
from crossdock.ingress.http.context import Dock
from crossdock.ingress.values.balances import Balance, balances_of, tightest
from crossdock.ingress.values.checks import Json
from crossdock.ingress.values.management_bodies import check_limit
from crossdock.ingress.views.accounts import AccountsView
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.budget import Limit
from crossdock_schemas.accounts.control import BudgetChange, BudgetRemoval
from crossdock_schemas.accounts.directory import budget_id, listed_as
from crossdock_schemas.ids import AccountId, KeyId
from crossdock_schemas.windows import Window

BudgetCommand = BudgetChange | BudgetRemoval
ASKING = frozenset({"limit", "limit_reset"})
"""Fields of a key that ask for a change of its budgets."""


class Limits:
    """Budgets of organizations, projects and keys. OpenRouter's `limit` of a key is the tightest of its own."""

    def __init__(self, dock: Dock, desk: Desk) -> None:
        self._dock = dock
        self._desk = desk

    def of_scope(self, account: AccountId, scope: str) -> tuple[Balance, ...]:
        view = self._view
        spends = view.spends_of(account, scope)
        return balances_of(view.budgets_of(account, scope), spends, self._now_ms)

    def own(self, key: ApiKey) -> tuple[Balance, ...]:
        """Return the balances of a key's own budgets."""
        spend = self._view.spends.get(key.key_id)
        budgets = self._view.budgets_of(key.account, key.key_id)
        return balances_of(budgets, () if spend is None else (spend,), self._now_ms)

    def binding(self, key: ApiKey) -> tuple[Balance, ...]:
        """Return the balances that bind a key: its organization's, its project's, its own."""
        scopes = (key.account, key.project, key.key_id)
        budgets = [b for scope in scopes for b in self._view.budgets_of(key.account, scope)]
        return balances_of(budgets, self._view.spends.values(), self._now_ms)

    def wish(self, key: ApiKey, body: Json, who: Principal) -> BudgetCommand | None:
        """Return the command that makes a key's limit what `body` asks for; None: nothing need be done.

        Raises:
            RefusedError: if `body` asks for what cannot be.
        """
        present = _limit_of(tightest(self.own(key)))
        limit = check_limit(body, present)
        is_asked = limit != present or not ASKING.isdisjoint(body)
        if not is_asked or (limit is None and present is None):
            return None
        signed = sign(who, self._now_ms)
        if limit is None:
            return BudgetRemoval(**signed, scope=key.key_id)
        return BudgetChange(
            **signed,
            scope=key.key_id,
            window=limit.window,
            limit_usd=limit.limit_usd,
            include_byok=limit.include_byok,
            overshoot_usd=limit.overshoot_usd,
            only=True,
        )

    async def ask(self, command: BudgetCommand) -> None:
        """Hand in `command`, and wait until our view shows all that it moves.

        Raises:
            RefusedError: as the shard says; 503 if it does not answer in time.
        """
        budgets = self._view.budgets
        before = {name: budgets.get(name) for name in _moved(self._view, command)}

        def has_moved(identifier: str) -> bool:
            return budgets.get(identifier) != before[identifier]

        first, *others = before
        await self._desk.ask(command, partial(has_moved, first), first)
        for identifier in others:
            await self._desk.until_shown(identifier, partial(has_moved, identifier))

    async def until_shown(self, key_id: KeyId, windows: Iterable[Window]) -> None:
        """Wait for our view to show the budgets that a new key begins with."""
        for window in windows:
            identifier = budget_id(key_id, window)
            await self._desk.until_shown(
                identifier, partial(contains, self._view.budgets, identifier)
            )

    @property
    def _view(self) -> AccountsView:
        return self._dock.accounts

    @property
    def _now_ms(self) -> int:
        return self._dock.clock.now_ms()


def _limit_of(balance: Balance | None) -> Limit | None:
    if balance is None:
        return None
    budget = balance.budget
    return Limit(
        window=budget.window,
        limit_usd=budget.limit_usd,
        include_byok=budget.include_byok,
        overshoot_usd=budget.overshoot_usd,
    )


def _moved(view: AccountsView, command: BudgetCommand) -> list[str]:
    """Return the directory's keys of the budgets that `command` sets or takes away."""
    account, scope = command.account, command.scope
    named = [] if command.window is None else [command.window]
    is_one = not command.only if isinstance(command, BudgetChange) else command.window is not None
    others = [] if is_one else [budget.window for budget in view.budgets_of(account, scope)]
    windows = dict.fromkeys((*named, *others))
    return [listed_as(account, budget_id(scope, window)) for window in windows]
