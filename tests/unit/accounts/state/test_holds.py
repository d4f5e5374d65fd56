"""Open holds in their pages: what was kept is there again, and the clock ends what nobody ended."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from crossdock.accounts.state.holds import PAGE, HoldOwner, OpenHold, OpenHolds
from crossdock.kernel.process.record import Page
from crossdock_schemas.ids import AccountId, HoldId, KeyId
from crossdock_schemas.money import to_units, to_usd

OWNER = HoldOwner(AccountId("org_acme"), KeyId("key_app"))
OTHER = HoldOwner(AccountId("org_acme"), KeyId("key_other"))
DEAR = 2**100


def name(number: int) -> HoldId:
    return HoldId(f"hold_{number:032x}")


def make_held(held: int = 5, stop_s: int = 1000, lines: int = 1) -> OpenHold:
    return OpenHold(
        held=held, spare=held // 3, open=(1 << lines) - 1, lost=0, day=20_000, stop_s=stop_s
    )


def restarted(*steps: list[Page]) -> OpenHolds:
    pages = {page.key: page for step in steps for page in step}
    holds = OpenHolds()
    holds.restore(list(pages.values()))
    return holds


@given(st.decimals(0, 10**9, places=12))
def test_money_is_kept_exactly(amount: Decimal) -> None:
    assert to_usd(to_units(amount)) == amount


def test_holds_are_found_by_their_owner_also_after_a_restart() -> None:
    holds = OpenHolds()
    for number in range(PAGE + 1):
        holds.add(OWNER, name(number), make_held(held=number))
    holds.add(OTHER, name(999), make_held(held=DEAR))

    again = restarted(holds.pages.finish())

    for one in (holds, again):
        assert len(one) == PAGE + 2
        assert one.find(OWNER, name(PAGE)) == make_held(held=PAGE)
        assert one.find(OTHER, name(999)) == make_held(held=DEAR)
        assert one.find(OWNER, name(999)) is None
        assert one.find(HoldOwner(OWNER.account, KeyId("key_none")), name(1)) is None


def test_a_page_is_written_when_it_changed_and_taken_away_when_it_is_empty() -> None:
    holds = OpenHolds()
    for number in range(PAGE + 1):
        holds.add(OWNER, name(number), make_held())
    first = holds.pages.finish()

    holds.put(OWNER, name(PAGE), make_held()._replace(open=0))
    second = holds.pages.finish()

    assert [page.key for page in first] == [
        b"held/org_acme/key_app/0",
        b"held/org_acme/key_app/1",
    ]
    assert second == [Page(b"held/org_acme/key_app/1", None)]
    assert holds.pages.finish() == []
    assert len(restarted(first, second)) == PAGE


def test_who_goes_on_after_a_restart_fills_the_last_page() -> None:
    holds = OpenHolds()
    holds.add(OWNER, name(1), make_held())
    again = restarted(holds.pages.finish())

    again.add(OWNER, name(2), make_held())

    (page,) = again.pages.finish()
    assert page.key == b"held/org_acme/key_app/0"
    assert len(restarted([page])) == 2


def test_pages_are_read_in_any_order() -> None:
    holds = OpenHolds()
    for number in range(3 * PAGE):
        holds.add(OWNER, name(number), make_held())
    again = restarted(list(reversed(holds.pages.finish())))

    again.add(OWNER, name(9999), make_held())

    assert [page.key for page in again.pages.finish()] == [b"held/org_acme/key_app/3"]


def test_what_nobody_ended_is_ended_by_the_clock_each_at_its_time() -> None:
    holds = OpenHolds()
    for number, stop_s in enumerate((300, 100, 200)):
        holds.add(OWNER, name(number), make_held(held=number, stop_s=stop_s))

    ended = [
        [hold.held for _, _, hold in holds.take_stopped(now_s)] for now_s in (99, 100, 250, 300)
    ]

    assert ended == [[], [1], [2], [0]]
    assert len(holds) == 0
    assert [page.value for page in holds.pages.finish()] == [None]


def test_a_time_that_comes_nearer_is_kept_also_after_a_restart() -> None:
    holds = OpenHolds()
    holds.add(OWNER, name(1), make_held(stop_s=1000))
    holds.add(OWNER, name(2), make_held(stop_s=1000))
    holds.put(OWNER, name(1), make_held(stop_s=50))
    again = restarted(holds.pages.finish())

    for one in (holds, again):
        assert len(list(one.take_stopped(50))) == 1
        assert len(one) == 1
