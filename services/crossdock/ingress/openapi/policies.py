"""/v1/policies."""

from typing import Any

from crossdock.ingress.openapi import names
from crossdock.ingress.openapi.operation import ADMINS, Body, Operation, answer
from crossdock.ingress.openapi.schema import (
    EXACT_USD,
    FLAG,
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
from crossdock.ingress.values import specimens as errors
from crossdock.ingress.values.policy_body import FILTERS
from crossdock_schemas.accounts.content_filter import (
    LABEL_PATTERN,
    MAX_FILTERS,
    MAX_PATTERN,
    Action,
    Builtin,
)
from crossdock_schemas.accounts.directory import LEVELS
from crossdock_schemas.accounts.policy import PRICES, Rules

TAG = "policies"
LEVEL = choice(LEVELS.values())
VERSION: Json = {"type": "integer", "minimum": 1}
DELETED = shown({"deleted": {"const": True}})
_PRICE = nullable(told(EXACT_USD, "USD per million tokens."))
_REQUEST_PRICE = nullable(told(EXACT_USD, "USD per call."))
TEXTS = {
    "data_collection": "`deny`: nobody who may train on what it is sent.",
    "zdr": "True: nobody who may keep what it is sent.",
    "allowed_data_regions": "Where it may be worked on; null: everywhere.",
    "quantizations": "The precisions of weights that may be used; null: all.",
    "max_tokens": "Output tokens of one answer at most; a request that asks for more is refused.",
    "tools": "`deny`: no request may give the model tools to call.",
}


def _rules() -> dict[str, Json]:
    """Return what a policy may demand, as the type that holds it says."""
    properties: dict[str, Any] = Rules.model_json_schema()["properties"]
    rules = {name: _without_default(rule) for name, rule in properties.items()}
    rules |= {name: told(rules[name], text) for name, text in TEXTS.items()}
    return {name: rule for name, rule in rules.items() if name not in FILTERS}


def _without_default(rule: Json) -> Json:
    kept = {name: value for name, value in rule.items() if name not in {"default", "title"}}
    return kept if "anyOf" in kept else nullable(kept)


RULES = _rules()
_ACTION = told(choice(Action), "Count it; take it out as well; or refuse the request.")
_BUILTIN: dict[str, Json] = {"slug": choice(Builtin), "action": _ACTION}
_OWN: dict[str, Json] = {
    "pattern": told(
        TEXT | {"minLength": 1, "maxLength": MAX_PATTERN}, "A regular expression as RE2 takes it."
    ),
    "action": _ACTION,
    "label": told(TEXT | {"pattern": LABEL_PATTERN}, "What findings are called; null: `custom`."),
}
_FILTERS: dict[str, Json] = {
    "content_filter_builtins": nullable(
        array(wish(_BUILTIN, required=("slug", "action")), maxItems=len(Builtin))
    ),
    "content_filters": nullable(
        array(
            wish(_OWN | {"label": nullable(_OWN["label"])}, required=("pattern", "action")),
            maxItems=MAX_FILTERS,
        )
    ),
}
"""What is looked for in requests."""

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
            "max_price": shown({"prompt": _PRICE, "completion": _PRICE, "request": _REQUEST_PRICE}),
            "data_collection": RULES["data_collection"],
            "zdr": told(FLAG, TEXTS["zdr"]),
            "allowed_data_regions": RULES["allowed_data_regions"],
            "quantizations": RULES["quantizations"],
            "max_tokens": RULES["max_tokens"],
            "tools": RULES["tools"],
            "content_filter_builtins": array(shown(_BUILTIN)),
            "content_filters": array(shown(_OWN | {"label": nullable(_OWN["label"])})),
            "version": VERSION,
            "updated_at": TIME,
        }
    ),
    "PolicyRules": wish(
        {
            **{name: rule for name, rule in RULES.items() if not name.endswith("_price")},
            **_FILTERS,
            "max_price": nullable(
                wish({name: RULES[of_rules] for name, of_rules in PRICES.items()})
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
