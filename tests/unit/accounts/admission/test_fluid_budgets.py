"""Fluid budgets: what is likely is held against the limit, and the overshoot bounds what calls may cost."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.accounts.core import AccountsCore
from crossdock.accounts.ledger.ledger import Admitted
from crossdock.accounts.state import cost_history
from crossdock.accounts.state.cost_history import (
    CLASSES,
    FEWEST,
    MOST,
    SHARES,
    WHOLE,
    CostHistory,
    TeachingHolds,
    cost_history_of,
    expected_costs,
)
from crossdock.kernel.process.record import Page
from crossdock_schemas.accounts.control import BudgetChange, KeyRotation
from crossdock_schemas.batches.batch import Granted
from crossdock_schemas.calls.usage import CallOutcome, Charge, ChargeGroup, HoldEnd
from crossdock_schemas.ids import HoldId, KeyId, derive_token, hold_id
from crossdock_schemas.pricing.prices import Cost
from crossdock_schemas.topics import BATCH_COMMANDS
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

APP = KeyId("key_app")
MODEL = "tern-mini"
TENTH = Decimal("0.105113")
"""The upper bound of the class that a tenth lies in."""


def limit(core: AccountsCore, usd: int, overshoot: int = 0, scope: str = APP) -> None:
    command = BudgetChange(
        **common(),
        scope=scope,
        window=Window.TOTAL,
        limit_usd=Decimal(usd),
        overshoot_usd=Decimal(overshoot),
    )
    assert core.apply(command, NOW_MS).refusal is None


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> AccountsCore:
    monkeypatch.setattr(cost_history, "FEWEST", 3)
    made = AccountsCore()
    made.apply(make_founded(), NOW_MS)
    made.apply(ask_key(make_key(APP)), NOW_MS)
    return made


def admit(core: AccountsCore, number: int, *worst: int, is_batch: bool = False) -> Admitted:
    fields: dict[str, Any] = (
        {"position": 0} if is_batch else {"batch_id": None, "request_id": "req_1"}
    )
    parcel = make_parcel(
        parcel_id=f"parcel_{number:032x}",
        account=ACME,
        project=PROJECT,
        key_id=APP,
        model=MODEL,
        lines=tuple(range(len(worst))),
        deadline_ms=NOW_MS + 60_000,
        **fields,
    )
    return core.ledger.admit(parcel, [units(amount) for amount in worst], NOW_MS)


def hold_of(number: int) -> HoldId:
    return hold_id(make_parcel(parcel_id=f"parcel_{number:032x}").parcel_id)


def cost(core: AccountsCore, number: int, usd: int, outcome: CallOutcome = CallOutcome.OK) -> None:
    """The only call under a hold ends, and with it the hold."""
    row = Charge(
        execution_id=f"exec_{derive_token(hold_of(number), 0)}",
        account=ACME,
        project=PROJECT,
        key_id=APP,
        provider="atlas",
        outcome=outcome,
        cost=Cost(output=Decimal(usd)),
        claim="life-1",
        hold_id=hold_of(number),
    )
    end = HoldEnd(hold_id=hold_of(number), account=ACME, key_id=APP, slots=(0,))
    core.ledger.book(ChargeGroup(executions=(row,), ended=(end,)), NOW_MS)


def learn(core: AccountsCore, calls: int = 3) -> None:
    """Let calls of 10 USD at most cost 1 USD each."""
    for number in range(1000, 1000 + calls):
        assert admit(core, number, 10).count == 1
        cost(core, number, 1)


def restarted(core: AccountsCore) -> AccountsCore:
    again = AccountsCore()
    again.restore([Page(page.key, page.value) for page in core.finish().pages])
    return again


def test_what_is_likely_is_held_once_it_is_known(core: AccountsCore) -> None:
    limit(core, 100, overshoot=900)
    learn(core)

    said = [admit(core, number, 10).count for number in range(100)]

    core.ledger.count_holds(ACME)
    begun = sum(said)
    assert begun == int((100 - 3) / (10 * TENTH)) == 92
    totals = core.states[ACME].totals_of(APP)
    assert totals.held[Window.TOTAL] == units(begun * 10)
    expected = totals.expected(Window.TOTAL, include_byok=False)
    assert expected == units(3 + begun * 10 * TENTH)


def test_before_it_is_known_a_fluid_budget_is_as_strict_as_others(core: AccountsCore) -> None:
    limit(core, 25, overshoot=900)

    assert [admit(core, number, 10).count for number in range(3)] == [1, 1, 0]


def test_worst_cases_never_exceed_limit_and_overshoot(core: AccountsCore) -> None:
    limit(core, 100, overshoot=50)
    learn(core)

    said = [admit(core, number, 10) for number in range(20)]

    assert sum(one.count for one in said) == 14  # of 150 USD 3 are spent
    shortage = said[-1].wait_reason
    assert shortage is not None
    assert "leaves 7 USD of 100 USD and 50 USD beyond it; this can cost up to 10 USD" in shortage.message  # fmt: skip


def test_the_refusal_says_what_is_likely(core: AccountsCore) -> None:
    limit(core, 13, overshoot=900)
    learn(core)

    said = [admit(core, number, 10) for number in range(10)]

    shortage = said[-1].wait_reason
    assert shortage is not None
    assert "leaves 0.53983 USD of 13 USD; this is likely to cost 1.05113 USD" in shortage.message


def test_a_strict_budget_beside_it_counts_worst_cases(core: AccountsCore) -> None:
    limit(core, 100, overshoot=900)
    learn(core)
    limit(core, 43, scope=PROJECT)

    assert sum(admit(core, number, 10).count for number in range(20)) == 4


def test_a_hold_that_ends_leaves_nothing_spare(core: AccountsCore) -> None:
    limit(core, 100, overshoot=900)
    learn(core)
    for number, usd in enumerate([0, 1, 5, 10]):
        admit(core, number, 10)
        cost(core, number, usd)

    totals = core.states[ACME].totals_of(APP)
    assert totals.spare == totals.held == dict.fromkeys(Window, 0)
    assert totals.spent[Window.TOTAL] == units(3 + 16)


def test_what_is_known_and_spare_survives_a_restart(core: AccountsCore) -> None:
    limit(core, 100, overshoot=900)
    learn(core)
    admit(core, 1, 10)

    again = restarted(core)

    assert (
        again.states[ACME].cost_history[MODEL].counts
        == core.states[ACME].cost_history[MODEL].counts
    )
    for scope in (ACME, PROJECT, APP):
        assert again.states[ACME].totals_of(scope) == core.states[ACME].totals_of(scope)
    cost(again, 1, 1)
    assert again.states[ACME].totals_of(APP).spare[Window.TOTAL] == 0


def test_only_calls_that_succeeded_teach_what_is_usual(core: AccountsCore) -> None:
    limit(core, 100, overshoot=900)
    for number, outcome in enumerate(
        [CallOutcome.SERVER_ERROR, CallOutcome.UNKNOWN, CallOutcome.OK]
    ):
        admit(core, number, 10)
        cost(core, number, 1, outcome)

    assert sum(core.states[ACME].cost_history[MODEL].counts) == 1


def test_without_a_fluid_budget_nothing_is_learned_or_spare(core: AccountsCore) -> None:
    limit(core, 100)
    learn(core)
    admit(core, 1, 10)

    assert not core.states[ACME].cost_history
    assert core.states[ACME].totals_of(APP).spare[Window.TOTAL] == 0


def test_lines_that_wait_go_on_when_what_is_likely_fits(core: AccountsCore) -> None:
    limit(core, 100, overshoot=900)
    learn(core)
    limit(core, 4, overshoot=900)
    said = admit(core, 1, 10, 10, 10, is_batch=True)
    assert said.count == 0

    limit(core, 6, overshoot=900)
    core.ledger.grant(NOW_MS)

    told = [r.value or b"" for r in core.finish().outgoing if r.topic == BATCH_COMMANDS.name]
    assert [Granted.from_json(value).lines for value in told] == [2]


def test_the_log_says_all_of_a_fluid_budget_and_of_what_replaces_it(core: AccountsCore) -> None:
    def change(overshoot: int) -> dict[str, str]:
        command = BudgetChange(
            **common(),
            scope=APP,
            window=Window.TOTAL,
            limit_usd=Decimal(5),
            overshoot_usd=Decimal(overshoot),
        )
        return core.apply(command, NOW_MS).after

    change(0)
    fluid, strict = change(2), change(0)

    assert (fluid["limit_usd"], fluid["overshoot_usd"]) == ('"5"', '"2"')
    assert (strict["limit_usd"], strict["overshoot_usd"]) == ('"5"', '"0"')


def test_a_rotated_key_hands_its_overshoot_on(core: AccountsCore) -> None:
    limit(core, 5, overshoot=2)
    command = KeyRotation(
        **common(), key_id=APP, successor=KeyId("key_2"), hash="a" * 64, label="sk", overlap_s=60
    )

    change = core.apply(command, NOW_MS)

    assert change.after["overshoots"] == '{"total": "2"}'
    assert core.states[ACME].budgets["key_2"][Window.TOTAL].overshoot_usd == 2


# what is likely


def test_classes_reach_from_next_to_nothing_to_the_whole() -> None:
    assert len(SHARES) == CLASSES
    assert SHARES[-1] == WHOLE
    assert SHARES[0] < 20
    assert list(SHARES) == sorted(set(SHARES))


def test_nothing_is_likely_before_enough_calls_are_known() -> None:
    history = CostHistory(ACME, MODEL)
    for _ in range(FEWEST - 1):
        history.learn(1, 100)
    before = expected_costs([units(3)], history)

    history.learn(1, 100)

    assert before == expected_costs([units(3)], None) == [units(3)]
    assert expected_costs([units(3)], history)[0] < units("0.04")


@given(st.lists(st.integers(0, 150), min_size=FEWEST, max_size=300))
def test_ninety_five_of_a_hundred_calls_cost_no_more_than_is_likely(costs: list[int]) -> None:
    history = CostHistory(ACME, MODEL)
    for cost in costs:
        history.learn(cost, 100)

    share = Decimal(history.share()) / WHOLE
    within = sum(min(cost, 100) <= share * 100 for cost in costs)
    assert within >= len(costs) * Decimal("0.95")
    if share > SHARES[0]:  # and it is the least class for which that holds
        below = Decimal(SHARES[SHARES.index(history.share()) - 1]) / WHOLE
        assert sum(min(u, 100) <= below * 100 for u in costs) < len(costs) * Decimal("0.95")


def test_old_calls_weigh_less_and_less() -> None:
    history = CostHistory(ACME, MODEL)
    for _ in range(MOST):
        history.learn(100, 100)
    for _ in range(MOST * 3 // 2):
        history.learn(1, 100)

    assert sum(history.counts) < MOST
    assert history.share() == WHOLE
    for _ in range(MOST * 3):
        history.learn(1, 100)
    assert history.share() < WHOLE // 50


def test_what_is_usual_is_read_back() -> None:
    history = CostHistory(ACME, "a/model_with.any-name")
    history.learn(1, 3)

    assert cost_history_of(ACME, history.to_json()) == history


def test_of_the_holds_that_shall_teach_the_latest_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cost_history, "MAX_TEACHING", 2)
    teaching = TeachingHolds()
    for number in range(3):
        teaching.add(hold_of(number), MODEL, [units(1), units(3)])
    teaching.add(hold_of(9), MODEL, [0])  # nothing can be learned of what is free

    assert [teaching.find(hold_of(n)) is not None for n in (0, 1, 2, 9)] == [
        False,
        True,
        True,
        False,
    ]
    found = teaching.find(hold_of(1))
    assert found is not None
    assert found.worst_case == units(2)
