"""Commands for budgets. Pure."""

from typing import Any

from crossdock.accounts.commands.decision import Decision, Refused, unknown
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.attribution import is_sound_mark
from crossdock_schemas.accounts.budget import Budget, Limit
from crossdock_schemas.accounts.control import BudgetChange, BudgetRemoval, Refusal
from crossdock_schemas.accounts.directory import budget_id
from crossdock_schemas.accounts.journal import MarkSpend
from crossdock_schemas.windows import Window

AMOUNTS = ("limit_usd", "include_byok", "overshoot_usd")
MAX_ATTRIBUTED = 10_000
"""End users and tags of one organization that ever had a budget: calls are attributed to them from then on."""


def set_budget(state: AccountState, command: BudgetChange) -> Decision | Refused:
    scope, window = command.scope, command.window
    is_attributed = is_sound_mark(scope)
    if not is_attributed and not state.has_scope(scope):
        return unknown("organization, project or key", scope)
    if is_attributed and scope not in state.attributed and len(state.attributed) >= MAX_ATTRIBUTED:
        reason = (
            f"An organization has, or had, budgets of {MAX_ATTRIBUTED} end users and tags at most."
        )
        return Refused(budget_id(scope, window), Refusal.CONFLICT, reason)
    others = state.budgets.get(scope, {}).keys() - {window} if command.only else set()
    ended = [one for one in Window if one in others]
    old = state.budgets.get(scope, {}).get(window)
    sent: dict[str, Any] = {name: getattr(command, name) for name in AMOUNTS}
    kept = {} if old is None else {name: getattr(old, name) for name in command.kept or ()}
    limit = Limit(window=window, **sent | kept)
    also_logged: dict[str, Any] = _ended(ended) if ended else {}
    if _has_more_fields(limit) or (old is not None and _has_more_fields(old)):
        # why all fields: a reader of the log then needs no earlier entries
        also_logged |= logged_limit(limit)
    is_new = is_attributed and scope not in state.attributed
    new = [MarkSpend(account=state.account, scope=scope, at_ms=state.now_ms)] if is_new else []
    return Decision(
        budget_id(scope, window),
        (make_budget(state, scope, limit), *new),
        deleted=tuple(budget_id(scope, one) for one in ended),
        also_logged=also_logged,
    )


def _has_more_fields(limit: Limit | Budget) -> bool:
    return limit.include_byok or limit.overshoot_usd > 0


def logged_limit(limit: Limit | Budget) -> dict[str, Any]:
    also_logged: dict[str, Any] = {
        "limit_usd": f"{limit.limit_usd:f}",
        "include_byok": limit.include_byok,
    }
    if limit.overshoot_usd:
        also_logged["overshoot_usd"] = f"{limit.overshoot_usd:f}"
    return also_logged


def make_budget(state: AccountState, scope: str, limit: Limit) -> Budget:
    """Return the budget that the present change sets."""
    return Budget(
        account=state.account,
        scope=scope,
        window=limit.window,
        limit_usd=limit.limit_usd,
        include_byok=limit.include_byok,
        overshoot_usd=limit.overshoot_usd,
        version=state.number + 1,
        updated_at_ms=state.now_ms,
    )


def clear_budget(state: AccountState, command: BudgetRemoval) -> Decision | Refused:
    scope, window = command.scope, command.window
    there = state.budgets.get(scope, {})
    if window is not None:
        identifier = budget_id(scope, window)
        if window not in there:
            return unknown("budget", identifier)
        return Decision(identifier, deleted=(identifier,))
    if not there:
        return unknown("budget of", scope)
    ended = [one for one in Window if one in there]
    return Decision(scope, deleted=budgets_of(state, scope), also_logged=_ended(ended))


def budgets_of(state: AccountState, scope: str) -> tuple[str, ...]:
    """Return the identities of a scope's budgets."""
    return tuple(budget_id(scope, window) for window in state.budgets.get(scope, {}))


def _ended(windows: list[Window]) -> dict[str, Any]:
    return {"ended": [window.value for window in windows]}
