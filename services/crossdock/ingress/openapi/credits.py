"""/v1/credits, and what the operator's owners book for organizations."""

from crossdock.ingress.management.credits import CREATED
from crossdock.ingress.openapi import names
from crossdock.ingress.openapi.operation import OWNERS, Body, Operation, answer
from crossdock.ingress.openapi.schema import (
    DOUBLE_USD,
    EXACT_USD,
    FLAG,
    SIGNED_USD,
    TEXT,
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
from crossdock.ingress.values import specimens as errors
from crossdock.ingress.values.management_bodies import SIGNED_USD as WISHED_USD
from crossdock_schemas.accounts.credit import BOOKED, MAX_REFERENCE, CreditKind

TAG = "credits"
_KIND = choice(BOOKED)
_REFERENCE: Json = {"type": "string", "minLength": 1, "maxLength": MAX_REFERENCE}
_NOTE = nullable(TEXT | {"maxLength": MAX_REFERENCE})
_AMOUNT: Json = {
    "type": ["number", "string"],
    "pattern": exactly(WISHED_USD.pattern),
    "description": "USD, at most 6 decimal places: of a refund below 0, of an adjustment either, else above 0.",
}
_BALANCE = told(SIGNED_USD, "Credits that are not spent, USD, exactly; null: it needs none.")

SCHEMAS: dict[str, Json] = {
    "Credits": shown(
        {
            "total_credits": DOUBLE_USD,
            "total_usage": told(
                DOUBLE_USD, "Spent since it needs credits, all of it if it needs none: USD, as a double."
            ),
            "balance_usd": nullable(_BALANCE),
            "held_usd": told(EXACT_USD, "Part of the balance: what calls that run, or may begin, can cost at most."),
            "is_prepaid": told(FLAG, "Whether it needs credits for what it spends."),
            "expiring": told(array(ref("ExpiringCredits")), "What is not spent of credits that expire, the soonest first."),
        },
        "What an organization's credits came to. 1 credit is 1 USD.",
    ),
    "ExpiringCredits": shown(
        {
            "expires_at": told(TIME, "What is left then is written off, as soon as no calls are held for."),
            "amount_usd": told(EXACT_USD, "What is not spent of them."),
        }
    ),
    "Credit": shown(
        {
            "id": names.CREDIT,
            "kind": choice(CreditKind),
            "amount_usd": SIGNED_USD,
            "fee_usd": told(EXACT_USD, "What was paid on top."),
            "reference": _REFERENCE,
            "note": _NOTE,
            "created_at": TIME,
            "expires_at": told(nullable(TIME), "When what is left of it is written off; null: never."),
        },
        "Credits that came or went; never changed.",
    ),
    "CreditRequest": wish(
        {
            "kind": _KIND,
            "amount_usd": _AMOUNT,
            "reference": told(_REFERENCE, "The same one again is a conflict and books nothing."),
            "note": _NOTE,
            "expires_at": told(nullable(TIME), "Of a top_up or a grant: when what is left of it is written off; null: never."),
        },
        required=("kind", "amount_usd", "reference"),
    ),
    "PrepaymentRequest": wish(
        {
            "is_prepaid": told(
                FLAG, "True: from now on it needs credits for what it spends. False: it needs none."
            )
        },
        required=("is_prepaid",),
    ),
}  # fmt: skip

_ID = {"id": names.ORGANIZATION}
_CREDIT = {"kind": "top_up", "amount_usd": "12.50", "reference": "invoice 17"}

OPERATIONS = (
    Operation(
        "GET", "/v1/credits", "get_credits", "Show what the organization's credits came to",
        tag=TAG,
        answers=answer(data(ref("Credits"))),
        errors=(errors.NONE_SUCH,),
    ),
    Operation(
        "GET", "/v1/credits/entries", "list_credits", "List the organization's credits, the newest first",
        tag=TAG,
        answers=answer(data(array(ref("Credit")))),
    ),
    Operation(
        "GET", "/v1/organizations/{id}/credits", "list_organization_credits",
        "List an organization's credits, the newest first",
        tag=TAG,
        text="One's own; those of others for owners of the installation's first organization.",
        names=_ID,
        answers=answer(data(array(ref("Credit")))),
        errors=(errors.NONE_SUCH,),
    ),
    Operation(
        "POST", "/v1/organizations/{id}/credits", "create_credit", "Book an organization's credits",
        tag=TAG,
        text="For owners of the installation's first organization. Nothing is refunded that is spent or held.",
        names=_ID,
        roles=OWNERS,
        body=Body(ref("CreditRequest"), _CREDIT),
        answers=answer(data(ref("Credit")), status=CREATED),
        errors=(*errors.CHANGE, errors.NONE_SUCH),
    ),
    Operation(
        "PUT", "/v1/organizations/{id}/prepayment", "set_prepayment", "Say whether an organization needs credits",
        tag=TAG,
        text="For owners of the installation's first organization.",
        names=_ID,
        roles=OWNERS,
        body=Body(ref("PrepaymentRequest"), {"is_prepaid": True}),
        answers=answer(data(ref("Organization"))),
        errors=(*errors.CHANGE, errors.NONE_SUCH),
    ),
)  # fmt: skip
