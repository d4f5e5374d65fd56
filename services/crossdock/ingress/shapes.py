"""OpenAI's and OpenRouter's objects, made from ours. Unset fields are null, never left out. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from crossdock.ingress.balances import Balance, Worth, tightest
from crossdock_schemas.account import ApiKey, Organization, Project
from crossdock_schemas.batch import Batch, LineError, ModelProgress
from crossdock_schemas.budget import Window
from crossdock_schemas.catalogue import Catalogue
from crossdock_schemas.credential import Credential
from crossdock_schemas.credit import Credit
from crossdock_schemas.directory import level_of
from crossdock_schemas.estimate import Estimate
from crossdock_schemas.file import StoredFile
from crossdock_schemas.ids import KeyId, error_file_id, output_file_id
from crossdock_schemas.journal import Spend
from crossdock_schemas.money import usd_text
from crossdock_schemas.policy import Policy
from crossdock_schemas.tokens import Tokens

Json = dict[str, Any]
WINDOWS = ("", "_daily", "_weekly", "_monthly")


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


def _show_estimate(estimate: Estimate | None) -> Json | None:
    if estimate is None:
        return None
    return {
        "low_usd": usd_text(estimate.low_usd),
        "likely_usd": usd_text(estimate.likely_usd),
        "worst_usd": usd_text(estimate.worst_usd),
        "is_from_history": estimate.is_from_history,
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
        "estimate": _show_estimate(batch.estimate),
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
        "since": _iso(reason.since_ms),
        "until": _maybe_iso(reason.until_ms),
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


def show_key(key: ApiKey, spend: Spend | None, balances: Sequence[Balance], now_ms: int) -> Json:
    """Return a key with OpenRouter's names where it has them; money as it does, in doubles of USD.

    Of the key's own `balances` its limit is the tightest.
    """
    spent = spend.as_of(now_ms) if spend is not None else None
    return {
        "id": key.key_id,
        "hash": key.hash,
        "name": key.name,
        "label": key.label,
        "disabled": key.disabled,
        "role": None if key.role is None else key.role.value,
        "organization_id": key.account,
        "project_id": key.project,
        "tags": key.tags,
        "allowed_ips": list(key.allowed_ips),
        **_show_spending(spent),
        "rpm": key.rpm,
        **_show_limit(tightest(balances)),
        "creator_key_id": key.creator,
        "rotated_from": key.rotated_from,
        "created_at": _iso(key.created_at_ms),
        "updated_at": _iso(key.updated_at_ms),
        "expires_at": _maybe_iso(key.expires_at_ms),
    }


def _show_limit(balance: Balance | None) -> Json:
    budget = None if balance is None else balance.budget
    is_endless = budget is None or budget.window is Window.TOTAL
    return {
        "limit": None if budget is None else float(budget.limit_usd),
        "limit_reset": None if budget is None or is_endless else budget.window.value,
        "limit_remaining": None if balance is None else float(balance.remaining_usd),
        "include_byok_in_limit": budget is not None and budget.include_byok,
    }


def _show_spending(spent: Spend | None) -> Json:
    """Return what the installation's keys paid for, and apart from it what own ones did, as OpenRouter does."""
    if spent is None:
        return {f"{of}usage{window}": 0.0 for of in ("", "byok_") for window in WINDOWS}
    whole = (spent.total_usd, spent.day_usd, spent.week_usd, spent.month_usd)
    own = (spent.byok_usd, spent.byok_day_usd, spent.byok_week_usd, spent.byok_month_usd)
    shared = {f"usage{w}": float(a - b) for w, a, b in zip(WINDOWS, whole, own, strict=True)}
    return shared | {f"byok_usage{w}": float(b) for w, b in zip(WINDOWS, own, strict=True)}


def show_project(project: Project) -> Json:
    return {
        "id": project.project,
        "name": project.name,
        "disabled": project.disabled,
        "tags": project.tags,
        "organization_id": project.account,
        "created_at": _iso(project.created_at_ms),
        "updated_at": _iso(project.updated_at_ms),
    }


def show_organization(organization: Organization) -> Json:
    return {
        "id": organization.account,
        "name": organization.name,
        "is_operator": organization.is_operator,
        "max_key_life_s": organization.max_key_life_s,
        "allowed_ips": list(organization.allowed_ips),
        "is_prepaid": organization.prepaid_from_usd is not None,
        "created_at": _iso(organization.created_at_ms),
        "updated_at": _iso(organization.updated_at_ms),
    }


def show_worth(worth: Worth) -> Json:
    """Return an organization's credits with OpenRouter's names and doubles, and exactly."""
    return {
        "total_credits": float(worth.credits_usd),
        "total_usage": float(worth.spent_usd),
        "balance_usd": usd_text(worth.balance_usd) if worth.is_prepaid else None,
        "held_usd": usd_text(worth.held_usd),
        "is_prepaid": worth.is_prepaid,
    }


def show_credit(credit: Credit) -> Json:
    return {
        "id": credit.credit_id,
        "kind": credit.kind.value,
        "amount_usd": usd_text(credit.amount_usd),
        "fee_usd": usd_text(credit.fee_usd),
        "reference": credit.reference,
        "note": credit.note,
        "created_at": _iso(credit.at_ms),
    }


def show_policy(policy: Policy) -> Json:
    rules = policy.rules
    return {
        "scope": policy.scope,
        "level": level_of(policy.scope),
        "organization_id": policy.account,
        "allowed_models": _listed(rules.allowed_models),
        "ignored_models": list(rules.ignored_models),
        "allowed_providers": _listed(rules.allowed_providers),
        "ignored_providers": list(rules.ignored_providers),
        "max_price": {
            "prompt": _price(rules.max_prompt_price),
            "completion": _price(rules.max_completion_price),
            "request": _price(rules.max_request_price),
        },
        "data_collection": rules.data_collection,
        "zdr": rules.zdr,
        "allowed_data_regions": _listed(rules.allowed_data_regions),
        "quantizations": _listed(rules.quantizations),
        "version": policy.version,
        "updated_at": _iso(policy.updated_at_ms),
    }


def show_budget(balance: Balance) -> Json:
    """Return a budget with what is left of it; money as exact decimals of USD."""
    budget = balance.budget
    return {
        **show_balance(balance),
        "organization_id": budget.account,
        "version": budget.version,
        "updated_at": _iso(budget.updated_at_ms),
    }


def show_balance(balance: Balance) -> Json:
    """Return what whoever is bound by a budget need know of it."""
    budget = balance.budget
    return {
        "scope": budget.scope,
        "level": level_of(budget.scope),
        "window": budget.window.value,
        "limit_usd": usd_text(budget.limit_usd),
        "include_byok": budget.include_byok,
        "spend_usd": usd_text(balance.spend_usd),
        "held_usd": usd_text(balance.held_usd),
        "remaining_usd": usd_text(balance.remaining_usd),
        "resets_at": _maybe_iso(balance.resets_at_ms),
    }


def show_credential(credential: Credential, keys: Mapping[KeyId, ApiKey]) -> Json:
    """Return an own provider key without the key, with OpenRouter's names where it has them."""
    models, allowed, region = (
        credential.allowed_models,
        credential.allowed_keys,
        credential.declared_region,
    )
    return {
        "id": credential.credential_id,
        "organization_id": credential.account,
        "project_id": credential.project,
        "provider": credential.provider,
        "name": credential.name,
        "label": credential.label,
        "disabled": credential.disabled,
        "is_fallback": credential.is_fallback,
        "is_required": credential.is_required,
        "is_byok_only": credential.is_byok_only,
        "sort_order": credential.sort_order,
        "allowed_models": None if models is None else list(models),
        "allowed_api_key_hashes": (
            None if allowed is None else [keys[one].hash for one in allowed if one in keys]
        ),
        "declared_zdr": credential.declared_zdr,
        "declared_region": None if region is None else region.value,
        "secret_version": credential.secret_version,
        "version": credential.version,
        "created_at": _iso(credential.created_at_ms),
        "updated_at": _iso(credential.updated_at_ms),
    }


def _listed(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)


def _price(price: Decimal | None) -> str | None:
    return None if price is None else f"{price:f}"


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).isoformat().replace("+00:00", "Z")


def _maybe_iso(ms: int | None) -> str | None:
    return None if ms is None else _iso(ms)
