"""A rotated key shares its predecessors' budgets and limits a minute: rotations make no second one."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.accounts.core import AccountsCore
from crossdock.kernel.process.record import Page
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.control import BudgetChange, KeyChange, KeyDeletion, KeyRotation
from crossdock_schemas.accounts.journal import Spend
from crossdock_schemas.ids import KeyId
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.windows import Window
from support.builders import make_parcel
from unit.accounts.builders import (
    ACME,
    NOW_MS,
    PROJECT,
    ask_key,
    common,
    make_founded,
    make_key,
    units,
)

FIRST = KeyId("key_0")
NUMBERS = iter(range(10**9))


class Shard:
    """A core whose pages are kept, so that it can be restored."""

    def __init__(self) -> None:
        self.core = AccountsCore()
        self.pages: dict[bytes, bytes | None] = {}
        self.core.apply(make_founded(), NOW_MS)
        self.core.apply(ask_key(make_key(FIRST, rpm=6, tpm=60_000)), NOW_MS)
        self.core.apply(BudgetChange(**common(), scope=FIRST, window=Window.TOTAL, limit_usd=Decimal(10)), NOW_MS)  # fmt: skip
        self.keys = [FIRST]
        self.keep()

    def keep(self) -> None:
        self.pages.update(dict(self.core.finish().pages))

    def rotate(self) -> None:
        successor = KeyId(f"key_{len(self.keys)}")
        self.core.apply(KeyRotation(**common(), key_id=self.keys[-1], successor=successor, hash="d" * 64, label="l", overlap_s=60), NOW_MS)  # fmt: skip
        self.keys.append(successor)
        self.keep()

    def delete(self, key_id: KeyId) -> None:
        self.core.apply(KeyDeletion(**common(), key_id=key_id), NOW_MS)
        self.keep()

    def crash(self) -> None:
        """The next owner reads the pages."""
        self.core = AccountsCore()
        self.core.restore([Page(key, value) for key, value in self.pages.items()])

    def admit(self, key_id: KeyId, usd: int) -> bool:
        """Return whether a line of `key_id` with this worst case may start."""
        admitted = self.core.ledger.admit(parcel_of(key_id), [units(usd)], NOW_MS)
        self.core.ledger.show(NOW_MS)
        self.keep()
        return admitted.count == 1


def parcel_of(key_id: KeyId) -> Parcel:
    number = f"{next(NUMBERS):032x}"
    return make_parcel(
        parcel_id=f"parcel_{number}", account=ACME, project=PROJECT, key_id=key_id, lines=(0,), position=None,
        batch_id=None, request_id=f"req_{number}",
    )  # fmt: skip


def test_four_rotations_are_one_budget() -> None:
    """Kind 10 of issue 16: four rotations were four budgets."""
    shard = Shard()
    for _ in range(4):
        shard.rotate()

    assert [shard.admit(key, 4) for key in shard.keys] == [True, True, False, False, False]


def test_spending_of_a_deleted_predecessor_counts_after_a_crash() -> None:
    shard = Shard()
    assert shard.admit(FIRST, 8)
    shard.rotate()
    shard.rotate()
    for key in shard.keys[:2]:
        shard.delete(key)
    shard.crash()

    assert not shard.admit(shard.keys[-1], 3)
    assert shard.admit(shard.keys[-1], 2)


def test_a_rotation_is_no_new_minute_of_requests() -> None:
    shard = Shard()
    shard.rotate()
    started = [shard.admit(shard.keys[n % 2], 0) for n in range(8)]
    shard.crash()

    assert started == [True] * 6 + [False] * 2
    assert not shard.admit(shard.keys[0], 0)


def test_a_rotation_is_no_new_bucket_of_tokens() -> None:
    shard = Shard()
    shard.core.apply(KeyChange(**common(), key_id=FIRST, rpm=0, tpm=400), NOW_MS)
    shard.rotate()

    started = [shard.admit(shard.keys[n % 2], 0) for n in range(4)]

    assert started.count(True) < 4
    assert not shard.admit(shard.keys[1], 0)


def test_chains_that_an_older_version_rotated_are_found_by_their_predecessors() -> None:
    shard = Shard()
    for _ in range(3):
        shard.rotate()
    shard.admit(shard.keys[1], 3)
    shard.admit(shard.keys[2], 3)
    for name, value in list(shard.pages.items()):
        if value is not None and name.startswith(b"org_acme/key_"):
            old = ApiKey.from_json(value).model_copy(update={"rotation_root": None})
            shard.pages[name] = old.to_json()
        elif value is not None and name.startswith(b"org_acme/spend_"):
            spend = Spend.from_json(value).model_copy(update={"rotation_root": None})
            shard.pages[name] = spend.to_json()
    shard.crash()

    state = shard.core.states[ACME]
    assert {state.root_of(key) for key in shard.keys} == {FIRST}
    assert not shard.admit(shard.keys[3], 5)
    assert shard.admit(shard.keys[2], 4)


STEPS = st.lists(
    st.one_of(
        st.just("rotate"),
        st.just("crash"),
        st.tuples(st.integers(0, 9), st.integers(0, 6)),
        st.tuples(st.just("delete"), st.integers(0, 9)),
    ),
    max_size=25,
)


@given(steps=STEPS)
def test_no_order_of_rotations_deletions_and_crashes_passes_the_budget(
    steps: list[object],
) -> None:
    shard, held = Shard(), 0
    shard.core.apply(KeyChange(**common(), key_id=FIRST, rpm=0, tpm=0), NOW_MS)
    shard.keep()
    alive = {FIRST}
    for step in steps:
        if step == "rotate" and shard.keys[-1] in alive:
            shard.rotate()
            alive.add(shard.keys[-1])
        elif step == "crash":
            shard.crash()
        elif isinstance(step, tuple) and step[0] == "delete":
            key = shard.keys[int(step[1]) % len(shard.keys)]
            if len(alive) > 1 and key in alive:
                shard.delete(key)
                alive.discard(key)
        elif isinstance(step, tuple):
            key = shard.keys[int(step[0]) % len(shard.keys)]
            if key in alive and shard.admit(key, int(step[1])):
                held += int(step[1])

    assert held <= 10


@pytest.mark.parametrize("count", [1, 3])
def test_a_key_that_was_never_rotated_has_its_own_budget(count: int) -> None:
    shard = Shard()
    for _ in range(count):
        shard.rotate()
    shard.core.apply(ask_key(make_key("key_alone")), NOW_MS)
    shard.core.apply(BudgetChange(**common(), scope="key_alone", window=Window.TOTAL, limit_usd=Decimal(10)), NOW_MS)  # fmt: skip

    assert shard.admit(shard.keys[-1], 10)
    assert shard.admit(KeyId("key_alone"), 10)
