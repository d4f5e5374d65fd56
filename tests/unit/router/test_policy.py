"""Which endpoint first: the cheap more often, the sick last, the same parcel always the same way."""

from collections import Counter
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crossdock.router.policy import STALE_MS, NoRoute, is_sick, plan_route
from crossdock_schemas.accounts.credential import CredentialRef
from crossdock_schemas.accounts.policy import Excluded
from crossdock_schemas.calls.fleet import EndpointHealth
from crossdock_schemas.ids import ParcelId
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.parcel.plan import Plan
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices
from support.builders import NOW_MS, make_parcel

LIMIT = 0.5


def make_catalogue(**prices: str) -> Catalogue:
    """Return a catalogue in which each named provider offers `tern` at that price."""
    return Catalogue(
        providers=tuple(
            Provider(
                name=name,
                base_url="http://x",
                models=(Offer(model="tern", prices=Prices(input=Decimal(price))),),
            )
            for name, price in prices.items()
        )
    )


def make_health(endpoint: str, **changes: Any) -> EndpointHealth:
    values: dict[str, Any] = {
        "endpoint": endpoint,
        "worker": "w",
        "error_rate": 0.0,
        "latency_ms": 10.0,
        "calls": 100,
        "at_ms": NOW_MS,
    }
    return EndpointHealth(**(values | changes))


def plan(parcel: Parcel, catalogue: Catalogue, *reports: EndpointHealth) -> Plan:
    fleet = {report.endpoint: (report,) for report in reports}
    found = plan_route(parcel, catalogue, fleet, now_ms=NOW_MS, sick_error_rate=LIMIT)
    assert isinstance(found, Plan)
    return found


def names(found: Plan) -> list[str]:
    return [candidate.provider for candidate in found.candidates]


def parcels(count: int) -> list[Parcel]:
    return [make_parcel(parcel_id=ParcelId(f"parcel_{number:032x}")) for number in range(count)]


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 50), min_size=1), st.uuids())
def test_every_endpoint_is_a_candidate_once_and_the_order_repeats(
    prices: dict[str, int], seed: object
) -> None:
    catalogue = make_catalogue(**{name: str(price) for name, price in prices.items()})
    parcel = make_parcel(parcel_id=ParcelId(f"parcel_{seed}"))

    first, again = plan(parcel, catalogue), plan(parcel, catalogue)

    assert sorted(names(first)) == sorted(prices)
    assert first == again


def test_who_costs_half_is_first_four_times_as_often() -> None:
    catalogue = make_catalogue(cheap="1", dear="2")

    first = Counter(names(plan(parcel, catalogue))[0] for parcel in parcels(2000))

    assert 3.4 < first["cheap"] / first["dear"] < 4.7


def test_what_is_free_comes_first() -> None:
    catalogue = make_catalogue(free="0", cheap="0.1")

    assert all(names(plan(parcel, catalogue))[0] == "free" for parcel in parcels(50))


def test_the_sick_come_last_with_the_reason() -> None:
    catalogue = make_catalogue(cheap="1", dear="20")

    found = plan(make_parcel(), catalogue, make_health("cheap/tern", error_rate=0.9))

    assert [(c.provider, c.reason) for c in found.candidates] == [
        ("dear", "balanced"),
        ("cheap", "balanced:sick"),
    ]


def test_when_all_are_sick_all_are_candidates() -> None:
    catalogue = make_catalogue(a="1", b="1")
    sick = [make_health(f"{name}/tern", error_rate=1.0) for name in "ab"]

    assert sorted(names(plan(make_parcel(), catalogue, *sick))) == ["a", "b"]


def test_the_price_of_the_candidate_is_the_catalogues() -> None:
    found = plan(make_parcel(), make_catalogue(a="1.25"))

    assert found.candidates[0].prices.input == Decimal("1.25")


def test_nobody_serves_an_unknown_model() -> None:
    found = plan_route(
        make_parcel(model="other"), make_catalogue(a="1"), {}, now_ms=NOW_MS, sick_error_rate=LIMIT
    )

    assert found == NoRoute("other", "/v1/chat/completions")


def test_an_endpoint_that_asked_for_a_pause_is_sick_until_it_is_over() -> None:
    report = make_health("a/tern", closed_until_ms=NOW_MS + 1)

    assert is_sick([report], now_ms=NOW_MS, limit=LIMIT)
    assert not is_sick([report], now_ms=NOW_MS + 1, limit=LIMIT)


def test_few_calls_tell_nothing() -> None:
    assert not is_sick([make_health("a", calls=4, error_rate=1.0)], now_ms=NOW_MS, limit=LIMIT)
    assert is_sick([make_health("a", calls=5, error_rate=1.0)], now_ms=NOW_MS, limit=LIMIT)


def test_workers_count_by_their_calls() -> None:
    busy = make_health("a", calls=90, error_rate=0.0)
    idle = make_health("a", calls=10, error_rate=1.0)

    assert not is_sick([busy, idle], now_ms=NOW_MS, limit=LIMIT)


def test_old_news_are_forgotten() -> None:
    old = make_health("a", error_rate=1.0, closed_until_ms=NOW_MS * 2)

    assert is_sick([old], now_ms=NOW_MS + STALE_MS, limit=LIMIT)
    assert not is_sick([old], now_ms=NOW_MS + STALE_MS + 1, limit=LIMIT)


def test_an_endpoint_without_reports_is_well() -> None:
    assert not is_sick([], now_ms=NOW_MS, limit=LIMIT)


def test_what_policies_do_not_leave_is_no_candidate() -> None:
    """And if the permitted endpoints left the catalogue, no endpoint serves the parcel."""
    catalogue = make_catalogue(cheap="1", dear="20")

    left = plan(make_parcel(permitted=("dear/tern",)), catalogue)
    none = plan_route(
        make_parcel(permitted=("gone/tern",)), catalogue, {}, now_ms=NOW_MS, sick_error_rate=LIMIT
    )

    assert names(left) == ["dear"]
    assert isinstance(none, NoRoute)
    assert [(one.endpoint, one.rule) for one in none.excluded] == [
        ("cheap/tern", "policies"),
        ("dear/tern", "policies"),
    ]


def test_what_policies_permit_of_tokens_is_told_to_every_candidate() -> None:
    catalogue = make_catalogue(cheap="1", dear="20")

    capped = plan(make_parcel(max_tokens=77), catalogue)
    free = plan(make_parcel(), catalogue)

    assert [one.output_limit for one in capped.candidates] == [77, 77]
    assert [one.output_limit for one in free.candidates] == [None, None]


# BYOK keys


def make_ref(identifier: str, provider: str = "a", **changes: Any) -> CredentialRef:
    values: dict[str, Any] = {"credential_id": identifier, "provider": provider, "version": 1}
    return CredentialRef(**(values | changes))


def ways(found: Plan) -> list[tuple[str, str | None]]:
    return [(one.provider, one.credential_id) for one in found.candidates]


def test_own_keys_come_first_then_the_installations_then_own_ones_to_fall_back_on() -> None:
    refs = (
        make_ref("byok_last", is_fallback=True, sort_order=0),
        make_ref("byok_second", sort_order=2),
        make_ref("byok_first", "b", sort_order=1),
        make_ref("byok_lost", is_fallback=True, sort_order=5),
    )
    parcel = make_parcel(credentials=refs)

    found = plan(parcel, make_catalogue(a="1", b="1000"))

    assert ways(found)[:2] == [("b", "byok_first"), ("a", "byok_second")]
    assert sorted(ways(found)[2:4]) == [("a", None), ("b", None)]
    assert ways(found)[4:] == [("a", "byok_last"), ("a", "byok_lost")]
    reasons = [one.reason for one in found.candidates]
    assert reasons == ["byok", "byok", "balanced", "balanced", "byok:fallback", "byok:fallback"]
    assert [one.credential_version for one in found.candidates] == [1, 1, None, None, 1, 1]


def test_the_installations_order_is_the_same_beside_own_keys() -> None:
    catalogue = make_catalogue(a="1", b="1", c="2")
    for parcel in parcels(50):
        beside = parcel.model_copy(update={"credentials": (make_ref("byok_1"),)})

        alone = ways(plan(parcel, catalogue))

        assert ways(plan(beside, catalogue)) == [("a", "byok_1"), *alone]


def test_what_is_closed_to_the_installations_key_is_reached_by_own_ones_alone() -> None:
    parcel = make_parcel(credentials=(make_ref("byok_1"),), shared=("b/tern",))

    assert ways(plan(parcel, make_catalogue(a="1", b="1"))) == [("a", "byok_1"), ("b", None)]


def test_where_nobody_may_call_there_is_no_route() -> None:
    parcel = make_parcel(shared=())

    found = plan_route(parcel, make_catalogue(a="1"), {}, now_ms=NOW_MS, sick_error_rate=LIMIT)

    assert isinstance(found, NoRoute)
    assert [(one.endpoint, one.scope, one.rule) for one in found.excluded] == [
        ("a/tern", parcel.key_id, "own_keys")
    ]


def test_who_serves_the_model_for_something_else_is_told() -> None:
    parcel = make_parcel(operation="/v1/embeddings")

    found = plan_route(parcel, make_catalogue(a="1"), {}, now_ms=NOW_MS, sick_error_rate=LIMIT)

    told = Excluded(endpoint="a/tern", scope="catalogue", rule="operations")
    assert found == NoRoute("tern", "/v1/embeddings", (told,))


def test_policies_bind_own_keys_too() -> None:
    parcel = make_parcel(permitted=("b/tern",), credentials=(make_ref("byok_1"),))

    assert ways(plan(parcel, make_catalogue(a="1", b="1"))) == [("b", None)]


def test_keys_of_one_order_take_turns() -> None:
    refs = (make_ref("byok_1"), make_ref("byok_2"))
    wanted = [one.model_copy(update={"credentials": refs}) for one in parcels(400)]

    first = Counter(ways(plan(parcel, make_catalogue(a="1")))[0][1] for parcel in wanted)

    assert 140 < first["byok_1"] < 260


def test_one_customers_limit_makes_nobody_else_sick() -> None:
    closed = make_health("a/tern", credential_id="byok_1", closed_until_ms=NOW_MS + 60_000)
    refs = (make_ref("byok_1"), make_ref("byok_2", sort_order=9))
    catalogue = make_catalogue(a="1")

    fleet = {closed.name: (closed,)}
    found = plan_route(make_parcel(credentials=refs), catalogue, fleet, now_ms=NOW_MS, sick_error_rate=LIMIT)  # fmt: skip

    assert isinstance(found, Plan)
    assert ways(found) == [("a", "byok_2"), ("a", "byok_1"), ("a", None)]
    assert found.candidates[2].reason == "balanced"
