"""OpenAI's and OpenRouter's objects, made from ours. Unset fields are null, never left out. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from crossdock_schemas.batches.batch import Batch, LineError, ModelProgress
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.ids import error_file_id, output_file_id
from crossdock_schemas.pricing.catalogue import Catalogue
from crossdock_schemas.tokens import Tokens

Json = dict[str, Any]


def show_batch(batch: Batch) -> Json:
    """Return the Batch object, with what only we know under `crossdock`."""
    batch_id = batch.batch_id
    return {
        "id": batch_id,
        "object": "batch",
        "endpoint": batch.operation,
        "model": batch.models[0].model if len(batch.models) == 1 else None,
        "errors": _show_errors(batch.errors),
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": batch.status.value,
        "output_file_id": output_file_id(batch_id) if batch.completed else None,
        "error_file_id": error_file_id(batch_id) if batch.failed else None,
        "created_at": batch.created_at_ms // 1000,
        "in_progress_at": _seconds(batch.in_progress_at_ms),
        "expires_at": batch.expires_at_ms // 1000,
        "finalizing_at": _seconds(batch.finalizing_at_ms),
        "completed_at": _seconds(batch.completed_at_ms),
        "failed_at": _seconds(batch.failed_at_ms),
        "expired_at": _seconds(batch.expired_at_ms),
        "cancelling_at": _seconds(batch.cancelling_at_ms),
        "cancelled_at": _seconds(batch.cancelled_at_ms),
        "request_counts": {
            "total": batch.total,
            "completed": batch.completed,
            "failed": batch.failed,
        },
        "usage": _show_usage(batch.tokens),
        "metadata": batch.metadata,
        "crossdock": _show_progress(batch),
    }


def _show_errors(errors: Sequence[LineError]) -> Json | None:
    if not errors:
        return None
    data = [
        {"code": e.code, "line": e.line, "message": e.message, "param": e.param} for e in errors
    ]
    return {"object": "list", "data": data}


def _show_usage(tokens: Tokens) -> Json:
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cached},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.total,
    }


def _show_progress(batch: Batch) -> Json:
    return {
        "cost_usd": f"{batch.cost_usd:f}",
        "estimate": None if batch.estimate is None else batch.estimate.figures(),
        "output_bytes": batch.output_bytes,
        "error_bytes": batch.error_bytes,
        "models": [_show_model(model) for model in batch.models],
        "waiting": _show_waiting(batch),
    }


def _show_model(model: ModelProgress) -> Json:
    return {"model": model.model, "total": model.total, "fed": model.fed, "done": model.done}


def _show_waiting(batch: Batch) -> Json | None:
    """Return why lines wait, and how many."""
    reason = batch.wait_reason
    if reason is None:
        return None
    return {
        "code": reason.code,
        "message": reason.message,
        "scope": reason.scope,
        "lines": sum(model.waiting for model in batch.models),
        "since": iso(reason.since_ms),
        "until": maybe_iso(reason.until_ms),
    }


def show_file(file: StoredFile, size: int) -> Json:
    return {
        "id": file.file_id,
        "object": "file",
        "bytes": size,
        "created_at": file.created_at_ms // 1000,
        "expires_at": _seconds(file.expires_at_ms),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def show_deleted(kind: str, identifier: str) -> Json:
    return {"id": identifier, "object": kind, "deleted": True}


def show_models(catalogue: Catalogue) -> list[Json]:
    """Return the Model objects; `owned_by` is the first provider that serves it."""
    owners: dict[str, list[str]] = {}
    for endpoint in catalogue.endpoints:
        owners.setdefault(endpoint.model, []).append(endpoint.provider)
    return [
        {
            "id": model,
            "object": "model",
            "created": 0,  # the catalogue keeps no dates
            "owned_by": owners[model][0],
            "shutdown_date": None,
            "crossdock": {"operations": sorted(operations), "providers": owners[model]},
        }
        for model, operations in catalogue.models.items()
    ]


def show_list(data: Sequence[Json], *, has_more: bool) -> Json:
    return {
        "object": "list",
        "data": list(data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }


def _seconds(ms: int | None) -> int | None:
    return None if ms is None else ms // 1000


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).isoformat().replace("+00:00", "Z")


def maybe_iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
