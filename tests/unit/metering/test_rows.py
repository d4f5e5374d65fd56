"""The values of a row are in the order of its columns; money and time are exact."""

from datetime import UTC, date, datetime
from decimal import Decimal

from crossdock.metering.rows import (
    COLUMNS,
    LAST_VERSION,
    attempt_row,
    batch_row,
    change_row,
    posting_rows,
    request_row,
)
from crossdock_schemas.accounts.control import Refusal
from crossdock_schemas.accounts.journal import EntryKind
from crossdock_schemas.batches.batch import BatchStatus, ModelProgress, WaitReason
from crossdock_schemas.ids import RequestId, make_request_id
from crossdock_schemas.pricing.prices import Cost
from crossdock_schemas.tokens import Tokens
from support.builders import (
    BATCH,
    NOW_MS,
    make_batch,
    make_change,
    make_entry,
    make_group,
    make_hold,
    make_result,
    make_usage,
)

AT = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)


def named(table: str, row: object) -> dict[str, object]:
    assert isinstance(row, tuple)
    return dict(zip(COLUMNS[table], row, strict=True))


def test_a_call_is_a_row() -> None:
    usage = make_usage(
        tokens=Tokens(input=10, cached=3, cache_write=2, output=5, reasoning=1),
        cost=Cost(input=Decimal("0.1"), output=Decimal("0.02"), request=Decimal("0.003")),
        provider_cost_usd=Decimal("0.5"),
    )

    row = named("attempts", attempt_row(usage))

    assert row["cost_usd"] == Decimal("0.123")
    tokens = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens")
    assert [row[name] for name in tokens] == [10, 3, 2, 5]
    assert (row["created_at"], row["provider_cost_usd"]) == (AT, Decimal("0.5"))
    assert (row["outcome"], row["error_code"], row["provider_request_id"]) == ("ok", "", "")


def test_a_single_call_has_no_batch() -> None:
    row = named("attempts", attempt_row(make_usage(batch_id=None, status_code=None)))

    assert (row["batch_id"], row["status_code"]) == ("", 0)


def test_a_call_says_whom_it_was_for_and_what_it_is_tagged_with() -> None:
    marked = named("attempts", attempt_row(make_usage(user="alice", tags={"team": "search"})))
    plain = named("attempts", attempt_row(make_usage()))

    assert (marked["user"], marked["tags"]) == ("alice", {"team": "search"})
    assert (plain["user"], plain["tags"]) == ("", {})


def test_of_two_ends_the_first_in_the_log_has_the_newest_version() -> None:
    group, result = make_group([]), make_result()

    first = named("requests", request_row(group, result, 5))
    later = named("requests", request_row(group, result, 6))

    assert first["version"] == LAST_VERSION - 5
    assert (first["version"], later["version"]) == (LAST_VERSION - 5, LAST_VERSION - 6)


def test_a_request_was_accepted_when_its_id_was_made() -> None:
    made = make_result(request_id=make_request_id(NOW_MS - 7), provider=None)
    foreign = make_result(request_id=RequestId("req_other"), created_at_ms=NOW_MS + 3)

    rows = [named("requests", request_row(make_group([]), r, 0)) for r in (made, foreign)]

    assert [row["accepted_at"] for row in rows] == [
        datetime.fromtimestamp((NOW_MS - 7) / 1000, UTC),
        datetime.fromtimestamp((NOW_MS + 3) / 1000, UTC),
    ]
    assert rows[0]["provider"] == ""


def test_a_batch_is_a_row_that_grows() -> None:
    early = named("batches", batch_row(make_batch(metadata=None), 1))
    late = named(
        "batches",
        batch_row(
            make_batch(status=BatchStatus.EXPIRED, in_progress_at_ms=NOW_MS, expired_at_ms=NOW_MS),
            2,
        ),
    )

    assert (early["finished_at"], early["in_progress_at"], early["metadata"]) == (None, None, {})
    assert (late["finished_at"], late["in_progress_at"]) == (AT, AT)
    assert (late["batch_id"], late["status"], late["version"]) == (BATCH, "expired", 2)


def test_a_batch_says_which_lines_wait_and_why() -> None:
    reason = WaitReason(
        code="budget_exceeded", message="0 USD are left", scope="key_local", since_ms=NOW_MS
    )
    models = (
        ModelProgress(model="gull", total=9, fed=9, returned=((3, 1),)),
        ModelProgress(model="tern", total=9, fed=9, returned=((0, 2), (5, 4)), wait_reason=reason),
    )

    waits = named("batches", batch_row(make_batch(models=models), 1))
    runs = named("batches", batch_row(make_batch(), 1))

    names = ("waiting_lines", "waiting_code", "waiting_reason")
    assert [waits[name] for name in names] == [6, "budget_exceeded", "0 USD are left"]
    assert [runs[name] for name in names] == [0, "", ""]


def test_a_change_is_a_row_with_what_was_and_what_is() -> None:
    row = named("control_log", change_row(make_change(3)))

    assert (row["account"], row["number"], row["at"]) == ("org_local", 3, AT)
    assert (row["actor"], row["action"], row["target"]) == ("key_admin", "change_key", "key_local")
    assert (row["before"], row["after"]) == ({"disabled": "false"}, {"disabled": "true"})
    assert (row["refusal"], row["reason"]) == ("", "")


def test_a_refused_change_says_why_and_the_installation_is_nobody() -> None:
    change = make_change(actor=None, refusal=Refusal.CONFLICT, reason="there is one already")

    row = named("control_log", change_row(change))

    assert (row["actor"], row["refusal"]) == ("", "conflict")
    assert row["reason"] == "there is one already"


def test_an_entry_is_a_row_for_each_posting_in_their_order() -> None:
    entry = make_entry(7, "-0.000000000001", kind=EntryKind.CORRECTION, executions=3)

    spent, owed = (named("journal", row) for row in posting_rows(entry))

    exact = Decimal("0.000000000001")
    assert (spent["line"], spent["ledger"], spent["amount_usd"]) == (0, "spend", -exact)
    assert (owed["line"], owed["ledger"], owed["amount_usd"]) == (1, "provider", exact)
    for row in (spent, owed):
        assert (row["account"], row["number"], row["at"]) == ("org_local", 7, AT)
        assert (row["kind"], row["executions"]) == ("correction", 3)
        assert (row["project"], row["key_id"], row["provider"]) == (
            "proj_default",
            "key_local",
            "atlas",
        )


def test_a_hold_is_of_its_day_and_of_no_provider() -> None:
    entry = make_hold(8, "0.25", day=date(2027, 1, 14)).model_copy(update={"change": 5})

    held, available = (named("journal", row) for row in posting_rows(entry))

    quarter = Decimal("0.25")
    assert (held["ledger"], held["amount_usd"]) == ("held", quarter)
    assert (available["ledger"], available["amount_usd"]) == ("available", -quarter)
    for row in (held, available):
        assert (row["kind"], row["change"], row["provider"]) == ("hold", 5, "")
        assert (row["at"], row["day"]) == (AT, date(2027, 1, 14))
