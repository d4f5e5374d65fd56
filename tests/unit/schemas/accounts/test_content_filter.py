"""What policies together look for: everything that one of them does, with the strongest action."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crossdock_schemas.accounts.content_filter import (
    MAX_FILTERS,
    MAX_PATTERN,
    NO_GUARD,
    Action,
    Builtin,
    BuiltinFilter,
    Detector,
    Filters,
    GuardRules,
    PatternFilter,
    combine,
)
from crossdock_schemas.accounts.policy import Rules, guard_of
from unit.schemas.accounts.test_policy import make_policy

BUILTINS = st.lists(
    st.builds(BuiltinFilter, slug=st.sampled_from(Builtin), action=st.sampled_from(Action)),
    max_size=4,
)
PATTERNS = st.lists(
    st.builds(
        PatternFilter,
        pattern=st.sampled_from(["a+", "b+"]),
        action=st.sampled_from(Action),
        label=st.none() | st.sampled_from(["one", "two"]),
    ),
    max_size=3,
)
FILTERS = st.builds(Filters, st.sampled_from(["org_1", "proj_1", "key_1"]), BUILTINS, PATTERNS)


def test_the_strongest_action_wins_and_of_equal_ones_the_first() -> None:
    def on(scope: str, action: str) -> Filters:
        return Filters(scope, (BuiltinFilter(slug=Builtin.EMAIL, action=Action(action)),))

    (detector,) = combine(
        [on("org_1", "flag"), on("proj_1", "block"), on("key_1", "redact")]
    ).detectors
    (first,) = combine([on("org_1", "redact"), on("proj_1", "redact")]).detectors

    assert detector == Detector(name="email", action=Action.BLOCK, scope="proj_1")
    assert first.scope == "org_1"


def test_own_patterns_stand_behind_built_in_detectors() -> None:
    own = PatternFilter(pattern="E-[0-9]+", action=Action.FLAG)
    builtins = [BuiltinFilter(slug=slug, action=Action.FLAG) for slug in ("phone", "email")]

    found = combine([Filters("key_1", builtins, (own,))])

    assert [d.name for d in found.detectors] == ["email", "phone", "custom"]


def test_what_policies_look_for_is_combined() -> None:
    policies = [
        make_policy("org_1", content_filter_builtins=[{"slug": "iban", "action": "block"}]),
        make_policy("key_1", content_filters=[{"pattern": "a", "action": "redact", "label": "x"}]),
    ]

    found = guard_of(policies)

    assert [(d.name, d.scope, d.pattern) for d in found.detectors] == [
        ("iban", "org_1", None),
        ("x", "key_1", "a"),
    ]
    assert guard_of([make_policy("org_1")]) == NO_GUARD
    assert GuardRules.from_json(found.to_json()) == found


@given(st.lists(FILTERS, max_size=3), FILTERS)
def test_another_policy_looks_for_no_less(policies: list[Filters], another: Filters) -> None:
    def strengths(rules: GuardRules) -> dict[tuple[str | None, str], int]:
        return {
            (d.pattern, "" if d.pattern else d.name): d.action.strength for d in rules.detectors
        }

    before, after = strengths(combine(policies)), strengths(combine([*policies, another]))

    assert all(after[place] >= strength for place, strength in before.items())


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({"content_filter_builtins": [{"slug": "name", "action": "flag"}]}, id="unknown"),
        pytest.param({"content_filter_builtins": [{"slug": "email", "action": "tell"}]}, id="no action"),
        pytest.param({"content_filters": [{"pattern": "", "action": "flag"}]}, id="an empty pattern"),
        pytest.param({"content_filters": [{"pattern": "a" * (MAX_PATTERN + 1), "action": "flag"}]}, id="a long pattern"),
        pytest.param({"content_filters": [{"pattern": "a", "action": "flag"}] * (MAX_FILTERS + 1)}, id="many patterns"),
        pytest.param({"content_filters": [{"pattern": "a", "action": "flag", "label": "a b\n"}]}, id="no label"),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_is_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rules.model_validate(rules)
