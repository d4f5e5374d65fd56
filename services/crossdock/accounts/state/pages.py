"""The state of an account in pages of the compacted topic. Pure."""

import json
from collections.abc import Iterable

from crossdock.accounts.state.account import AccountState, Alerted
from crossdock.accounts.state.cost_history import CostHistory, cost_history_of
from crossdock.accounts.state.token_bucket import TokenBucket
from crossdock.accounts.state.waiting import WaitingLines
from crossdock.kernel.process.record import Page
from crossdock_schemas.accounts.directory import MODELS, Entity, identity
from crossdock_schemas.ids import AccountId, KeyId
from crossdock_schemas.windows import day_of

HEAD = "head"
WAITING = "waiting"
RATE = "rate"
BUCKET = "bucket"
COST_HISTORY = "usual"
ALERTED = "alerted"


def entity_page(entity: Entity) -> Page:
    return Page(f"{entity.account}/{identity(entity)}".encode(), entity.to_json())


def gone_page(account: AccountId, identifier: str) -> Page:
    return Page(f"{account}/{identifier}".encode(), None)


def rate_page(state: AccountState, key_id: KeyId) -> Page:
    key = f"{state.account}/{RATE}_{key_id}"
    return Page(key.encode(), str(state.busy_until_ms[key_id]).encode())


def bucket_page(state: AccountState, key_id: KeyId) -> Page:
    key = f"{state.account}/{BUCKET}_{key_id}"
    return Page(key.encode(), json.dumps(state.buckets[key_id]).encode())


def alerted_page(state: AccountState, name: str) -> Page:
    key = f"{state.account}/{ALERTED}_{name}"
    return Page(key.encode(), json.dumps(state.alerted[name]).encode())


def cost_history_page(history: CostHistory) -> Page:
    return Page(f"{history.account}/{history.name}".encode(), history.to_json())


def waiting_page(waiting: WaitingLines, *, is_over: bool) -> Page:
    key = f"{waiting.account}/{waiting.name}".encode()
    return Page(key, None if is_over else waiting.to_json())


def head_page(state: AccountState) -> Page:
    value = json.dumps({"number": state.number, "entries": state.entries, "now_ms": state.now_ms})
    return Page(f"{state.account}/{HEAD}".encode(), value.encode())


def _restore_page(state: AccountState, identifier: str, value: bytes) -> None:
    kind, _, name = identifier.partition("_")
    if kind == RATE:
        state.busy_until_ms[KeyId(name)] = int(value)
    elif kind == BUCKET:
        state.buckets[KeyId(name)] = TokenBucket(*json.loads(value))
    elif kind == ALERTED:
        state.alerted[name] = Alerted(*json.loads(value))
    elif kind == COST_HISTORY:
        history = cost_history_of(state.account, value)
        state.cost_history[history.model] = history
    elif kind == WAITING:
        waiting = WaitingLines.from_json(value)
        state.waiting[waiting.batch_id, waiting.model] = waiting
    else:
        state.put(MODELS[kind].from_json(value))


def restore_states(pages: Iterable[Page]) -> dict[AccountId, AccountState]:
    """Return the accounts that are stored in `pages`."""
    states: dict[AccountId, AccountState] = {}
    for key, value in pages:
        account, _, identifier = key.decode().partition("/")
        if value is None:
            continue  # removed; a compacted topic shows it for a while
        state = states.setdefault(AccountId(account), AccountState(AccountId(account)))
        if identifier == HEAD:
            head = json.loads(value)
            state.number, state.entries = head["number"], head["entries"]
            state.now_ms = head["now_ms"]
        else:
            _restore_page(state, identifier, value)
    for state in states.values():
        state.link_rotations()
        for totals in state.totals.values():
            totals.roll(day_of(state.now_ms))
    return states
