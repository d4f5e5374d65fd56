"""Commands for keys. Pure."""

from collections.abc import Iterator
from typing import Any

from crossdock.accounts.commands.budgets import budgets_of, logged_limit, make_budget
from crossdock.accounts.commands.decision import (
    Decision,
    Refused,
    cancel,
    changed,
    given,
    taken,
    unknown,
)
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.account import ApiKey, Role
from crossdock_schemas.accounts.control import (
    KeyAsked,
    KeyChange,
    KeyDeletion,
    KeyRotation,
    Refusal,
)
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.directory import Entity, policy_id
from crossdock_schemas.accounts.policy import MAX_PATTERNS, Policy
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.ids import KeyId

MAX_KEYS = 10_000


def create_key(state: AccountState, command: KeyAsked) -> Decision | Refused:
    key = command.key
    project = state.projects.get(key.project)
    if project is None:
        return unknown("project", key.project)
    if project.disabled:
        return Refused(key.key_id, Refusal.CONFLICT, f"The project {key.project!r} is disabled.")
    if key.key_id in state.keys:
        return taken(key.key_id)
    if len(state.keys) >= MAX_KEYS:
        reason = f"An organization has {MAX_KEYS} keys at most: delete some."
        return Refused(key.key_id, Refusal.CONFLICT, reason)
    wrong_end = _why_wrong_end(state, key)
    if wrong_end is not None:
        return Refused(key.key_id, Refusal.INVALID, wrong_end)
    made: tuple[Entity, ...] = (key, *_members_policy(state, command))
    if command.limit is None:
        return Decision(key.key_id, made)
    budget = make_budget(state, key.key_id, command.limit)
    also_logged = logged_limit(budget) | {"window": budget.window.value}
    return Decision(key.key_id, (*made, budget), also_logged=also_logged)


def _members_policy(state: AccountState, command: KeyAsked) -> Iterator[Policy]:
    """Yield the policy of the member that makes a key: it binds the new key, too."""
    actor = None if command.actor is None else state.keys.get(command.actor)
    policy = None if actor is None else state.policies.get(policy_id(actor.key_id))
    if actor is not None and actor.role is Role.MEMBER and policy is not None:
        stamps = {"version": state.number + 1, "updated_at_ms": state.now_ms}
        yield policy.model_copy(update={"scope": command.key.key_id, **stamps})


def _why_wrong_end(state: AccountState, key: ApiKey) -> str | None:
    life_s = _max_life_s(state)
    end_ms = key.expires_at_ms
    if end_ms is not None and end_ms <= state.now_ms:
        return "expires_at is in the past."
    if key.role is Role.OWNER:  # the last one must not expire
        return None
    if life_s and (end_ms is None or end_ms > state.now_ms + life_s * 1000):
        return f"The organization demands that a key expires within {life_s} s: set expires_at."
    return None


def change_key(state: AccountState, command: KeyChange) -> Decision | Refused:
    key = state.keys.get(command.key_id)
    if key is None:
        return unknown("key", command.key_id)
    fields = given(command, "name", "disabled", "tags", "allowed_ips")
    limits = given(command, "rpm", "tpm")
    fields |= {name: limit or None for name, limit in limits.items()}
    renewed = changed(state, key, fields)
    cancels: tuple[Cancelled, ...] = ()
    was_stopped = _is_stopped(state, key)
    if _is_stopped(state, renewed) != was_stopped:
        cancels = (cancel(state, key, is_lifted=was_stopped),)
    return Decision(key.key_id, (renewed,), cancels=cancels)


def _is_stopped(state: AccountState, key: ApiKey) -> bool:
    return key.disabled or state.projects[key.project].disabled


def rotate_key(state: AccountState, command: KeyRotation) -> Decision | Refused:
    """Give the key a successor that lives as long from now on as the key did from its creation."""
    key = state.keys.get(command.key_id)
    if key is None:
        return unknown("key", command.key_id)
    if command.successor in state.keys:
        return taken(command.successor)
    if not key.is_alive(state.now_ms):
        return Refused(key.key_id, Refusal.CONFLICT, "The key is disabled or has expired.")
    life_ms = None if key.expires_at_ms is None else key.expires_at_ms - key.created_at_ms
    limit_s = _max_life_s(state)
    if limit_s:
        life_ms = limit_s * 1000 if life_ms is None else min(life_ms, limit_s * 1000)
    successor = key.model_copy(
        update={
            "key_id": command.successor,
            "hash": command.hash,
            "label": command.label,
            "creator": command.actor,
            "rotated_from": key.key_id,
            "rotation_root": state.root_of(key.key_id),
            "expires_at_ms": None if life_ms is None else state.now_ms + life_ms,
            "created_at_ms": state.now_ms,
            "updated_at_ms": state.now_ms,
        }
    )
    end_ms = state.now_ms + command.overlap_s * 1000
    if key.expires_at_ms is not None:
        end_ms = min(end_ms, key.expires_at_ms)
    predecessor = changed(state, key, {"expires_at_ms": end_ms})
    inherited, also_logged = _inherited(state, key.key_id, command.successor)
    return Decision(key.key_id, (successor, predecessor, *inherited), also_logged=also_logged)


def _inherited(
    state: AccountState, key_id: KeyId, successor: KeyId
) -> tuple[list[Entity], dict[str, Any]]:
    """Return the policy and the budgets of the successor, and their fields of the log.

    The budgets count the whole chain of rotations: they do not start again.
    """
    stamps = {"scope": successor, "version": state.number + 1, "updated_at_ms": state.now_ms}
    policy = state.policies.get(policy_id(key_id))
    budgets = state.budgets.get(key_id, {})
    limits = {window.value: f"{budget.limit_usd:f}" for window, budget in budgets.items()}
    byok = [window.value for window, budget in budgets.items() if budget.include_byok]
    beyond = {w.value: f"{b.overshoot_usd:f}" for w, b in budgets.items() if b.is_fluid}
    also_logged = {"successor": successor, "budgets": limits}
    also_logged |= ({"byok": byok} if byok else {}) | ({"overshoots": beyond} if beyond else {})
    copies: list[Entity] = [budget.model_copy(update=stamps) for budget in budgets.values()]
    if policy is not None:
        copies.append(policy.model_copy(update=stamps))
    copies += _with_successor(state, key_id, successor, stamps)
    return copies, also_logged


def _with_successor(
    state: AccountState, key_id: KeyId, successor: KeyId, stamps: dict[str, Any]
) -> Iterator[Credential]:
    """Yield the BYOK keys that name the key, with the successor added and deleted keys left out."""
    for credential in state.credentials.values():
        allowed = credential.allowed_keys or ()
        if key_id in allowed:
            still = [key for key in allowed if key in state.keys]
            fields = {"allowed_keys": (*still, successor)[-MAX_PATTERNS:]}
            yield credential.model_copy(
                update=fields | {name: stamps[name] for name in ("version", "updated_at_ms")}
            )


def delete_key(state: AccountState, command: KeyDeletion) -> Decision | Refused:
    key = state.keys.get(command.key_id)
    if key is None:
        return unknown("key", command.key_id)
    cancels = (cancel(state, key, is_lifted=False),)
    policy = policy_id(key.key_id)
    policies = (policy,) if policy in state.policies else ()
    deleted = (key.key_id, *policies, *budgets_of(state, key.key_id))
    return Decision(key.key_id, deleted=deleted, cancels=cancels)


def _max_life_s(state: AccountState) -> int | None:
    return None if state.organization is None else state.organization.max_key_life_s
