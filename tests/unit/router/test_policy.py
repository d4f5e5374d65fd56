"""Which endpoint first: the cheap more often, the sick last, the same parcel always the same way."""

from collections import Counter
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crossdock.router.policy import STALE_MS, NoRoute, is_sick, plan_route
from crossdock_schemas.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.fleet import EndpointHealth
from crossdock_schemas.ids import ParcelId
from crossdock_schemas.parcel import Parcel, Plan
from crossdock_schemas.prices import Prices
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
    """And if the catalogue has lost what they left, nobody serves it."""
    catalogue = make_catalogue(cheap="1", dear="20")

    left = plan(make_parcel(permitted=("dear/tern",)), catalogue)
    none = plan_route(
        make_parcel(permitted=("gone/tern",)), catalogue, {}, now_ms=NOW_MS, sick_error_rate=LIMIT
    )

    assert names(left) == ["dear"]
    assert isinstance(none, NoRoute)
