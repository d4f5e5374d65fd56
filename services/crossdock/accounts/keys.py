"""What becomes of an account's keys. Pure."""

from crossdock.accounts.decision import Decision, Refused, cancel, changed, given, taken, unknown
from crossdock.accounts.state import AccountState
from crossdock_schemas.account import ApiKey
from crossdock_schemas.cancel import Cancelled
from crossdock_schemas.control import KeyAsked, KeyChange, KeyDeletion, KeyRotation, Refusal
from crossdock_schemas.directory import policy_id

MAX_KEYS = 10_000


def create_key(state: AccountState, command: KeyAsked, now_ms: int) -> Decision | Refused:
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
    wrong_end = _why_wrong_end(key, _max_life_s(state), now_ms)
    if wrong_end is not None:
        return Refused(key.key_id, Refusal.INVALID, wrong_end)
    return Decision(key.key_id, (key,))


def _why_wrong_end(key: ApiKey, life_s: int | None, now_ms: int) -> str | None:
    end_ms = key.expires_at_ms
    if end_ms is not None and end_ms <= now_ms:
        return "expires_at is in the past."
    if life_s and (end_ms is None or end_ms > now_ms + life_s * 1000):
        return f"The organization demands that a key expires within {life_s} s: set expires_at."
    return None


def change_key(state: AccountState, command: KeyChange, now_ms: int) -> Decision | Refused:
    key = state.keys.get(command.key_id)
    if key is None:
        return unknown("key", command.key_id)
    renewed = changed(key, given(command, "name", "disabled", "tags", "allowed_ips"), now_ms)
    if renewed.disabled and state.is_last_owner(key):
        return _last_owner(key)
    cancels: tuple[Cancelled, ...] = ()
    was_stopped = _is_stopped(state, key)
    if _is_stopped(state, renewed) != was_stopped:
        cancels = (cancel(key, now_ms, is_lifted=was_stopped),)
    return Decision(key.key_id, (renewed,), cancels=cancels)


def _is_stopped(state: AccountState, key: ApiKey) -> bool:
    return key.disabled or state.projects[key.project].disabled


def rotate_key(state: AccountState, command: KeyRotation, now_ms: int) -> Decision | Refused:
    """Give `key` a successor that lives as long from now on as `key` did from its beginning."""
    key = state.keys.get(command.key_id)
    if key is None:
        return unknown("key", command.key_id)
    if command.successor in state.keys:
        return taken(command.successor)
    if not key.is_alive(now_ms):
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
            "expires_at_ms": None if life_ms is None else now_ms + life_ms,
            "created_at_ms": now_ms,
            "updated_at_ms": now_ms,
        }
    )
    end_ms = now_ms + command.overlap_s * 1000
    if key.expires_at_ms is not None:
        end_ms = min(end_ms, key.expires_at_ms)
    return Decision(key.key_id, (successor, changed(key, {"expires_at_ms": end_ms}, now_ms)))


def delete_key(state: AccountState, command: KeyDeletion, now_ms: int) -> Decision | Refused:
    key = state.keys.get(command.key_id)
    if key is None:
        return unknown("key", command.key_id)
    if state.is_last_owner(key):
        return _last_owner(key)
    cancels = (cancel(key, now_ms, is_lifted=False),)
    policy = policy_id(key.key_id)
    deleted = (key.key_id, policy) if policy in state.policies else (key.key_id,)
    return Decision(key.key_id, deleted=deleted, cancels=cancels)


def _max_life_s(state: AccountState) -> int | None:
    return None if state.organization is None else state.organization.max_key_life_s


def _last_owner(key: ApiKey) -> Refused:
    reason = "It is the organization's last owner's key: make another one first."
    return Refused(key.key_id, Refusal.CONFLICT, reason)
