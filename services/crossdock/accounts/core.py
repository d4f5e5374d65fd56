"""The accounts of one partition: commands in, records and changed pages out. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from pydantic_core import to_json

from crossdock.accounts.commands.decision import Decision, Refused
from crossdock.accounts.commands.dispatch import Commands
from crossdock.accounts.ledger.ledger import AccountsLedger
from crossdock.accounts.outputs import (
    cancel_record,
    change_record,
    directory_record,
    forwarded_record,
    secret_record,
)
from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.attribution import tags_of
from crossdock.accounts.state.pages import entity_page, gone_page, head_page, restore_states
from crossdock.kernel.process.record import Page, Step
from crossdock.kernel.runtime.shard.step_builder import StepBuilder
from crossdock_schemas.accounts.account import ApiKey, Organization
from crossdock_schemas.accounts.control import Change, Command
from crossdock_schemas.accounts.credit import Credit, Terms
from crossdock_schemas.accounts.directory import Entity, identity, listed_as
from crossdock_schemas.ids import AccountId
from crossdock_schemas.parcel.parcel import Parcel

MAX_LOGGED = 49_152  # bytes of a field in a change, as it was and as it is
UNLOGGED = frozenset({"updated_at_ms"})  # it changes with every other field


class AccountsCore:
    """Applies commands in order. Invariant: the numbers of an account's changes have no gap."""

    def __init__(self, terms: Terms | None = None) -> None:
        terms = terms or Terms()
        self.commands = Commands(terms)
        self._step = StepBuilder()
        self.states: dict[AccountId, AccountState] = {}
        self.ledger = AccountsLedger(self.states, terms, self._step)

    def restore(self, pages: Iterable[Page]) -> None:
        found = list(pages)
        self.states.update(restore_states(p for p in found if not self.ledger.owns(p)))
        self.ledger.restore(found)

    def apply(self, command: Command, now_ms: int) -> Change:
        """Apply or refuse `command`, and return its entry in the log."""
        state = self.states.get(command.account) or AccountState(command.account)
        state.go_on(now_ms)
        now_ms = state.now_ms
        self.ledger.count_holds(state.account)
        decision = self.commands.decide(state, command)
        before, after = _differences(state, decision)
        if isinstance(decision, Decision):
            self._put(state, decision, now_ms)
        if state.organization is not None:  # a command for an unknown account must not create state
            self.states[command.account] = state
        state.number += 1
        change = Change(
            change_id=command.change_id,
            account=command.account,
            number=state.number,
            at_ms=now_ms,
            actor=command.actor,
            action=command.do,
            target=decision.target,
            before=before,
            after=after,
            refusal=decision.refusal if isinstance(decision, Refused) else None,
            reason=decision.reason if isinstance(decision, Refused) else None,
        )
        self._step.send(change_record(change))
        if command.account in self.states:
            self._step.keep(head_page(state))
        return change

    def tagged(self, parcel: Parcel) -> Parcel:
        """Return `parcel`, whose key exists, with all the tags that its calls are booked under."""
        state = self.states[parcel.account]
        tags = tags_of(state, state.keys[parcel.key_id], parcel)
        return parcel if tags == parcel.tags else parcel.model_copy(update={"tags": tags})

    def is_limited(self, parcel: Parcel, now_ms: int) -> bool:
        """Return whether a budget or prepaid credits bind lines of `parcel`; False if its key does not exist."""
        state = self.states.get(parcel.account)
        has_key = state is not None and parcel.key_id in state.keys
        return has_key and self.ledger.is_limited(self.tagged(parcel), now_ms)

    def _put(self, state: AccountState, decision: Decision, now_ms: int) -> None:
        for entity in decision.changed:
            state.put(entity)
            self._step.keep(entity_page(entity))
            name = listed_as(state.account, identity(entity))
            self._step.send(directory_record(name, entity, now_ms))
            if isinstance(entity, Credit):
                self.ledger.credit(entity, now_ms)
            elif isinstance(entity, ApiKey) and entity.rotated_from is not None:
                state.link_rotation(entity)
            elif isinstance(entity, Organization) and state.lots is not None:
                self.ledger.settle_credits(state.account, now_ms)  # prepayment may have changed
        for identifier in decision.deleted:
            state.drop(identifier)
            self._step.keep(gone_page(state.account, identifier))
            name = listed_as(state.account, identifier)
            self._step.send(directory_record(name, None, now_ms))
        self._step.send(*(secret_record(name, it, now_ms) for name, it in decision.secrets))
        self._step.send(*map(cancel_record, decision.cancels))
        self._step.send(*map(forwarded_record, decision.forwarded))

    def finish(self) -> Step:
        """Return the records and pages since the last call."""
        self.ledger.finish()
        return self._step.finish()


def _differences(
    state: AccountState, decision: Decision | Refused
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the changed fields of the command's target, before and after, in JSON."""
    now: Mapping[str, Entity] = {identity(entity): entity for entity in decision.changed}
    old = _fields(state.find(decision.target)) if not isinstance(decision, Refused) else {}
    is_deleted = isinstance(decision, Decision) and decision.target in decision.deleted
    new = _fields(now.get(decision.target)) if decision.target in now or is_deleted else old
    names = [
        name for name in {**old, **new} if name not in UNLOGGED and old.get(name) != new.get(name)
    ]
    also = {} if isinstance(decision, Refused) else decision.also_logged
    return (
        {name: old[name] for name in names if name in old},
        {name: new[name] for name in names if name in new}
        | {name: json.dumps(value) for name, value in also.items()},
    )


def _fields(entity: Entity | None) -> dict[str, str]:
    if entity is None:
        return {}
    return {name: _logged(value) for name, value in entity.model_dump(mode="json").items()}


def _logged(value: object) -> str:
    """Return the JSON of a field; of a long one only its length and its digest: a change must fit into a record."""
    text = json.dumps(value, ensure_ascii=False)
    if len(to_json(text)) <= MAX_LOGGED:
        return text
    raw = text.encode()
    return json.dumps({"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()})
