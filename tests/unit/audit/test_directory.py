"""The shards' side of the audit: the newest record of each key of the directory."""

from decimal import Decimal
from typing import Any

import pytest

from crossdock.audit.books import AttributedScope, SpendingKey
from crossdock.audit.credit_expiry import ExpiringLot, LotTotals
from crossdock.audit.directory import ShardView
from crossdock.kernel.process.errors import UndecodableError
from crossdock.kernel.process.record import Record
from crossdock_schemas.accounts.credit import CreditKind, Lot, Lots
from crossdock_schemas.accounts.journal import MarkSpend
from crossdock_schemas.ids import AccountId
from support.builders import make_credit, make_spend

KEY = SpendingKey("org_local", "proj_default", "key_local")
OTHER = AccountId("org_other")
END_MS = 1_800_000_000_000


def make_record(value: bytes, key: bytes = b"spend_key_local", offset: int = 7) -> Record:
    return Record("accounts.directory", 3, offset, 0, key, value, [])


def view_of(*records: Record) -> ShardView:
    view = ShardView()
    view.take(records)
    return view


def test_the_newest_word_of_each_end_user_counts() -> None:
    """Two organizations may know one by the same id."""

    def record(account: str, total_usd: str) -> Record:
        spend = MarkSpend(account=AccountId(account), scope="user:alice", at_ms=1, total_usd=Decimal(total_usd), held_usd=Decimal(1))  # fmt: skip
        return make_record(spend.to_json(), f"marked_user:alice@{account}".encode())

    view = view_of(record("org_1", "1"), make_record(b"none", b"key_x"))
    view.take([record("org_other", "7"), record("org_1", "2")])

    assert view.attributed() == {
        AttributedScope("org_1", "user:alice"): 3,
        AttributedScope(OTHER, "user:alice"): 8,
    }


def test_the_newest_word_on_a_key_counts() -> None:
    view = view_of(make_record(make_spend("0.1").to_json()))

    view.take([make_record(make_spend(total).to_json()) for total in ("0.3", "0.2")])

    assert view.spent() == {KEY: Decimal("0.2")}


def test_what_is_held_is_told_beside_what_was_spent() -> None:
    spend = make_spend("0.1", held_usd=Decimal("0.3"))

    assert view_of(make_record(spend.to_json())).held() == {KEY: Decimal("0.3")}


def test_other_entries_of_the_directory_are_none_of_its_business() -> None:
    view = view_of(*(make_record(b"{", key) for key in (b"key_local", b"org_1", b"spend", b"")))

    assert view.spent() == {}


@pytest.mark.parametrize("key", [b"spend_key_local", b"marked_x", b"credit_1", b"lots_org_1"])
def test_a_record_that_cannot_be_read_is_named_with_its_place(key: bytes) -> None:
    with pytest.raises(UndecodableError, match=r"accounts.directory\[3\]@7"):
        view_of(make_record(b"{", key))


def test_a_credit_that_is_told_twice_counts_once() -> None:
    told = [make_credit("10"), make_credit("-2", "refund 1"), make_credit("5", account=OTHER)]

    view = view_of(*(make_record(c.to_json(), c.credit_id.encode()) for c in (*told, told[0])))

    assert view.credits() == {"org_local": Decimal(8), OTHER: Decimal(5)}


def test_credits_that_expire_are_summed_by_time() -> None:
    end: dict[str, Any] = {"expires_at_ms": END_MS}
    credits = [
        make_credit("10", "a", **end), make_credit("2", "b", **end), make_credit("7", "c"),
        make_credit("-3", "d", kind=CreditKind.LAPSE, **end),
    ]  # fmt: skip
    lots = Lots(account=OTHER, lots=(Lot(expires_at_ms=END_MS, left_usd=2, lapsing_usd=1),))

    view = view_of(
        *(make_record(c.to_json(), c.credit_id.encode()) for c in credits),
        make_record(lots.to_json(), b"lots_org_other"),
    )

    assert view.lot_totals() == {
        ExpiringLot("org_local", END_MS): LotTotals(Decimal(12), Decimal(3))
    }
    assert view.lots_left() == {ExpiringLot("org_other", END_MS): Decimal(3)}
