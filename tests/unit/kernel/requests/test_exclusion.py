"""What programs are told of excluded endpoints."""

from decimal import Decimal

from crossdock.kernel.requests.exclusion import MAX_LISTED, excluded_by, serving_others
from crossdock_schemas.accounts.policy import Excluded
from crossdock_schemas.pricing.catalogue import Endpoint, Operation
from crossdock_schemas.pricing.prices import Prices


def make_endpoint(provider: str, *operations: Operation) -> Endpoint:
    prices = Prices(input=Decimal(1), output=Decimal(1))
    return Endpoint(
        provider=provider, model="tern", upstream_model="tern", operations=operations, prices=prices
    )


def test_a_long_list_is_cut_and_says_so() -> None:
    excluded = [
        Excluded(endpoint=f"{number}/tern", scope="org_acme", rule="allowed_models")
        for number in range(MAX_LISTED + 2)
    ]

    told = excluded_by(excluded)

    assert told["excluded_more"] == 2
    assert isinstance(listed := told["excluded_by"], list)
    assert len(listed) == MAX_LISTED
    assert listed[0] == {
        "endpoint": "0/tern",
        "scope": "org_acme",
        "rule": "allowed_models",
        "level": "organization",
    }


def test_a_short_list_says_nothing_of_more() -> None:
    assert excluded_by([]) == {"excluded_by": []}


def test_those_that_serve_something_else_are_excluded_by_the_catalogue() -> None:
    both = make_endpoint("a", "/v1/chat/completions", "/v1/embeddings")
    other = make_endpoint("b", "/v1/embeddings")

    found = serving_others([both, other], "/v1/chat/completions")

    assert found == (Excluded(endpoint="b/tern", scope="catalogue", rule="operations"),)
    assert excluded_by(found)["excluded_by"] == [
        {"endpoint": "b/tern", "scope": "catalogue", "rule": "operations", "level": "catalogue"}
    ]
