"""/v1/policies."""

from typing import Any

from crossdock.ingress.openapi import errors, names
from crossdock.ingress.openapi.operation import ADMINS, Body, Operation, answer
from crossdock.ingress.openapi.schema import (
    EXACT_USD,
    TEXT,
    TIME,
    Json,
    array,
    choice,
    data,
    nullable,
    ref,
    shown,
    told,
    wish,
)
from crossdock_schemas.directory import LEVELS
from crossdock_schemas.policy import Rules

TAG = "policies"
LEVEL = choice(LEVELS.values())
VERSION: Json = {"type": "integer", "minimum": 1}
DELETED = shown({"deleted": {"const": True}})
_PRICE = nullable(told(EXACT_USD, "USD per million tokens."))


def _rules() -> dict[str, Json]:
    """Return what a policy may demand, as the type that holds it says."""
    properties: dict[str, Any] = Rules.model_json_schema()["properties"]
    return {name: _without_default(rule) for name, rule in properties.items()}


def _without_default(rule: Json) -> Json:
    kept = {name: value for name, value in rule.items() if name not in {"default", "title"}}
    return kept if "anyOf" in kept else nullable(kept)


_RULES = _rules()

SCHEMAS: dict[str, Json] = {
    "Policy": shown(
        {
            "scope": names.SCOPE,
            "level": LEVEL,
            "organization_id": names.ORGANIZATION,
            "allowed_models": nullable(array(TEXT)),
            "ignored_models": array(TEXT),
            "allowed_providers": nullable(array(TEXT)),
            "ignored_providers": array(TEXT),
            "max_price": shown({"prompt": _PRICE, "completion": _PRICE}),
            "version": VERSION,
            "updated_at": TIME,
        }
    ),
    "PolicyRules": wish(
        {
            **{name: rule for name, rule in _RULES.items() if not name.endswith("_price")},
            "max_price": nullable(
                wish(
                    {
                        "prompt": _RULES["max_prompt_price"],
                        "completion": _RULES["max_completion_price"],
                    }
                )
            ),
        }
    ),
}

_ID = {"id": names.SCOPE}

OPERATIONS = (
    Operation(
        "GET", "/v1/policies", "list_policies", "List the policies that the key may see",
        tag=TAG,
        answers=answer(data(array(ref("Policy")))),
    ),
    Operation(
        "GET", "/v1/policies/{id}", "get_policy", "Show a scope's policy",
        tag=TAG,
        names=_ID,
        answers=answer(data(ref("Policy"))),
        errors=(errors.NONE_SUCH,),
    ),
    Operation(
        "PUT", "/v1/policies/{id}", "set_policy", "Set a scope's policy, as a whole",
        tag=TAG,
        names=_ID,
        roles=ADMINS,
        body=Body(ref("PolicyRules"), {"allowed_providers": ["atlas"]}),
        answers=answer(data(ref("Policy"))),
        errors=(*errors.CHANGE, errors.NONE_SUCH),
    ),
    Operation(
        "DELETE", "/v1/policies/{id}", "clear_policy", "Take a scope's policy away",
        tag=TAG,
        names=_ID,
        roles=ADMINS,
        answers=answer(DELETED),
        errors=(*errors.DECIDED, errors.NONE_SUCH),
    ),
)  # fmt: skip
