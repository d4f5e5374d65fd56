"""What policies would have refused: pure, request by request."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.audit.policy_replay import (
    PastRequests,
    ReplayTotal,
    bound_by,
    replay,
    total_of,
    why_excluded,
    with_rules,
)
from crossdock_schemas.accounts.policy import Policy, Rules
from crossdock_schemas.ids import AccountId
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Operation, Provider
from crossdock_schemas.pricing.prices import Prices

CHAT: Operation = "/v1/chat/completions"
EMBED: Operation = "/v1/embeddings"


def make_asked(model: str = "tern", requests: int = 1, **changes: Any) -> PastRequests:
    return PastRequests("org_1", "proj_1", "key_1", model, CHAT, requests)._replace(**changes)


def make_policy(scope: str, **rules: Any) -> Policy:
    return Policy(
        account=AccountId("org_1"), scope=scope, rules=Rules(**rules), version=1, updated_at_ms=0
    )


def make_provider(name: str, price: str) -> Provider:
    wren = Offer(model="wren", operations=(EMBED,), prices=Prices())
    offers = [Offer(model=m, prices=Prices(input=Decimal(price))) for m in ("tern", "gull")]
    return Provider(name=name, base_url="http://x", models=(*offers, wren))


CATALOGUE = Catalogue(providers=(make_provider("atlas", "1"), make_provider("cinder", "3")))
POLICIES = st.builds(
    make_policy,
    st.sampled_from(["org_1", "proj_1", "proj_2", "key_1", "key_2"]),
    ignored_models=st.lists(st.sampled_from(["tern", "gull", "wren"]), max_size=2),
    ignored_providers=st.lists(st.sampled_from(["atlas", "cinder"]), max_size=2),
)
ASKED = st.lists(
    st.builds(
        PastRequests,
        st.just("org_1"),
        st.sampled_from(["proj_1", "proj_2"]),
        st.sampled_from(["key_1", "key_2"]),
        st.sampled_from(["tern", "gull", "wren", "gone"]),
        st.sampled_from([CHAT, EMBED]),
        st.integers(1, 9),
    ),
    max_size=5,
)


def test_without_policies_nothing_that_is_served_is_refused() -> None:
    (found,) = replay([make_asked()], CATALOGUE, [])

    assert not found.is_refused
    assert found.permission.permitted == ("atlas/tern", "cinder/tern")
    assert why_excluded(found.permission) == ""


def test_a_request_is_refused_if_policies_together_leave_nothing() -> None:
    policies = [
        make_policy("key_1", ignored_providers=["atlas"]),
        make_policy("org_1", max_prompt_price="2"),
    ]

    (found,) = replay([make_asked()], CATALOGUE, policies)

    assert found.is_refused
    assert why_excluded(found.permission) == (
        "ignored_providers of key_1: atlas/tern; max_prompt_price of org_1: cinder/tern"
    )


@pytest.mark.parametrize("scope", ["org_1", "proj_1", "key_1"])
def test_policies_of_its_organization_project_and_key_bind_a_request(scope: str) -> None:
    (found,) = replay([make_asked()], CATALOGUE, [make_policy(scope, allowed_models=[])])

    assert found.is_refused


@pytest.mark.parametrize("scope", ["org_2", "proj_2", "key_2", "tern"])
def test_policies_of_others_do_not(scope: str) -> None:
    (found,) = replay([make_asked()], CATALOGUE, [make_policy(scope, allowed_models=[])])

    assert not found.is_refused


def test_of_several_scopes_that_exclude_an_endpoint_the_widest_is_named() -> None:
    policies = [make_policy(scope, allowed_models=[]) for scope in ("key_1", "org_1", "proj_1")]

    (found,) = replay([make_asked()], CATALOGUE, policies)

    assert why_excluded(found.permission) == "allowed_models of org_1: atlas/tern, cinder/tern"


def test_a_model_is_looked_up_for_its_operation() -> None:
    chat, embed = make_asked("wren"), make_asked("wren", operation=EMBED)

    refused, served = replay([embed, chat], CATALOGUE, [])

    assert (refused.past, refused.is_refused) == (chat, True)
    assert why_excluded(refused.permission) == "no endpoint serves it"
    assert (served.past, served.is_refused) == (embed, False)


def test_refused_ones_come_first_and_then_the_most_frequent() -> None:
    asked = [make_asked("gull", 5), make_asked("tern", 1), make_asked("tern", 3, key_id="key_2")]
    seldom = make_asked("gull", 2, key_id="key_2")

    found = replay([*asked, seldom], CATALOGUE, [make_policy("org_1", ignored_models=["tern"])])

    assert [(one.past.requests, one.is_refused) for one in found] == [
        (3, True),
        (1, True),
        (5, False),
        (2, False),
    ]
    assert total_of(found) == ReplayTotal(requests=11, refused=4)


def test_tried_rules_stand_in_the_place_of_the_scopes_own() -> None:
    present = [make_policy("proj_1", allowed_models=[]), make_policy("org_1")]

    tried = with_rules(present, "org_1", "proj_1", Rules(ignored_models=("gull",)))
    found = replay([make_asked("tern"), make_asked("gull")], CATALOGUE, tried)

    assert sorted(policy.scope for policy in tried) == ["org_1", "proj_1"]
    assert {one.past.model: one.is_refused for one in found} == {"gull": True, "tern": False}


def test_tried_rules_stand_beside_those_of_other_scopes() -> None:
    present = [make_policy("org_1", ignored_providers=["atlas"])]

    tried = with_rules(present, "org_1", "key_1", Rules(ignored_providers=("cinder",)))
    (found,) = replay([make_asked()], CATALOGUE, tried)

    assert found.is_refused


@pytest.mark.parametrize(
    ("scope", "keys"),
    [("org_1", ["key_1", "key_2"]), ("proj_2", ["key_2"]), ("key_1", ["key_1"]), ("key_3", [])],
)
def test_a_scope_binds_its_own_requests_only(scope: str, keys: list[str]) -> None:
    asked = [make_asked(), make_asked(project="proj_2", key_id="key_2")]

    assert [one.key_id for one in bound_by(scope, asked)] == keys


def test_of_no_requests_none_is_refused() -> None:
    assert total_of(replay([], CATALOGUE, [])) == ReplayTotal(requests=0, refused=0)


@given(ASKED, st.lists(POLICIES, max_size=4, unique_by=lambda policy: policy.scope), POLICIES)
def test_rules_change_nothing_for_requests_that_they_do_not_bind(
    asked: list[PastRequests], present: list[Policy], tried: Policy
) -> None:
    others = [one for one in asked if one not in bound_by(tried.scope, asked)]

    after = with_rules(present, "org_1", tried.scope, tried.rules)

    assert replay(others, CATALOGUE, after) == replay(others, CATALOGUE, present)


@given(ASKED, st.lists(POLICIES, max_size=4, unique_by=lambda policy: policy.scope))
def test_every_request_is_foreseen_once(asked: list[PastRequests], policies: list[Policy]) -> None:
    found = replay(asked, CATALOGUE, policies)

    assert sorted(one.past for one in found) == sorted(asked)
    assert total_of(found).requests == sum(one.requests for one in asked)
    assert total_of(found).refused == sum(one.past.requests for one in found if one.is_refused)
