"""/v1/webhooks/stripe: what payment providers tell. No API key: they sign what they say."""

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress.commands.account_commands import AccountCommands
from crossdock.ingress.http.body import read_body
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.responses import answer_json
from crossdock.ingress.values.stripe_events import ForgedError, Ignored, Payment, read_stripe_event
from crossdock_schemas.accounts.control import Credited, Refusal
from crossdock_schemas.accounts.credit import CreditKind
from crossdock_schemas.ids import derive_credit_id, make_change_id

log: structlog.stdlib.BoundLogger = structlog.get_logger()

EVENT_BYTES = 256 * 1024  # a session's event has some 4 kB; anybody may send one
SERVER_ERROR = 500
ORGANIZATION = "data.object.metadata.organization_id"


class CallbackRoutes:
    """Payments. Each counts once: the provider tells of it until it is answered with a 200, and sometimes after."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    def routes(self) -> list[Route]:
        return [Route("/v1/webhooks/stripe", self.stripe, methods=["POST"])]

    async def stripe(self, request: Request) -> Response:
        secret = self._context.settings.stripe_webhook_secret.get_secret_value()
        if not secret:
            raise HTTPException(404)
        header = request.headers.get("stripe-signature", "")
        with self._context.gate.hold() as held:
            raw = await read_body(request, EVENT_BYTES, held)
            now_s = self._context.clock.now_ms() // 1000
            try:
                outcome = await self._take(read_stripe_event(raw, header, secret, now_s))
            except RefusedError as refusal:
                # why not a forged one: anybody can make it, and its answer says enough
                if refusal.status < SERVER_ERROR and not isinstance(refusal, ForgedError):
                    log.warning("payment.refused", provider="stripe", reason=str(refusal))
                raise
        return answer_json({"received": True} | outcome)

    async def _take(self, said: Payment | Ignored) -> dict[str, bool]:
        if isinstance(said, Ignored):
            return {"ignored": True}
        return {} if await self._book(said) else {"repeated": True}

    async def _book(self, payment: Payment) -> bool:
        """Credit what was paid, less the fee; False if it is booked already."""
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
