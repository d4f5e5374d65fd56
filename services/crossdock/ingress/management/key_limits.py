"""The limits of keys: budgets as the view shows them, and the commands that change them."""

from collections.abc import Iterable
from functools import partial
from operator import contains

from crossdock.ingress.commands.account_commands import AccountCommands, sign
from crossdock.ingress.http.auth import Principal
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.management.key_models import LimitFields
from crossdock.ingress.values.balances import Balance, balances_of, tightest
from crossdock.ingress.views.accounts import AccountsView
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.budget import Limit
from crossdock_schemas.accounts.control import BudgetChange, BudgetRemoval
from crossdock_schemas.accounts.directory import budget_id, listed_as
from crossdock_schemas.ids import AccountId, KeyId
from crossdock_schemas.windows import Window

BudgetCommand = BudgetChange | BudgetRemoval
ASKING = frozenset({"limit", "limit_reset"})
"""Fields of a key that change its budgets, even to what they are."""


class KeyLimits:
    """Budgets of organizations, projects and keys. OpenRouter's `limit` of a key is the tightest of its own."""

    def __init__(self, context: ApiContext, commands: AccountCommands) -> None:
        self._context = context
        self._commands = commands

    def of_scope(self, account: AccountId, scope: str) -> tuple[Balance, ...]:
        view = self._view
        spends = view.spends_of(account, scope)
        return balances_of(view.budgets_of(account, scope), spends, self._now_ms, view.root_of)

    def own(self, key: ApiKey) -> tuple[Balance, ...]:
        """Return the balances of a key's own budgets."""
        view = self._view
        budgets = view.budgets_of(key.account, key.key_id)
        spends = view.spends_of_key(key.key_id) if budgets else ()
        return balances_of(budgets, spends, self._now_ms, view.root_of)

    def binding(self, key: ApiKey) -> tuple[Balance, ...]:
        """Return the balances that bind a key: its organization's, its project's, its own."""
        scopes = (key.account, key.project, key.key_id)
        budgets = [b for scope in scopes for b in self._view.budgets_of(key.account, scope)]
        spends = self._view.spends.values()
        return balances_of(budgets, spends, self._now_ms, self._view.root_of)

    def command(self, key: ApiKey, body: LimitFields, who: Principal) -> BudgetCommand | None:
        """Return the command that gives a key the limit of `body`; None: no change.

        Raises:
            RefusedError: if `body` contradicts itself.
        """
        present = _limit_of(tightest(self.own(key)))
        limit = body.over(present)
        is_asked = limit != present or not ASKING.isdisjoint(body.model_fields_set)
        if not is_asked or (limit is None and present is None):
            return None
        signed = sign(who, self._now_ms)
        if limit is None:
            return BudgetRemoval(**signed, scope=key.key_id)
        return BudgetChange(**signed, scope=key.key_id, only=True, **dict(limit))

    async def apply(self, command: BudgetCommand) -> None:
        """Send `command` and wait until the view shows every budget that it changes.

        Raises:
            RefusedError: if the shard refuses it; 503 if it does not answer in time.
        """
        budgets = self._view.budgets
        before = {name: budgets.get(name) for name in _moved(self._view, command)}

        def has_moved(identifier: str) -> bool:
            return budgets.get(identifier) != before[identifier]

        first, *others = before
        await self._commands.apply(command, partial(has_moved, first), first)
        for identifier in others:
            await self._commands.until_shown(identifier, partial(has_moved, identifier))

    async def until_shown(self, key_id: KeyId, windows: Iterable[Window]) -> None:
        """Wait until the view shows the first budgets of a new key."""
        for window in windows:
            identifier = budget_id(key_id, window)
            await self._commands.until_shown(
                identifier, partial(contains, self._view.budgets, identifier)
            )

    @property
    def _view(self) -> AccountsView:
        return self._context.accounts

    @property
    def _now_ms(self) -> int:
        return self._context.clock.now_ms()


def _limit_of(balance: Balance | None) -> Limit | None:
    if balance is None:
        return None
    budget = balance.budget
    return Limit(**{name: getattr(budget, name) for name in Limit.model_fields})


def _moved(view: AccountsView, command: BudgetCommand) -> list[str]:
    """Return the directory's keys of the budgets that `command` sets or removes."""
    account, scope = command.account, command.scope
    named = [] if command.window is None else [command.window]
    is_one = not command.only if isinstance(command, BudgetChange) else command.window is not None
    others = [] if is_one else [budget.window for budget in view.budgets_of(account, scope)]
    windows = dict.fromkeys((*named, *others))
    return [listed_as(account, budget_id(scope, window)) for window in windows]
