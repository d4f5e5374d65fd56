"""/v1/webhooks/stripe. Bodies are Stripe's; told is what we look at ourselves."""

from crossdock.ingress.openapi.operation import Body, Operation, Parameter, answer
from crossdock.ingress.openapi.schema import TEXT, Json, ref, shown, told, wish
from crossdock.ingress.values import specimens as errors
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.stripe_events import PAID, ForgedError

TAG = "payments"
_TRUE: Json = {"const": True}
_RECEIVED = shown({"received": _TRUE})
_RECEIVED["properties"] |= {
    "ignored": told(_TRUE, "It tells of no payment."),
    "repeated": told(_TRUE, "It tells of a payment that is booked already."),
}
_SESSION: Json = {
    "type": "object",
    "additionalProperties": True,
    "description": (
        "`object`, a checkout session: its `id`, `payment_status`, `currency` (usd), `amount_total` in cents, and the "
        "organization's id as `organization_id` in `metadata`."
    ),
}

SCHEMAS: dict[str, Json] = {
    "StripeEvent": wish(
        {
            "type": told({}, f"Payments are {' and '.join(sorted(PAID))}; others are ignored."),
            "data": _SESSION,
        },
        is_closed=False,
    )
    | {
        "externalDocs": {"url": "https://docs.stripe.com/api/events/object"},
        "additionalProperties": True,
    },
}

_NEVER = {403, 409}  # the installation itself asks; what is booked already is an answer
_ERRORS = (
    *errors.SENT,
    ForgedError("No signature is that of this body with the webhook's secret."),
    RefusedError(404, "Invalid URL (POST /v1/webhooks/stripe)"),
    errors.BUSY,
    errors.FAILED,
    *(one for one in errors.DECIDED if one.status not in _NEVER),
)

OPERATIONS = (
    Operation(
        "POST", "/v1/webhooks/stripe", "take_stripe_event", "Take what Stripe tells of payments",
        tag=TAG,
        text=(
            "Without a key: Stripe signs what it says. What was paid is credited less the fee, once however often it is "
            "told. 404 where no webhook's secret is set."
        ),
        parameters=(
            Parameter(
                "stripe-signature", TEXT, "`t=<Unix time>,v1=<HMAC-SHA256 of time, dot and body>`",
                place="header", is_required=True,
            ),
        ),
        body=Body(ref("StripeEvent"), {"type": "checkout.session.completed", "data": {"object": {}}}),
        answers=answer(_RECEIVED),
        errors=_ERRORS,
    ),
)  # fmt: skip
