"""Messages with sensible values, for tests that care about one or two of them."""

import json
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from crossdock.batches.core.line_index import Span
from crossdock_schemas.accounts.alert import Alert, AlertKind
from crossdock_schemas.accounts.control import Change
from crossdock_schemas.accounts.credit import Credit, CreditKind
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger, Posting, Spend
from crossdock_schemas.batches.batch import Batch, Submitted, WaitReason
from crossdock_schemas.calls.usage import CallOutcome, Usage
from crossdock_schemas.ids import (
    AccountId,
    AlertId,
    BatchId,
    ChangeId,
    ExecutionId,
    FileId,
    KeyId,
    ParcelId,
    ProjectId,
    RequestId,
    derive_credit_id,
    line_request_id,
)
from crossdock_schemas.parcel.parcel import Lane, Parcel
from crossdock_schemas.parcel.result import Outcome, Result, ResultGroup
from crossdock_schemas.windows import Window

NOW_MS = 1_800_000_000_000
TODAY = date(2027, 1, 15)
DAY_S = 86_400
BATCH = BatchId("batch_" + "0" * 32)
CHAT = "/v1/chat/completions"

OWNER: dict[str, Any] = {
    "account": AccountId("org_local"),
    "project": ProjectId("proj_default"),
    "key_id": KeyId("key_local"),
}


def make_submitted(batch_id: BatchId = BATCH, **changes: Any) -> Submitted:
    values: dict[str, Any] = {
        "batch_id": batch_id,
        "operation": CHAT,
        "input_file_id": FileId("file-1"),
        "input_path": "input",
        "input_bytes": 100,
        "completion_window": "24h",
        "window_s": DAY_S,
        "metadata": {"who": "me"},
        "created_at_ms": NOW_MS,
    }
    return Submitted(**(OWNER | values | changes))


def make_batch(**changes: Any) -> Batch:
    return Batch.begun(make_submitted()).model_copy(update=changes)


def make_wait_reason(**changes: Any) -> WaitReason:
    values: dict[str, Any] = {
        "code": "budget_exceeded",
        "message": "The daily budget of the key key_local leaves 0 USD of 1.",
        "scope": "key_local",
        "since_ms": NOW_MS,
        "until_ms": NOW_MS + DAY_S * 1000,
    }
    return WaitReason(**(values | changes))


def make_parcel(**changes: Any) -> Parcel:
    values: dict[str, Any] = {
        "parcel_id": ParcelId("parcel_" + "1" * 32),
        "lane": Lane.BATCH,
        "operation": CHAT,
        "model": "tern",
        "lines": (0,),
        "batch_id": BATCH,
        "created_at_ms": NOW_MS,
        "deadline_ms": NOW_MS + DAY_S * 1000,
        "input_bytes": 100,
    }
    return Parcel(**(OWNER | values | changes))


def make_result(line: int = 0, **changes: Any) -> Result:
    values: dict[str, Any] = {
        "request_id": line_request_id(BATCH, line),
        "line": line,
        "custom_id": f"line-{line}",
        "outcome": Outcome.COMPLETED,
        "status_code": 200,
        "model": "tern",
        "provider": "atlas",
        "attempts": 1,
        "calls": 1,
        "created_at_ms": NOW_MS,
        "finished_at_ms": NOW_MS + 50,
    }
    return Result(**(values | changes))


def make_group(results: Iterable[Result], **changes: Any) -> ResultGroup:
    values: dict[str, Any] = {
        "lane": Lane.BATCH,
        "operation": CHAT,
        "batch_id": BATCH,
        "results": tuple(results),
    }
    return ResultGroup(**(OWNER | values | changes))


def make_usage(**changes: Any) -> Usage:
    values: dict[str, Any] = {
        "execution_id": ExecutionId("exec_" + "3" * 32),
        "request_id": RequestId("req_" + "2" * 32),
        "parcel_id": ParcelId("parcel_" + "1" * 32),
        "batch_id": BATCH,
        "line": 0,
        "custom_id": "line-0",
        "lane": Lane.BATCH,
        "operation": CHAT,
        "model": "tern",
        "provider": "atlas",
        "upstream_model": "atlas-tern",
        "attempt": 1,
        "call": 1,
        "route_reason": "price",
        "outcome": CallOutcome.OK,
        "status_code": 200,
        "price_version": "1",
        "created_at_ms": NOW_MS,
        "started_at_ms": NOW_MS,
        "finished_at_ms": NOW_MS + 50,
    }
    return Usage(**(OWNER | values | changes))


def make_change(number: int = 1, **changes: Any) -> Change:
    values: dict[str, Any] = {
        "change_id": ChangeId(f"change_{number:032x}"),
        "account": OWNER["account"],
        "number": number,
        "at_ms": NOW_MS,
        "actor": KeyId("key_admin"),
        "action": "change_key",
        "target": "key_local",
        "before": {"disabled": "false"},
        "after": {"disabled": "true"},
    }
    return Change(**(values | changes))


def make_posting(amount_usd: str = "0.5", ledger: Ledger = Ledger.SPEND, **changes: Any) -> Posting:
    values: dict[str, Any] = {
        "ledger": ledger,
        "project": OWNER["project"],
        "key_id": OWNER["key_id"],
        "provider": "atlas",
        "day": TODAY,
        "amount_usd": Decimal(amount_usd),
    }
    return Posting(**(values | changes))


def make_entry(number: int = 1, amount_usd: str = "0.5", **changes: Any) -> Entry:
    """Return an entry of two postings: what was spent, and what is owed for it."""
    owed = f"{-Decimal(amount_usd)}"
    values: dict[str, Any] = {
        "account": OWNER["account"],
        "number": number,
        "at_ms": NOW_MS,
        "kind": EntryKind.CAPTURE,
        "executions": 1,
        "postings": (make_posting(amount_usd), make_posting(owed, Ledger.PROVIDER)),
    }
    return Entry(**(values | changes))


def make_hold(number: int = 1, amount_usd: str = "0.5", day: date = TODAY, **owner: Any) -> Entry:
    """Return an entry that sets so much aside; below 0 it is a release."""
    whose = {"day": day, "provider": ""} | {n: v for n, v in owner.items() if n != "account"}
    free = f"{-Decimal(amount_usd)}"
    return make_entry(
        number,
        account=owner.get("account", OWNER["account"]),
        kind=EntryKind.RELEASE if amount_usd.startswith("-") else EntryKind.HOLD,
        postings=(
            make_posting(amount_usd, Ledger.HELD, **whose),
            make_posting(free, Ledger.AVAILABLE, **whose),
        ),
    )


def make_alert(**changes: Any) -> Alert:
    values: dict[str, Any] = {
        "alert_id": AlertId("alert_" + "5" * 32),
        "account": OWNER["account"],
        "kind": AlertKind.BUDGET_NEARLY_USED,
        "scope": OWNER["key_id"],
        "window": Window.DAILY,
        "limit_usd": Decimal(10),
        "spent_usd": Decimal("8.25"),
        "at_ms": NOW_MS,
        "until_ms": NOW_MS + DAY_S * 1000,
    }
    return Alert(**(values | changes))


def make_spend(total_usd: str = "0.5", **changes: Any) -> Spend:
    values: dict[str, Any] = {"at_ms": NOW_MS, "total_usd": Decimal(total_usd), "calls": 1}
    return Spend(**(OWNER | values | changes))


def make_credit(amount_usd: str = "10", reference: str = "invoice 1", **changes: Any) -> Credit:
    account = changes.get("account", OWNER["account"])
    values: dict[str, Any] = {
        "account": account,
        "credit_id": derive_credit_id(account, reference),
        "kind": CreditKind.GRANT,
        "amount_usd": Decimal(amount_usd),
        "reference": reference,
        "at_ms": NOW_MS,
    }
    return Credit(**(values | changes))


def make_line(number: int = 0, *, model: str = "tern", **changes: Any) -> bytes:
    """Return a sound input line; None as a value leaves the field out."""
    line = {
        "custom_id": f"line-{number}",
        "method": "POST",
        "url": CHAT,
        "body": {"model": model, "messages": [{"role": "user", "content": "hello"}]},
    }
    kept = {name: value for name, value in (line | changes).items() if value is not None}
    return json.dumps(kept).encode()


def make_spans(count: int, *, length: int = 10) -> list[Span]:
    return [Span(number, number * (length + 1), length) for number in range(count)]
