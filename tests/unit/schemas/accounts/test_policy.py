"""Policies take endpoints away and never add one; all that apply must agree, in whatever order they come."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crossdock_schemas.accounts.policy import (
    MAX_PATTERNS,
    Bounds,
    Broken,
    Excluded,
    Policy,
    Rules,
    bounds_of,
    permit,
)
from crossdock_schemas.ids import AccountId
from crossdock_schemas.pricing.catalogue import Endpoint
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.pricing.worst_case import MAX_TOKENS, Ask

MODELS = ("tern", "tern-mini", "gull")
PROVIDERS = ("atlas", "borealis", "cinder")


def make_endpoint(
    name: str = "atlas/tern-mini",
    prompt: str = "0.5",
    completion: str = "2",
    **of_the_provider: Any,
) -> Endpoint:
    provider, _, model = name.partition("/")
    return Endpoint(
        provider=provider,
        model=model,
        upstream_model=f"{provider}'s {model}",
        operations=("/v1/chat/completions",),
        prices=Prices(input=Decimal(prompt), output=Decimal(completion), request=Decimal("0.01")),
        **of_the_provider,
    )


def make_policy(scope: str = "org_1", **rules: Any) -> Policy:
    return Policy(
        account=AccountId("org_1"), scope=scope, rules=Rules(**rules), version=1, updated_at_ms=0
    )


PATTERNS = st.lists(
    st.sampled_from(["*", "tern", "tern*", "*-mini", "gull", "atlas", "b*", "*d*"]), max_size=2
)
REGIONS = st.sampled_from(["global", "europe", "us"])
QUANTIZATIONS = st.sampled_from(["fp8", "bf16", "unknown"])
LIMITS = st.none() | st.sampled_from(["0", "0.5", "2"])
POLICIES = st.builds(
    make_policy,
    scope=st.sampled_from(["org_1", "proj_1", "key_1"]),
    allowed_models=st.none() | PATTERNS,
    ignored_models=PATTERNS,
    allowed_providers=st.none() | PATTERNS,
    ignored_providers=PATTERNS,
    max_prompt_price=LIMITS,
    max_completion_price=LIMITS,
    data_collection=st.none() | st.just("deny"),
    zdr=st.booleans(),
    allowed_data_regions=st.none() | st.lists(REGIONS, max_size=2),
    quantizations=st.none() | st.lists(QUANTIZATIONS, max_size=2),
    max_tokens=st.none() | st.integers(1, 9),
    tools=st.none() | st.just("deny"),
)
ASKS = st.builds(Ask, st.just(5), st.integers(0, 10), st.integers(0, 2), st.integers(0, 1))
ENDPOINTS = st.lists(
    st.builds(
        make_endpoint,
        st.sampled_from([f"{provider}/{model}" for provider in PROVIDERS for model in MODELS]),
        st.sampled_from(["0", "0.5", "0.500001"]),
        st.sampled_from(["0", "2", "3"]),
        trains_on_data=st.booleans(),
        retains_data=st.booleans(),
        region=REGIONS,
        quantization=QUANTIZATIONS,
    ),
    unique_by=lambda endpoint: endpoint.name,
    max_size=6,
)


@pytest.mark.parametrize(
    ("rules", "broken"),
    [
        pytest.param({}, None, id="no rule"),
        pytest.param({"allowed_models": ["gull", "tern-mini"]}, None, id="an allowed model"),
        pytest.param({"allowed_models": ["gull"]}, "allowed_models", id="no allowed model"),
        pytest.param({"ignored_models": ["gull"]}, None, id="no ignored model"),
        pytest.param({"ignored_models": ["gull", "tern*"]}, "ignored_models", id="ignored model"),
        pytest.param({"allowed_providers": ["atlas"]}, None, id="an allowed provider"),
        pytest.param({"allowed_providers": ["b*"]}, "allowed_providers", id="no allowed provider"),
        pytest.param({"ignored_providers": ["b*"]}, None, id="no ignored provider"),
        pytest.param({"ignored_providers": ["a*"]}, "ignored_providers", id="an ignored provider"),
        pytest.param({"max_prompt_price": "0.5"}, None, id="input at the limit"),
        pytest.param({"max_prompt_price": "0.499999"}, "max_prompt_price", id="input above it"),
        pytest.param({"max_completion_price": "2"}, None, id="output at the limit"),
        pytest.param(
            {"max_completion_price": "1.999999"}, "max_completion_price", id="output above it"
        ),
        pytest.param({"max_prompt_price": "0"}, "max_prompt_price", id="what is free only"),
        pytest.param({"max_request_price": "0.01"}, None, id="a call at the limit"),
        pytest.param({"max_request_price": "0.009"}, "max_request_price", id="a call above it"),
        pytest.param({"data_collection": "deny"}, "data_collection", id="it may train"),
        pytest.param({"zdr": True}, "zdr", id="it may keep"),
        pytest.param({"allowed_data_regions": ["global", "us"]}, None, id="an allowed region"),
        pytest.param({"allowed_data_regions": ["us"]}, "allowed_data_regions", id="elsewhere"),
        pytest.param({"quantizations": ["unknown"]}, None, id="an allowed precision"),
        pytest.param({"quantizations": []}, "quantizations", id="no precision"),
        pytest.param(
            {"allowed_models": ["tern*"], "ignored_models": ["*-mini"]},
            "ignored_models",
            id="to ignore counts more than to allow",
        ),
        pytest.param(
            {"max_completion_price": "1", "ignored_providers": ["atlas"]},
            "ignored_providers",
            id="of two broken rules the first is named",
        ),
    ],
)
def test_each_rule_by_itself(rules: dict[str, Any], broken: str | None) -> None:
    assert Rules(**rules).broken_by(make_endpoint()) == broken


@pytest.mark.parametrize("rule", ["allowed_models", "allowed_providers"])
def test_an_empty_list_of_allowed_ones_allows_nothing(rule: str) -> None:
    rules = Rules.model_validate({rule: []})

    assert rules.broken_by(make_endpoint()) == rule


def test_a_provider_is_no_model() -> None:
    assert Rules(ignored_models=("atlas", "atlas/*")).broken_by(make_endpoint()) is None
    assert Rules(ignored_providers=("tern-mini",)).broken_by(make_endpoint()) is None


@pytest.mark.parametrize(
    ("pattern", "model", "is_meant"),
    [
        pytest.param("tern", "tern", True, id="itself"),
        pytest.param("tern", "tern-mini", False, id="a beginning is not the whole"),
        pytest.param("mini", "tern-mini", False, id="an end is not the whole"),
        pytest.param("Tern", "tern", False, id="another case"),
        pytest.param("*", "tern", True, id="anything"),
        pytest.param("*", "", True, id="anything, even nothing"),
        pytest.param("*", "a\nb", True, id="anything, lines too"),
        pytest.param("*" * 255 + "X", "tern-mini-2026-08-01-preview", False, id="many stars"),
        pytest.param("tern-*", "tern-mini", True, id="a beginning"),
        pytest.param("tern-*", "tern-", True, id="a beginning with nothing behind it"),
        pytest.param("tern-*", "tern", False, id="not the whole beginning"),
        pytest.param("*-mini", "tern-mini", True, id="an end"),
        pytest.param("*-mini", "tern-mini-2", False, id="not at the end"),
        pytest.param("t*n-*i", "tern-mini", True, id="within"),
        pytest.param("*ern-m*", "tern-mini", True, id="the middle"),
        pytest.param("ab*ba", "abba", True, id="two ends that touch"),
        pytest.param("ab*ba", "aba", False, id="two ends that share a letter"),
        pytest.param("a**b", "ab", True, id="two stars are one"),
        pytest.param("tern.mini", "tern-mini", False, id="a dot is a dot"),
        pytest.param("tern.1", "tern.1", True, id="a dot is itself"),
        pytest.param("te?n", "tern", False, id="a question mark is no letter"),
        pytest.param("tern+", "ternn", False, id="a plus is a plus"),
        pytest.param("[tg]ern", "tern", False, id="brackets are brackets"),
        pytest.param("tern|gull", "gull", False, id="a bar is a bar"),
        pytest.param("(tern)", "(tern)", True, id="parentheses are themselves"),
        pytest.param("\\w*", "tern", False, id="a backslash is a backslash"),
        pytest.param("^tern$", "tern", False, id="anchors are letters"),
    ],
)
def test_a_star_stands_for_any_text_and_all_else_for_itself(
    pattern: str, model: str, is_meant: bool
) -> None:
    endpoint = make_endpoint(f"atlas/{model}")

    assert (Rules(ignored_models=(pattern,)).broken_by(endpoint) is not None) == is_meant
    assert (Rules(allowed_models=(pattern,)).broken_by(endpoint) is None) == is_meant


@given(st.text(alphabet="ab.[\\", min_size=1, max_size=6), st.text(alphabet="ab.[\\", max_size=6))
def test_a_pattern_without_a_star_means_its_own_name_only(pattern: str, model: str) -> None:
    rules = Rules(ignored_models=(pattern,))

    assert (rules.broken_by(make_endpoint(f"atlas/{model}")) is not None) == (pattern == model)


@given(st.lists(st.text(alphabet="ab", max_size=2), min_size=2, max_size=4), st.data())
def test_a_pattern_means_each_name_made_from_it(parts: list[str], data: st.DataObject) -> None:
    filled = [data.draw(st.text(alphabet="abc*.", max_size=3)) for _ in parts[1:]]
    name = parts[0] + "".join(text + part for text, part in zip(filled, parts[1:], strict=True))

    rules = Rules(allowed_models=("*".join(parts),))

    assert rules.broken_by(make_endpoint(f"atlas/{name}")) is None


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({"ignored_models": [""]}, id="an empty pattern"),
        pytest.param({"ignored_models": ["a b"]}, id="a space"),
        pytest.param({"ignored_models": ["a\n"]}, id="a line's end"),
        pytest.param({"ignored_models": ["a" * 257]}, id="a long pattern"),
        pytest.param({"ignored_models": ["a"] * (MAX_PATTERNS + 1)}, id="many patterns"),
        pytest.param({"max_prompt_price": "-0.1"}, id="a negative price"),
        pytest.param({"max_prompt_price": "0.0000001"}, id="a price finer than any"),
        pytest.param({"max_completion_price": "NaN"}, id="no number"),
        pytest.param({"max_tokens": 0}, id="no tokens"),
        pytest.param({"max_tokens": True}, id="no number of tokens"),
        pytest.param({"max_tokens": MAX_TOKENS + 1}, id="more tokens than any model makes"),
        pytest.param({"tools": "allow"}, id="tools are denied or not spoken of"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rules: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Rules.model_validate(rules)


def test_as_many_and_as_long_patterns_as_may_be() -> None:
    rules = Rules(ignored_models=("a" * 256,) * MAX_PATTERNS)

    assert rules.broken_by(make_endpoint()) is None


@pytest.mark.parametrize("allowed", [None, ()], ids=["all", "none"])
def test_all_and_none_stay_apart_on_the_way(allowed: tuple[str, ...] | None) -> None:
    policy = make_policy(allowed_models=allowed)

    assert Policy.from_json(policy.to_json()) == policy


def test_without_a_policy_everything_is_permitted() -> None:
    endpoints = [make_endpoint("atlas/tern"), make_endpoint("cinder/tern")]

    found = permit(endpoints, [])

    assert (found.permitted, found.excluded) == (("atlas/tern", "cinder/tern"), ())


def test_an_excluded_endpoint_says_which_rule_of_which_scope_it_breaks() -> None:
    """Of several policies the first that forbids it."""
    endpoints = [make_endpoint(f"{provider}/tern") for provider in PROVIDERS]
    policies = [
        make_policy("org_1", ignored_providers=["atlas"]),
        make_policy("proj_1", ignored_providers=["atlas", "cinder"]),
    ]

    found = permit(endpoints, policies)

    assert found.permitted == ("borealis/tern",)
    assert found.excluded == (
        Excluded(endpoint="atlas/tern", scope="org_1", rule="ignored_providers"),
        Excluded(endpoint="cinder/tern", scope="proj_1", rule="ignored_providers"),
    )


def test_policies_may_come_one_by_one() -> None:
    """So an iterator is not used up by the first endpoint."""
    endpoints = [make_endpoint("atlas/tern"), make_endpoint("atlas/gull")]

    found = permit(endpoints, iter([make_policy(ignored_providers=["atlas"])]))

    assert found.permitted == ()


@given(ENDPOINTS, st.lists(POLICIES, max_size=3), POLICIES)
def test_another_policy_never_adds_an_endpoint(
    endpoints: Sequence[Endpoint], policies: list[Policy], another: Policy
) -> None:
    before = permit(endpoints, policies).permitted
    after = permit(endpoints, [*policies, another]).permitted

    assert set(after) <= set(before)


@given(ENDPOINTS, st.lists(POLICIES, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_policies_does_not_matter(
    endpoints: Sequence[Endpoint], policies: list[Policy], chance: Any
) -> None:
    shuffled = chance.sample(policies, len(policies))

    assert permit(endpoints, shuffled).permitted == permit(endpoints, policies).permitted


@given(ENDPOINTS, st.lists(POLICIES, max_size=4))
def test_several_policies_permit_what_each_of_them_permits(
    endpoints: Sequence[Endpoint], policies: list[Policy]
) -> None:
    apart = [set(permit(endpoints, [policy]).permitted) for policy in policies]
    everything = {endpoint.name for endpoint in endpoints}

    assert set(permit(endpoints, policies).permitted) == everything.intersection(*apart)


@given(ENDPOINTS, st.lists(POLICIES, max_size=4))
def test_each_endpoint_is_permitted_or_excluded_in_the_order_of_the_catalogue(
    endpoints: Sequence[Endpoint], policies: list[Policy]
) -> None:
    found = permit(endpoints, policies)
    excluded = [one.endpoint for one in found.excluded]
    order = {endpoint.name: place for place, endpoint in enumerate(endpoints)}

    assert sorted([*found.permitted, *excluded], key=order.__getitem__) == list(order)
    assert list(found.permitted) == sorted(found.permitted, key=order.__getitem__)
    assert excluded == sorted(excluded, key=order.__getitem__)


@given(ENDPOINTS, st.lists(POLICIES, max_size=4))
def test_who_is_said_to_exclude_an_endpoint_does_so_alone(
    endpoints: Sequence[Endpoint], policies: list[Policy]
) -> None:
    by_name = {endpoint.name: endpoint for endpoint in endpoints}

    for one in permit(endpoints, policies).excluded:
        broken = {policy.rules.broken_by(by_name[one.endpoint]) for policy in policies
                  if policy.scope == one.scope}  # fmt: skip
        assert one.rule in broken


def test_who_is_known_to_keep_nothing_may_be_asked_where_nothing_may_be_kept() -> None:
    safe = make_endpoint(trains_on_data=False, retains_data=False)

    assert Rules(data_collection="deny", zdr=True).broken_by(safe) is None


def test_a_line_that_asks_for_more_than_the_least_cap_breaks_that_one() -> None:
    bounds = bounds_of(
        [
            make_policy("org_1", max_tokens=9),
            make_policy("proj_1", max_tokens=4),
            make_policy("key_1", max_tokens=6),
        ]
    )

    assert bounds.broken_by(Ask(1, 5)) == Broken("max_tokens", "proj_1")
    assert bounds.broken_by(Ask(1, 4)) is None
    assert bounds.broken_by(Ask(1, 0)) is None


def test_a_line_with_tools_breaks_what_denies_them() -> None:
    bounds = bounds_of([make_policy("org_1"), make_policy("key_1", tools="deny")])

    assert bounds.broken_by(Ask(1, tools=1)) == Broken("tools", "key_1")
    assert bounds.broken_by(Ask(1)) is None
    assert bounds_of([make_policy("org_1")]) == Bounds()


@given(ASKS, st.lists(POLICIES, max_size=3), POLICIES)
def test_another_policy_never_lets_a_line_pass(
    ask: Ask, policies: list[Policy], another: Policy
) -> None:
    before = bounds_of(policies).broken_by(ask)
    after = bounds_of([*policies, another]).broken_by(ask)

    assert before is None or after is not None


@given(ASKS, st.lists(POLICIES, max_size=3, unique_by=lambda policy: policy.scope))
def test_a_line_is_refused_by_one_that_would_refuse_it_alone(
    ask: Ask, policies: list[Policy]
) -> None:
    broken = bounds_of(policies).broken_by(ask)

    alone = [bounds_of([policy]).broken_by(ask) for policy in policies]
    scopes = {one.scope for one in alone if one is not None}
    assert (broken is None) == (not scopes)
    assert broken is None or broken.scope in scopes
