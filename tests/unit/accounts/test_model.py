"""Any commands in any order, with restarts in between, against a slow and obvious model."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from crossdock.accounts.core import AccountsCore
from crossdock.accounts.state.pages import entity_page
from crossdock.kernel.process.record import Page
from crossdock_schemas.accounts.account import ApiKey, Role
from crossdock_schemas.accounts.control import Change, Command, KeyChange, KeyDeletion, KeyRotation
from crossdock_schemas.ids import KeyId
from crossdock_schemas.topics import ACCOUNT_CHANGES, ACCOUNT_DIRECTORY
from unit.accounts.builders import ACME, NOW_MS, OWNER, ask_key, common, make_founded, make_key

IDS = st.integers(1, 4).map(lambda number: KeyId(f"key_{number}"))
ROLES = st.sampled_from([None, None, Role.OWNER, Role.ADMIN])


class Accounts(RuleBasedStateMachine):
    """The model is a dict of the keys that exist, each with its role and whether it is disabled."""

    @initialize()
    def found(self) -> None:
        self.core = AccountsCore()
        self.pages: dict[bytes, bytes] = {}
        self.directory: dict[bytes, bytes] = {}
        self.numbers: list[int] = []
        self.model: dict[str, tuple[Role | None, bool]] = {OWNER: (Role.OWNER, False)}
        self.ending: set[str] = set()
        """Keys that were rotated, and successors of such: they expire."""
        self._apply(make_founded())

    def _apply(self, command: Command) -> Change:
        change = self.core.apply(command, NOW_MS)
        step = self.core.finish()
        for page in step.pages:
            self._store(self.pages, page.key, page.value)
        for record in step.outgoing:
            if record.topic == ACCOUNT_DIRECTORY.name:
                self._store(self.directory, record.key or b"", record.value)
            if record.topic == ACCOUNT_CHANGES.name:
                self.numbers.append(Change.from_json(record.value or b"").number)
        return change

    @staticmethod
    def _store(where: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
        if value is None:
            where.pop(key, None)
        else:
            where[key] = value

    def _owners(self) -> set[str]:
        return {key for key, (role, off) in self.model.items() if role is Role.OWNER and not off}

    def _is_last(self, key_id: str) -> bool:
        """Return whether it is the only owner's key that never expires."""
        return self._owners() - self.ending == {key_id}

    @rule(key_id=IDS, role=ROLES)
    def create(self, key_id: KeyId, role: Role | None) -> None:
        change = self._apply(ask_key(make_key(key_id, role=role), min(self._owners())))

        assert (change.refusal is None) == (key_id not in self.model)
        self.model.setdefault(key_id, (role, False))

    @rule(key_id=st.one_of(IDS, st.just(OWNER)), disabled=st.booleans())
    def switch(self, key_id: KeyId, disabled: bool) -> None:
        change = self._apply(KeyChange(**self._common(), key_id=key_id, disabled=disabled))

        is_applied = key_id in self.model and not (disabled and self._is_last(key_id))
        assert (change.refusal is None) == is_applied
        if is_applied:
            self.model[key_id] = (self.model[key_id][0], disabled)

    @rule(key_id=st.one_of(IDS, st.just(OWNER)))
    def delete(self, key_id: KeyId) -> None:
        change = self._apply(KeyDeletion(**self._common(), key_id=key_id))

        is_applied = key_id in self.model and not self._is_last(key_id)
        assert (change.refusal is None) == is_applied
        if is_applied:
            del self.model[key_id]
            self.ending.discard(key_id)

    @rule(key_id=IDS, successor=IDS)
    def rotate(self, key_id: KeyId, successor: KeyId) -> None:
        rotation = KeyRotation(**self._common(), key_id=key_id, successor=successor, hash="d" * 64, label="l", overlap_s=60)  # fmt: skip
        change = self._apply(rotation)

        role, is_off = self.model.get(key_id, (None, True))
        is_applied = not is_off and successor not in self.model
        assert (change.refusal is None) == is_applied
        if is_applied:
            self.model[successor] = (role, False)
            self.ending |= {key_id, successor} if key_id in self.ending else {key_id}

    def _common(self) -> dict[str, Any]:
        return common(min(self._owners()))

    @rule()
    def crash(self) -> None:
        """The next owner reads the pages."""
        self.core = AccountsCore()
        self.core.restore([Page(key, value) for key, value in self.pages.items()])

    @invariant()
    def state_is_the_model(self) -> None:
        keys = self.core.states[ACME].keys
        assert {key: (found.role, found.disabled) for key, found in keys.items()} == self.model

    @invariant()
    def directory_shows_the_state(self) -> None:
        entities = self.core.states[ACME].entities()
        assert set(self.directory.values()) == {entity_page(entity).value for entity in entities}
        keys = [ApiKey.from_json(v) for k, v in self.directory.items() if k.startswith(b"key_")]
        assert {key.key_id for key in keys} == set(self.model)

    @invariant()
    def numbers_have_no_gap(self) -> None:
        assert self.numbers == list(range(1, len(self.numbers) + 1))


TestAccounts = Accounts.TestCase
TestAccounts.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
