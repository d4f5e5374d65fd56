"""/v1/webhooks/stripe: events of payment providers. No API key: the provider signs them."""

from typing import Literal

import structlog
from pydantic import Field, JsonValue
from starlette.exceptions import HTTPException
from starlette.requests import Request

from crossdock.ingress.commands.account_commands import AccountCommands
from crossdock.ingress.http.body import read_body
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.models import AnswerModel, OpenRequestModel
from crossdock.ingress.values.operations import Access, Header, operation
from crossdock.ingress.values.specimens import BUSY, DECIDED, FAILED, SENT
from crossdock.ingress.values.stripe_events import ForgedError, Ignored, Payment, read_stripe_event
from crossdock_schemas.accounts.control import Credited, Refusal
from crossdock_schemas.accounts.credit import CreditKind
from crossdock_schemas.ids import derive_credit_id, make_change_id

log: structlog.stdlib.BoundLogger = structlog.get_logger()

EVENT_BYTES = 256 * 1024  # a session's event has some 4 kB; the sender needs no key
SERVER_ERROR = 500
_NEVER = {403, 409}  # the installation itself asks; a payment that is booked already is an answer
ERRORS = (
    *SENT,
    ForgedError("No signature is that of this body with the webhook's secret."),
    RefusedError(404, "Invalid URL (POST /v1/webhooks/stripe)"),
    BUSY,
    FAILED,
    *(one for one in DECIDED if one.status not in _NEVER),
)
ORGANIZATION = "data.object.metadata.organization_id"


class StripeEvent(OpenRequestModel):
    """An event as Stripe sends it; only these fields are read."""

    type: JsonValue = None
    """`checkout.session.completed` and `checkout.session.async_payment_succeeded` are payments; others are ignored."""
    livemode: JsonValue = None
    """False: of Stripe's test mode, which is not credited."""
    data: dict[str, JsonValue] = Field(default_factory=dict)
    """`object`, a checkout session: its `id`, `payment_status`, `currency` (usd), `amount_total` in cents, and the
    organization's id as `organization_id` in `metadata`."""


class PaymentReceived(AnswerModel):
    received: Literal[True] = True
    ignored: bool = False
    """The event is not a payment."""
    repeated: bool = False
    """The payment is booked already."""


class CallbackRoutes:
    """Payments. Each counts once: the provider repeats an event until it gets a 200, and sometimes after."""

    tag = "payments"

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    @operation(
        "POST", "/v1/webhooks/stripe", "take_stripe_event", "Receive a payment event of Stripe",
        text="Without a key: Stripe signs its events. The amount that was paid is credited less the fee, once however often the " "event comes. 404 where no webhook secret is set.",
        access=Access.NONE,
        headers=(Header("stripe-signature", "`t=<Unix time>,v1=<HMAC-SHA256 of time, dot and body>`", is_required=True),),
        body=StripeEvent, example={"type": "checkout.session.completed", "data": {"object": {}}},
        errors=ERRORS,
    )  # fmt: skip
    async def stripe(self, request: Request) -> PaymentReceived:
        secret = self._context.settings.stripe_webhook_secret.get_secret_value()
        if not secret:
            raise HTTPException(404)
        header = request.headers.get("stripe-signature", "")
        with self._context.gate.hold() as held:
            raw = await read_body(request, EVENT_BYTES, held)
            now_s = self._context.clock.now_ms() // 1000
            try:
                event = read_stripe_event(
                    raw, header, secret, now_s, takes_tests=self._context.settings.stripe_test_mode
                )
                outcome = await self._take(event)
            except RefusedError as refusal:
                # why not a forged one: anyone can make it, and its answer is enough
                if refusal.status < SERVER_ERROR and not isinstance(refusal, ForgedError):
                    log.warning("payment.refused", provider="stripe", reason=str(refusal))
                raise
        return outcome

    async def _take(self, event: Payment | Ignored) -> PaymentReceived:
        if isinstance(event, Ignored):
            return PaymentReceived(ignored=True)
        return PaymentReceived(repeated=not await self._book(event))

    async def _book(self, payment: Payment) -> bool:
        """Credit the payment less the fee; return False if it is booked already."""
        view = self._context.accounts
        if payment.account not in view.organizations:
            rule = "There is no such organization."
            raise errors.wrong_value(ORGANIZATION, payment.account, rule)
        now_ms = self._context.clock.now_ms()
        command = Credited(
            change_id=make_change_id(now_ms),
            account=payment.account,
            at_ms=now_ms,
            kind=CreditKind.TOP_UP,
            paid_usd=payment.paid_usd,
            reference=payment.reference,
        )
        identifier = derive_credit_id(payment.account, payment.reference)
        try:
            await self._commands.apply(command, lambda: identifier in view.credits, identifier)
        except RefusedError as refusal:
            if refusal.reason == Refusal.CONFLICT:
                return False
            raise
        return True
