"""/v1/credits: what was paid or given in advance; and, for the operator's owners, other organizations' credits."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress.commands.account_commands import AccountCommands, sign
from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.body import CONTROL_BYTES, read_body
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.values import errors
from crossdock.ingress.values.balances import worth_of
from crossdock.ingress.values.management_bodies import (
    check_credit_kind,
    check_flag,
    check_known,
    check_note,
    check_reference,
    check_signed_usd,
    check_time,
)
from crossdock.ingress.values.management_objects import show_credit, show_organization, show_worth
from crossdock.ingress.values.openai_objects import Json
from crossdock.ingress.values.responses import answer_json
from crossdock.ingress.values.validation import parse_object
from crossdock.ingress.views.accounts import AccountsView
from crossdock_schemas.accounts.account import Organization, Role
from crossdock_schemas.accounts.control import CreditAsked, PrepaymentAsked
from crossdock_schemas.ids import AccountId, derive_credit_id

CREATED = 201
FIELDS = ("kind", "amount_usd", "reference", "note", "expires_at")
BOOKED, SET = "credit", "set_prepayment"
"""What the organization's own shard calls what the operator's hands on to it."""


class CreditRoutes:
    """Credits: entries that are never changed, and their sum."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/credits", self.retrieve, methods=["GET"]),
            Route("/v1/credits/entries", self.list_own, methods=["GET"]),
            Route("/v1/organizations/{id}/credits", self.list, methods=["GET"]),
            Route("/v1/organizations/{id}/credits", self.book, methods=["POST"]),
            Route("/v1/organizations/{id}/prepayment", self.set_prepayment, methods=["PUT"]),
        ]

    async def retrieve(self, request: Request) -> Response:
        view, account = self._view, principal_of(request).account
        organization = view.organizations.get(account)
        if organization is None:
            raise errors.no_such("Organization", account)
        worth = worth_of(organization, view.credits.values(), view.spends.values())
        return answer_json({"data": show_worth(worth, view.lots.get(account))})

    async def list_own(self, request: Request) -> Response:
        return answer_json({"data": self._entries(principal_of(request).account)})

    async def list(self, request: Request) -> Response:
        account, who = self._find(request).account, principal_of(request)
        if account != who.account and who.role is not Role.OWNER:
            raise errors.not_permitted(
                "Other organizations' credits are shown to the operator's owners. Use an owner's key."
            )
        return answer_json({"data": self._entries(account)})

    async def book(self, request: Request) -> Response:
        account = self._find(request).account
        body = parse_object(await read_body(request, CONTROL_BYTES))
        check_known(body, FIELDS)
        command = CreditAsked(
            **sign(principal_of(request), self._context.clock.now_ms()),
            organization=account,
            kind=check_credit_kind(body),
            amount_usd=check_signed_usd(body, "amount_usd"),
            reference=check_reference(body),
            note=check_note(body),
            expires_at_ms=check_time(body, "expires_at"),
        )
        identifier, credits = derive_credit_id(account, command.reference), self._view.credits
        await self._commands.apply(
            command, lambda: identifier in credits, identifier, account=account, action=BOOKED
        )
        if identifier not in credits:
            raise errors.unconfirmed()
        return answer_json({"data": show_credit(credits[identifier])}, status=CREATED)

    async def set_prepayment(self, request: Request) -> Response:
        account = self._find(request).account
        body = parse_object(await read_body(request, CONTROL_BYTES))
        check_known(body, ("is_prepaid",))
        is_prepaid = check_flag(body, "is_prepaid")
        if is_prepaid is None:
            raise errors.missing("is_prepaid")
        command = PrepaymentAsked(
            **sign(principal_of(request), self._context.clock.now_ms()),
            organization=account,
            is_prepaid=is_prepaid,
        )

        def is_shown() -> bool:
            return (self._find(request).prepaid_from_usd is not None) == is_prepaid

        await self._commands.apply(command, is_shown, account, account=account, action=SET)
        return answer_json({"data": show_organization(self._find(request))})

    @property
    def _view(self) -> AccountsView:
        return self._context.accounts

    def _entries(self, account: AccountId) -> Sequence[Json]:
        """Return an organization's credits, the newest first."""
        found = [credit for credit in self._view.credits.values() if credit.account == account]
        found.reverse()  # of those of one millisecond the last told is the newest
        found.sort(key=lambda credit: -credit.at_ms)
        return [show_credit(credit) for credit in found]

    def _find(self, request: Request) -> Organization:
        """Return the organization in the path: one's own, or, for the operator, any."""
        identifier, view = request.path_params["id"], self._view
        own = principal_of(request).account
        asking, found = view.organizations.get(own), view.organizations.get(identifier)
        is_operator = asking is not None and asking.is_operator
        if found is None or not (identifier == own or is_operator):
            raise errors.no_such("Organization", identifier)
        return found
