"""Keys, projects, organizations and their money, with OpenRouter's names where it has them. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from crossdock.ingress.values.balances import Balance, Worth, tightest
from crossdock.ingress.values.openai_objects import Json, iso, maybe_iso
from crossdock_schemas.accounts.account import ApiKey, Organization, Project
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.credit import Credit, Lot, Lots
from crossdock_schemas.accounts.directory import level_of
from crossdock_schemas.accounts.journal import Spend
from crossdock_schemas.accounts.policy import Policy
from crossdock_schemas.accounts.preset import Preset
from crossdock_schemas.ids import KeyId
from crossdock_schemas.money import usd_text
from crossdock_schemas.windows import Window

WINDOWS = ("", "_daily", "_weekly", "_monthly")


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
        "tpm": key.tpm,
        **_show_limit(tightest(balances)),
        "creator_key_id": key.creator,
        "rotated_from": key.rotated_from,
        "created_at": iso(key.created_at_ms),
        "updated_at": iso(key.updated_at_ms),
        "expires_at": maybe_iso(key.expires_at_ms),
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
        "created_at": iso(project.created_at_ms),
        "updated_at": iso(project.updated_at_ms),
    }


def show_organization(organization: Organization) -> Json:
    return {
        "id": organization.account,
        "name": organization.name,
        "is_operator": organization.is_operator,
        "max_key_life_s": organization.max_key_life_s,
        "allowed_ips": list(organization.allowed_ips),
        "is_prepaid": organization.prepaid_from_usd is not None,
        "created_at": iso(organization.created_at_ms),
        "updated_at": iso(organization.updated_at_ms),
    }


def show_worth(worth: Worth, lots: Lots | None = None) -> Json:
    """Return an organization's credits with OpenRouter's names and doubles, and exactly."""
    return {
        "total_credits": float(worth.credits_usd),
        "total_usage": float(worth.spent_usd),
        "balance_usd": usd_text(worth.balance_usd) if worth.is_prepaid else None,
        "held_usd": usd_text(worth.held_usd),
        "is_prepaid": worth.is_prepaid,
        "expiring": [] if lots is None else [_show_lot(lot) for lot in lots.lots],
    }


def _show_lot(lot: Lot) -> Json:
    return {"expires_at": iso(lot.expires_at_ms), "amount_usd": usd_text(lot.left_usd)}


def show_credit(credit: Credit) -> Json:
    return {
        "id": credit.credit_id,
        "kind": credit.kind.value,
        "amount_usd": usd_text(credit.amount_usd),
        "fee_usd": usd_text(credit.fee_usd),
        "reference": credit.reference,
        "note": credit.note,
        "created_at": iso(credit.at_ms),
        "expires_at": maybe_iso(credit.expires_at_ms),
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
        "max_tokens": rules.max_tokens,
        "tools": rules.tools,
        "content_filter_builtins": [
            one.model_dump(mode="json") for one in rules.content_filter_builtins
        ],
        "content_filters": [one.model_dump(mode="json") for one in rules.content_filters],
        "version": policy.version,
        "updated_at": iso(policy.updated_at_ms),
    }


def show_preset(preset: Preset) -> Json:
    return {
        "slug": preset.slug,
        "scope": preset.scope,
        "level": level_of(preset.scope),
        "organization_id": preset.account,
        "model": preset.model,
        "parameters": preset.parameters,
        "system": preset.system,
        "description": preset.description,
        "version": preset.version,
        "updated_at": iso(preset.updated_at_ms),
    }


def show_budget(balance: Balance) -> Json:
    """Return a budget with what is left of it; money as exact decimals of USD."""
    budget = balance.budget
    return {
        **show_balance(balance),
        "organization_id": budget.account,
        "version": budget.version,
        "updated_at": iso(budget.updated_at_ms),
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
        "overshoot_usd": usd_text(budget.overshoot_usd),
        "spend_usd": usd_text(balance.spend_usd),
        "held_usd": usd_text(balance.held_usd),
        "remaining_usd": usd_text(balance.remaining_usd),
        "resets_at": maybe_iso(balance.resets_at_ms),
    }


def show_credential(credential: Credential, keys: Mapping[KeyId, ApiKey]) -> Json:
    """Return an own provider key without the key, with OpenRouter's names where it has them."""
    allowed = credential.allowed_keys
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
        "allowed_models": _listed(credential.allowed_models),
        "allowed_api_key_hashes": (
            None if allowed is None else [keys[one].hash for one in allowed if one in keys]
        ),
        "allowed_user_ids": _listed(credential.allowed_users),
        "declared_zdr": credential.declared_zdr,
        "declared_region": credential.declared_region,
        "secret_version": credential.secret_version,
        "version": credential.version,
        "created_at": iso(credential.created_at_ms),
        "updated_at": iso(credential.updated_at_ms),
    }


def _listed(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)


def _price(price: Decimal | None) -> str | None:
    return None if price is None else f"{price:f}"
