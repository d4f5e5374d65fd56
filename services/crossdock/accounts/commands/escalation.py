"""Escalation: a member makes no key that may more than the key of the member. Admins and owners may. Pure."""

from collections.abc import Iterable, Sequence

from crossdock.accounts.commands.decision import Decision
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.account import ApiKey, Role
from crossdock_schemas.accounts.budget import Budget, Limit
from crossdock_schemas.accounts.control import (
    BudgetChange,
    BudgetRemoval,
    Command,
    KeyAsked,
    KeyChange,
)
from crossdock_schemas.accounts.networks import network_of
from crossdock_schemas.ids import KeyId
from crossdock_schemas.windows import Window

COVERS = {
    Window.TOTAL: frozenset(Window),
    Window.MONTHLY: frozenset({Window.MONTHLY, Window.DAILY}),
    Window.WEEKLY: frozenset({Window.WEEKLY, Window.DAILY}),
    Window.DAILY: frozenset({Window.DAILY}),
}
"""Windows whose budgets a budget of the same amount covers: nothing is spent twice within the longer window."""
REMEDY = "Ask an admin or an owner."


def why_above(state: AccountState, command: Command, decision: Decision) -> str | None:
    """Return what of `decision` is more than the member that asks has; None: nothing, or the actor is not a member."""
    own = None if command.actor is None else state.keys.get(command.actor)
    if own is None or own.role is not Role.MEMBER:
        return None
    reason = next(iter(_excesses(state, command, decision, own)), None)
    return None if reason is None else f"{reason}. {REMEDY}"


def _excesses(
    state: AccountState, command: Command, decision: Decision, own: ApiKey
) -> Iterable[str]:
    key = next((one for one in decision.changed if isinstance(one, ApiKey)), None)
    if isinstance(command, KeyAsked) and key is not None:
        if own.expires_at_ms and (key.expires_at_ms or own.expires_at_ms + 1) > own.expires_at_ms:
            yield "The key would outlive the key that asks: set expires_at"
        yield from _above(state, key, own, {"rpm", "tpm", "tags", "allowed_ips"})
    elif isinstance(command, KeyChange) and key is not None:
        names = ("rpm", "tpm", "tags", "allowed_ips")
        sent = {name for name in names if getattr(command, name) is not None}
        yield from _above(state, key, own, sent)
    if isinstance(command, KeyAsked | BudgetChange | BudgetRemoval):
        yield from _above_budgets(state, command, decision, own)


def _above(state: AccountState, key: ApiKey, own: ApiKey, names: set[str]) -> Iterable[str]:
    """Yield the limits of `key` among `names` that are above those of `own`."""
    for name in ("rpm", "tpm"):
        most: int | None = getattr(own, name)
        if name in names and most is not None and (getattr(key, name) or most + 1) > most:
            yield f"The key that asks has {name} {most}: set {name} to that at most"
    if "allowed_ips" in names and own.allowed_ips and not _is_inside(key.allowed_ips, own):
        yield "The key that asks may be used from some networks only: set allowed_ips within them"
    if "tags" in names:
        project = state.projects[key.project].tags
        for name, value in (project | own.tags).items():
            if key.tags.get(name, None if name in own.tags else value) != value:
                yield f"The tag {name!r} of the project, or of the key that asks, is {value!r}: keep it"


def _is_inside(networks: Sequence[str], own: ApiKey) -> bool:
    outer = [network_of(one) for one in own.allowed_ips]
    inner = [network_of(one) for one in networks]
    return bool(inner) and all(
        any(one.version == of.version and one.subnet_of(of) for of in outer)  # type: ignore[arg-type]  # of one version
        for one in inner
    )


def _above_budgets(
    state: AccountState, command: Command, decision: Decision, own: ApiKey
) -> Iterable[str]:
    target = KeyId(getattr(command, "scope", "")) or decision.target
    after = {b.window: b for b in state.budgets.get(target, {}).values()}
    ended = {window for window in after if f"budget_{window.value}_{target}" in decision.deleted}
    left = [budget for window, budget in after.items() if window not in ended]
    new = [one for one in decision.changed if isinstance(one, Budget) and one.scope == target]
    left = [budget for budget in left if budget.window not in {one.window for one in new}] + new
    for budget in state.budgets.get(own.key_id, {}).values():
        if not any(_covers(one, budget) for one in left):
            limit = f"{budget.limit_usd:f} USD ({budget.window.value})"
            yield f"The key that asks has a budget of {limit}: give the key one that is not above it"


def _covers(one: Limit | Budget, other: Budget) -> bool:
    """Return whether `one` lets through no more than `other`."""
    return (
        other.window in COVERS[one.window]
        and one.limit_usd + one.overshoot_usd <= other.limit_usd + other.overshoot_usd
        and (one.include_byok or not other.include_byok)
    )
