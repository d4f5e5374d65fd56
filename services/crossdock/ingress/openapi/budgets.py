"""/v1/budgets."""

from crossdock.ingress.openapi import errors, names
from crossdock.ingress.openapi.operation import MEMBERS, Body, Operation, answer
from crossdock.ingress.openapi.policies import DELETED, VERSION
from crossdock.ingress.openapi.schema import (
    EXACT_USD,
    FLAG,
    TIME,
    Json,
    array,
    choice,
    data,
    exactly,
    nullable,
    ref,
    shown,
    told,
    wish,
)
from crossdock.ingress.values.management_bodies import USD
from crossdock_schemas.accounts.directory import LEVELS, MARK_LEVELS
from crossdock_schemas.windows import Window

TAG = "budgets"
WINDOW = choice(Window)
BUDGETED = told(
    names.SCOPE,
    "The organization, or one of its projects or keys; or an end user, as `user:alice`; or a tag, as `tag:team=search`, "
    "with `%25` and `%3D` for `%` and `=` in its name. In an address all of it is percent-encoded.",
)
AMOUNT: Json = {
    "type": ["number", "string"],
    "minimum": 0,
    "pattern": exactly(USD.pattern),
    "description": "USD, at most 6 decimal places.",
}
_BALANCE = {
    "scope": BUDGETED,
    "level": choice((*LEVELS.values(), *MARK_LEVELS)),
    "window": WINDOW,
    "limit_usd": EXACT_USD,
    "include_byok": told(FLAG, "Whether what own provider keys pay for counts too."),
    "overshoot_usd": told(
        EXACT_USD,
        "By how much it may be exceeded at most. Above 0 it is fluid: what calls are likely to cost (the 95th percentile of "
        "what this organization's calls of the model did cost, of their worst case) is held against the limit, and what "
        "they can cost at most against limit and overshoot together. 0: strict.",
    ),
    "spend_usd": EXACT_USD,
    "held_usd": told(EXACT_USD, "What calls that run, or may begin, can cost at most."),
    "remaining_usd": told(
        EXACT_USD, "What may still be held; of a fluid budget by what calls are likely to cost."
    ),
    "resets_at": nullable(told(TIME, "Null: never.")),
}

SCHEMAS: dict[str, Json] = {
    "Balance": shown(_BALANCE, "A budget, as whoever it binds sees it."),
    "Budget": shown(
        {
            **_BALANCE,
            "organization_id": names.ORGANIZATION,
            "version": VERSION,
            "updated_at": TIME,
        }
    ),
    "BudgetRequest": wish(
        {
            "limit_usd": AMOUNT,
            "include_byok": nullable(FLAG),
            "overshoot_usd": nullable(
                told(AMOUNT, "Makes it fluid: USD beyond the limit at most.")
            ),
        },
        required=("limit_usd",),
    ),
}

_ID = {"id": BUDGETED}
_IDS = {"id": BUDGETED, "window": WINDOW}

OPERATIONS = (
    Operation(
        "GET", "/v1/budgets", "list_budgets", "List the budgets that the key may see",
        tag=TAG,
        answers=answer(data(array(ref("Budget")))),
    ),
    Operation(
        "GET", "/v1/budgets/{id}", "get_budgets", "Show a scope's budgets",
        tag=TAG,
        names=_ID,
        answers=answer(data(array(ref("Budget")))),
        errors=(errors.NONE_SUCH,),
    ),
    Operation(
        "PUT", "/v1/budgets/{id}/{window}", "set_budget", "Set a scope's budget in a window",
        tag=TAG,
        text="A member may set those of its own project's inference keys.",
        names=_IDS,
        roles=MEMBERS,
        body=Body(ref("BudgetRequest"), {"limit_usd": "12.50"}),
        answers=answer(data(ref("Budget"))),
        errors=(*errors.CHANGE, errors.NONE_SUCH),
    ),
    Operation(
        "DELETE", "/v1/budgets/{id}/{window}", "clear_budget", "Take a scope's budget away",
        tag=TAG,
        text="A member may clear those of its own project's inference keys.",
        names=_IDS,
        roles=MEMBERS,
        answers=answer(DELETED),
        errors=(*errors.DECIDED, *errors.VALUES, errors.NONE_SUCH),
    ),
)  # fmt: skip
