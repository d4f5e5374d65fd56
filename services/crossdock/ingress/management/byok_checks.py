"""Checks of what is asked about own provider keys. Pure; a fault is raised as a `RefusedError`.

A provider's key is taken out of the body before anything else looks at it, and no refusal says it again.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr, TypeAdapter, ValidationError

from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import Json
from crossdock.ingress.values.management_bodies import check_flag, check_name
from crossdock.kernel.requests.provider_keys import (
    KeyShapeError,
    ProviderKey,
    address_of,
    read_provider_key,
    sealed_text,
)
from crossdock_schemas.accounts.attribution import MAX_USER
from crossdock_schemas.accounts.credential import MAX_SORT_ORDER
from crossdock_schemas.accounts.policy import MAX_PATTERNS, Patterns
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.pricing.catalogue import REGIONS, Provider, Region

FLAGS = ("disabled", "is_fallback", "is_required", "is_byok_only", "declared_zdr")
CHANGED = (
    *("key", "name", *FLAGS, "sort_order"),
    *("allowed_models", "allowed_api_key_hashes", "allowed_user_ids", "declared_region"),
)
MADE = ("provider", "project_id", "test", *CHANGED)
EMPTIED = {
    "allowed_models": "allowed_models",
    "allowed_api_key_hashes": "allowed_keys",
    "allowed_user_ids": "allowed_users",
    "declared_region": "declared_region",
}
"""Fields that a null opens, and ours."""
HASH = re.compile(r"[0-9a-f]{64}")
_patterns: TypeAdapter[tuple[str, ...]] = TypeAdapter(Patterns)


@dataclass(frozen=True)
class TakenKey:
    """A provider's key as it was handed in, in no text of ours."""

    given: str | Json = field(repr=False)

    def read(self, provider: Provider) -> tuple[SecretStr, ProviderKey]:
        """Return what is to be sealed, and the key in its provider's shape.

        Raises:
            RefusedError: if it is of another shape, or does not fill the provider's address.
        """
        try:
            key = read_provider_key(provider.auth, self.given)
            address_of(provider.base_url, key)
        except KeyShapeError as error:
            raise errors.no_secret(error.field, error.rule) from None
        return sealed_text(self.given), key


def take_secret(body: Json) -> TakenKey | None:
    """Take the provider's key out of `body`; None: it is not there."""
    given = body.pop("key", None)
    if given is None:
        return None
    if not isinstance(given, str | dict):
        raise errors.wrong_type("key", "a string or an object", given)
    return TakenKey(given)


def check_fields(body: Json) -> dict[str, Any]:
    """Return what `body` says of a credential, by our names; `allowed_api_key_hashes` is left to who knows keys."""
    said: dict[str, Any] = {name: check_flag(body, name) for name in FLAGS}
    said["name"] = check_name(body) if body.get("name") is not None else None
    said["sort_order"] = _check_order(body)
    said["allowed_models"] = _check_models(body)
    said["allowed_users"] = _check_users(body)
    said["declared_region"] = _check_region(body)
    return {name: value for name, value in said.items() if value is not None}


def check_hashes(body: Json) -> tuple[str, ...] | None:
    """Return the SHA-256 of the API keys that may use it; None: nothing is said, or all may."""
    rule = f"an array of 1 to {MAX_PATTERNS} keys' SHA-256, as 64 hexadecimal digits each"
    given = _check_array(body, "allowed_api_key_hashes", rule)
    if given is None:
        return None
    for one in given:
        if not isinstance(one, str) or not HASH.fullmatch(one):
            raise errors.wrong_value("allowed_api_key_hashes", one, f"Expected {rule}.")
    return tuple(dict.fromkeys(given))


def _check_array(body: Json, name: str, rule: str, hint: str = "") -> list[Any] | None:
    """Return the 1 to MAX_PATTERNS entries of an array; None: nothing is said."""
    given = body.get(name)
    if given is None:
        return None
    if not isinstance(given, list):
        raise errors.wrong_type(name, rule, given)
    if not 1 <= len(given) <= MAX_PATTERNS:
        raise errors.wrong_value(name, f"{len(given)} entries", f"Expected {rule}{hint}.")
    return given


def emptied(body: Json) -> tuple[str, ...]:
    """Return our names of the fields that `body` opens."""
    return tuple(ours for name, ours in EMPTIED.items() if name in body and body[name] is None)


def check_provider(body: Json, known: Collection[str]) -> str:
    given = body.get("provider")
    if given is None:
        raise errors.missing("provider")
    if not isinstance(given, str):
        raise errors.wrong_type("provider", "a string", given)
    if given not in known:
        supported = ", ".join(map(repr, known))
        raise errors.wrong_value("provider", given, f"Supported values are: {supported}.")
    return given


def check_sealed(body: Json) -> SealedSecret:
    try:
        return SealedSecret.model_validate(body)
    except ValidationError as error:
        detail = error.errors()[0]
        raise errors.wrong_value(".".join(map(str, detail["loc"])), "...", f"{detail['msg']}.") from None  # fmt: skip


def _check_order(body: Json) -> int | None:
    given = body.get("sort_order")
    if given is None:
        return None
    if type(given) is not int:
        raise errors.wrong_type("sort_order", "an integer", given)
    if not 0 <= given <= MAX_SORT_ORDER:
        raise errors.wrong_value("sort_order", given, f"Expected 0 to {MAX_SORT_ORDER}.")
    return given


def _check_models(body: Json) -> tuple[str, ...] | None:
    given = body.get("allowed_models")
    if given is None:
        return None
    try:
        return _patterns.validate_python(given)
    except ValidationError as error:
        detail = error.errors()[0]
        param = ".".join(("allowed_models", *map(str, detail["loc"])))
        raise errors.wrong_value(param, detail["input"], f"{detail['msg']}.") from None


def _check_users(body: Json) -> tuple[str, ...] | None:
    """Return the end users that may use it, each once; None: nothing is said, or all may."""
    rule = f"an array of 1 to {MAX_PATTERNS} end users' ids, of 1 to {MAX_USER} characters each"
    hint = "; null lets the key serve everybody, `disabled` nobody"
    given = _check_array(body, "allowed_user_ids", rule, hint)
    if given is None:
        return None
    for place, one in enumerate(given):
        if not isinstance(one, str) or not 1 <= len(one) <= MAX_USER:
            told = f"Expected a string of 1 to {MAX_USER} characters."
            raise errors.wrong_value(f"allowed_user_ids.{place}", one, told)
    return tuple(dict.fromkeys(given))


def _check_region(body: Json) -> Region | None:
    given = body.get("declared_region")
    if given is None:
        return None
    region = next((region for region in REGIONS if region == given), None)
    if region is None:
        known = ", ".join(map(repr, REGIONS))
        rule = f"Supported values are: {known}; null: none is declared."
        raise errors.wrong_value("declared_region", given, rule)
    return region
