"""/v1/credits: what was paid or given in advance; and, for the operator's owners, other organizations' credits."""

from starlette.requests import Request

from crossdock.ingress.commands.account_commands import AccountCommands, sign
from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.management.credit_models import (
    CreditAnswer,
    CreditCreate,
    CreditEntriesAnswer,
    CreditObject,
    CreditsAnswer,
    PrepaymentSet,
    show_worth,
)
from crossdock.ingress.management.organization_models import OrganizationAnswer, show_organization
from crossdock.ingress.values import errors
from crossdock.ingress.values.balances import worth_of
from crossdock.ingress.values.operations import OWNERS, operation
from crossdock.ingress.values.specimens import CHANGE, NONE_SUCH
from crossdock.ingress.values.types import OrganizationId
from crossdock.ingress.views.accounts import AccountsView
from crossdock_schemas.accounts.account import Organization, Role
from crossdock_schemas.accounts.control import CreditAsked, PrepaymentAsked
from crossdock_schemas.accounts.credit import CreditKind
from crossdock_schemas.ids import AccountId, derive_credit_id

TAG = "credits"
BOOKED, SET = "credit", "set_prepayment"
"""The names of the commands that the operator's shard hands on to the organization's own shard."""
_CREDITS = "/v1/organizations/{id}/credits"
_IDS = {"id": OrganizationId}
_FOR_OPERATOR = "For owners of the installation's first organization."


class CreditRoutes:
    """Credits: entries that are never changed, and their sum."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    @operation(
        "GET", "/v1/credits", "get_credits", "Show the organization's credits, and what is left of them",
        tag=TAG,
        errors=(NONE_SUCH,),
    )  # fmt: skip
    async def retrieve(self, request: Request) -> CreditsAnswer:
        view, account = self._view, principal_of(request).account
        organization = view.organizations.get(account)
        if organization is None:
            raise errors.no_such("Organization", account)
        worth = worth_of(organization, view.credits.values(), view.spends.values())
        return CreditsAnswer(data=show_worth(worth, view.lots.get(account)))

    @operation(
        "GET", "/v1/credits/entries", "list_credits", "List the organization's credits, the newest first",
        tag=TAG,
    )  # fmt: skip
    async def list_own(self, request: Request) -> CreditEntriesAnswer:
        return self._entries(principal_of(request).account)

    @operation(
        "GET", _CREDITS, "list_organization_credits", "List an organization's credits, the newest first",
        tag=TAG,
        text="The key's own organization; any other for owners of the installation's first organization.",
        ids=_IDS,
        errors=(NONE_SUCH,),
    )  # fmt: skip
    async def list(self, request: Request) -> CreditEntriesAnswer:
        account, who = self._find(request).account, principal_of(request)
        if account != who.account and who.role is not Role.OWNER:
            raise errors.not_permitted(
                "Other organizations' credits are shown to the operator's owners. Use an owner's key."
            )
        return self._entries(account)

    @operation(
        "POST", _CREDITS, "create_credit", "Book an organization's credits",
        tag=TAG,
        text=f"{_FOR_OPERATOR} Credits that are spent or held cannot be refunded.",
        ids=_IDS,
        roles=OWNERS,
        example={"kind": "top_up", "amount_usd": "12.50", "reference": "invoice 17"},
        status=201,
        errors=(*CHANGE, NONE_SUCH),
    )  # fmt: skip
    async def book(self, request: Request, body: CreditCreate) -> CreditAnswer:
        account = self._find(request).account
        command = CreditAsked(
            **sign(principal_of(request), self._context.clock.now_ms()),
            organization=account,
            kind=CreditKind(body.kind),
            amount_usd=body.amount_usd,
            reference=body.reference,
            note=body.note,
            expires_at_ms=body.expires_at,
        )
        identifier, credits = derive_credit_id(account, command.reference), self._view.credits
        await self._commands.apply(
            command, lambda: identifier in credits, identifier, account=account, action=BOOKED
        )
        if identifier not in credits:
            raise errors.unconfirmed()
        return CreditAnswer(data=CreditObject.of(credits[identifier]))

    @operation(
        "PUT", "/v1/organizations/{id}/prepayment", "set_prepayment", "Set whether an organization needs credits",
        tag=TAG,
        text=_FOR_OPERATOR,
        ids=_IDS,
        roles=OWNERS,
        example={"is_prepaid": True},
        errors=(*CHANGE, NONE_SUCH),
    )  # fmt: skip
    async def set_prepayment(self, request: Request, body: PrepaymentSet) -> OrganizationAnswer:
        account = self._find(request).account
        signed = sign(principal_of(request), self._context.clock.now_ms())
        command = PrepaymentAsked(**signed, organization=account, is_prepaid=body.is_prepaid)

        def is_shown() -> bool:
            return (self._find(request).prepaid_from_usd is not None) == body.is_prepaid

        await self._commands.apply(command, is_shown, account, account=account, action=SET)
        return OrganizationAnswer(data=show_organization(self._find(request)))

    @property
    def _view(self) -> AccountsView:
        return self._context.accounts

    def _entries(self, account: AccountId) -> CreditEntriesAnswer:
        """Return an organization's credits, the newest first."""
        found = [credit for credit in self._view.credits.values() if credit.account == account]
        found.reverse()  # of the same millisecond the last one is the newest
        found.sort(key=lambda credit: -credit.at_ms)
        return CreditEntriesAnswer(data=tuple(map(CreditObject.of, found)))

    def _find(self, request: Request) -> Organization:
        """Return the organization in the path: the key's own; for the operator any."""
        identifier, view = request.path_params["id"], self._view
        own = principal_of(request).account
        asking, found = view.organizations.get(own), view.organizations.get(identifier)
        is_operator = asking is not None and asking.is_operator
        if found is None or not (identifier == own or is_operator):
            raise errors.no_such("Organization", identifier)
        return found
