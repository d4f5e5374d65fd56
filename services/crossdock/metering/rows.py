"""Rows of records. Pure; the values of a row are in the order of COLUMNS."""

from collections.abc import Sequence
from decimal import Decimal

from crossdock_schemas.accounts.alert import Alert
from crossdock_schemas.accounts.control import Change
from crossdock_schemas.accounts.journal import Entry
from crossdock_schemas.batches.batch import Batch
from crossdock_schemas.calls.usage import CallOutcome, Usage
from crossdock_schemas.ids import time_of
from crossdock_schemas.parcel.result import Result, ResultGroup
from crossdock_schemas.times import utc

NOTHING = Decimal(0)
LAST_VERSION = 2**63 - 1  # minus the offset: the first end in the log has the highest version

COLUMNS: dict[str, tuple[str, ...]] = {
    "attempts": (
        "account", "project", "key_id", "request_id", "execution_id", "parcel_id", "batch_id", "line", "custom_id",
        "lane", "operation", "model", "provider", "upstream_model", "attempt", "call", "route_reason", "outcome",
        "status_code", "error_code", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens",
        "reasoning_tokens", "reported_input_tokens", "reported_output_tokens", "is_estimated", "input_cost_usd", "output_cost_usd", "request_cost_usd", "cost_usd", "disputed_usd",
        "price_version", "provider_cost_usd", "created_at", "started_at", "finished_at", "provider_request_id",
        "duplicate_suspected", "repeat_of", "is_byok", "credential_id", "user", "tags", "version",
    ),
    "requests": (
        "account", "project", "key_id", "request_id", "batch_id", "line", "custom_id", "lane", "operation", "model",
        "provider", "outcome", "status_code", "error_code", "attempts", "calls", "input_tokens", "cached_tokens",
        "output_tokens", "reasoning_tokens", "cost_usd", "accepted_at", "dispatched_at", "finished_at", "version",
    ),
    "batches": (
        "account", "project", "key_id", "batch_id", "status", "operation", "input_file_id", "input_bytes",
        "completion_window", "metadata", "total", "completed", "failed", "input_tokens", "output_tokens", "cost_usd",
        "waiting_lines", "waiting_code", "waiting_reason", "created_at", "in_progress_at", "finished_at", "expires_at",
        "version",
    ),
    "alerts": (
        "account", "alert_id", "at", "kind", "scope", "provider", "window", "limit_usd", "spent_usd", "held_usd",
        "until", "amount_usd",
    ),
    "control_log": (
        "account", "number", "change_id", "at", "actor", "action", "target", "before", "after", "refusal", "reason",
    ),
    "journal": (
        "account", "number", "line", "at", "kind", "change", "executions", "ledger", "project", "key_id", "provider",
        "is_byok", "marks", "day", "amount_usd", "expires_at",
    ),
}  # fmt: skip


def attempt_row(usage: Usage) -> Sequence[object]:
    """Return the row of a call. The report of its own worker has a higher version than an estimate of another one."""
    tokens, cost, reported = usage.tokens, usage.cost, usage.reported
    return (
        usage.account, usage.project, usage.key_id, usage.request_id, usage.execution_id, usage.parcel_id,
        usage.batch_id or "", usage.line, usage.custom_id, usage.lane.value, usage.operation, usage.model,
        usage.provider, usage.upstream_model, usage.attempt, usage.call, usage.route_reason, usage.outcome.value,
        usage.status_code or 0, usage.error_code or "", tokens.input, tokens.cached, tokens.cache_write, tokens.output,
        tokens.reasoning, None if reported is None else reported.input, None if reported is None else reported.output,
        usage.is_estimated, cost.input, cost.output, cost.request, cost.total, usage.disputed_usd or NOTHING,
        usage.price_version,
        usage.provider_cost_usd, utc(usage.created_at_ms), utc(usage.started_at_ms), utc(usage.finished_at_ms),
        usage.provider_request_id or "", usage.duplicate_suspected, usage.repeat_of or "", usage.is_byok,
        usage.credential_id or "", usage.user, usage.tags,
        usage.outcome is not CallOutcome.UNKNOWN,
    )  # fmt: skip


def request_row(group: ResultGroup, result: Result, offset: int) -> Sequence[object]:
    """Return the row of a request. `accepted_at` comes from the id, so all its ends are in one partition."""
    tokens = result.tokens
    accepted_ms = time_of(result.request_id)
    return (
        group.account, group.project, group.key_id, result.request_id, group.batch_id or "", result.line,
        result.custom_id, group.lane.value, group.operation, result.model, result.provider or "", result.outcome.value,
        result.status_code or 0, result.error_code or "", result.attempts, result.calls, tokens.input, tokens.cached,
        tokens.output, tokens.reasoning, result.cost_usd,
        utc(result.created_at_ms if accepted_ms is None else accepted_ms), utc(result.created_at_ms),
        utc(result.finished_at_ms), LAST_VERSION - offset,
    )  # fmt: skip


def batch_row(batch: Batch, offset: int) -> Sequence[object]:
    finished_ms = (
        batch.completed_at_ms or batch.failed_at_ms or batch.expired_at_ms or batch.cancelled_at_ms
    )
    waiting = sum(model.waiting for model in batch.models)
    reason = batch.wait_reason
    return (
        batch.account, batch.project, batch.key_id, batch.batch_id, batch.status.value, batch.operation,
        batch.input_file_id, batch.input_bytes, batch.completion_window, batch.metadata or {}, batch.total,
        batch.completed, batch.failed, batch.tokens.input, batch.tokens.output, batch.cost_usd, waiting,
        "" if reason is None else reason.code, "" if reason is None else reason.message,
        utc(batch.created_at_ms), None if batch.in_progress_at_ms is None else utc(batch.in_progress_at_ms),
        None if finished_ms is None else utc(finished_ms), utc(batch.expires_at_ms), offset,
    )  # fmt: skip


def change_row(change: Change) -> Sequence[object]:
    refusal = "" if change.refusal is None else change.refusal.value
    return (
        change.account, change.number, change.change_id, utc(change.at_ms), change.actor or "", change.action,
        change.target, change.before, change.after, refusal, change.reason or "",
    )  # fmt: skip


def posting_rows(entry: Entry) -> list[Sequence[object]]:
    """Return a row for each posting. Its position is its line, so a repeated entry makes the same rows."""
    return [
        (
            entry.account, entry.number, line, utc(entry.at_ms), entry.kind.value, entry.change,
            entry.executions, posting.ledger.value, posting.project, posting.key_id, posting.provider,
            posting.is_byok, posting.marks, posting.day, posting.amount_usd,
            None if posting.expires_at_ms is None else utc(posting.expires_at_ms),
        )
        for line, posting in enumerate(entry.postings)
    ]  # fmt: skip


def alert_row(alert: Alert) -> tuple[object, ...]:
    """Return the row of an alert."""
    return (
        alert.account, alert.alert_id, utc(alert.at_ms), alert.kind.value, alert.scope, alert.provider or "",
        "" if alert.window is None else alert.window.value, alert.limit_usd, alert.spent_usd, alert.held_usd,
        None if alert.until_ms is None else utc(alert.until_ms), alert.amount_usd,
    )  # fmt: skip
