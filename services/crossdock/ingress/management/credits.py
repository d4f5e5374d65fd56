"""/v1/credits: credits of the organization; for the operator's owners, of other organizations too."""

from types import MappingProxyType

from starlette.requests import Request

from crossdock.ingress.commands.account_commands import AccountCommands
from crossdock.ingress.http.auth import principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.management import credit_models as models
from crossdock.ingress.management.organization_models import OrganizationAnswer, show_organization
from crossdock.ingress.values import errors, types
from crossdock.ingress.values.balances import worth_of
from crossdock.ingress.values.operations import OWNERS, operation
from crossdock.ingress.values.specimens import NONE_SUCH
from crossdock.ingress.views.accounts import AccountsView
from crossdock_schemas.accounts.account import Organization, Role
from crossdock_schemas.accounts.control import CreditAsked, PrepaymentAsked
from crossdock_schemas.accounts.credit import CreditKind
from crossdock_schemas.ids import AccountId, derive_credit_id

BOOKED, SET = "credit", "set_prepayment"
"""The names of the commands that the operator's shard hands on to the organization's own shard."""
_CREDITS = "/v1/organizations/{id}/credits"
_FOR_OPERATOR = "For owners of the installation's first organization."


class CreditRoutes:
    """Credits: entries that are never changed, and their sum."""

    tag = "credits"
    ids = MappingProxyType({"id": types.OrganizationId})

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._commands = AccountCommands(context)

    @operation(
        "GET", "/v1/credits", "get_credits",
        "Show the organization's credits, and what is left of them",
        errors=(NONE_SUCH,),
    )  # fmt: skip
    async def retrieve(self, request: Request) -> models.CreditsAnswer:
        view, account = self._view, principal_of(request).account
        organization = view.organizations.get(account)
        if organization is None:
            raise errors.no_such("Organization", account)
        worth = worth_of(organization, view.credits.values(), view.spends.values())
        return models.CreditsAnswer(data=models.show_worth(worth, view.lots.get(account)))

    @operation(
        "GET", "/v1/credits/entries", "list_credits",
        "List the organization's credits, the newest first",
    )  # fmt: skip
    async def list_own(self, request: Request) -> models.CreditEntriesAnswer:
        return self._entries(principal_of(request).account)

    @operation(
        "GET", _CREDITS, "list_organization_credits",
        "List an organization's credits, the newest first",
        text="The key's own organization; any other for owners of the installation's first organization.",
    )  # fmt: skip
    async def list(self, request: Request) -> models.CreditEntriesAnswer:
        account, who = self._find(request).account, principal_of(request)
        if account != who.account and who.role is not Role.OWNER:
            raise errors.not_permitted(
                "Other organizations' credits are shown to the operator's owners. Use an owner's key."
            )
        return self._entries(account)

    @operation(
        "POST", _CREDITS, "create_credit", "Book an organization's credits",
        text=f"{_FOR_OPERATOR} Credits that are spent or held cannot be refunded.", roles=OWNERS,
        example={"kind": "top_up", "amount_usd": "12.50", "reference": "invoice 17"}, status=201,
    )  # fmt: skip
    async def book(self, request: Request, body: models.CreditCreate) -> models.CreditAnswer:
        account = self._find(request).account
        command = CreditAsked(
            **self._commands.sign(request),
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
        return models.CreditAnswer(data=models.CreditObject.of(credits[identifier]))

    @operation(
        "PUT", "/v1/organizations/{id}/prepayment", "set_prepayment",
        "Set whether an organization needs credits", text=_FOR_OPERATOR, roles=OWNERS,
        example={"is_prepaid": True},
    )  # fmt: skip
    async def set_prepayment(
        self, request: Request, body: models.PrepaymentUpdate
    ) -> OrganizationAnswer:
        account = self._find(request).account
        signed = self._commands.sign(request)
        command = PrepaymentAsked(**signed, organization=account, is_prepaid=body.is_prepaid)

        def is_shown() -> bool:
            return (self._find(request).prepaid_from_usd is not None) == body.is_prepaid

        await self._commands.apply(command, is_shown, account, account=account, action=SET)
        return OrganizationAnswer(data=show_organization(self._find(request)))

    @property
    def _view(self) -> AccountsView:
        return self._context.accounts

    def _entries(self, account: AccountId) -> models.CreditEntriesAnswer:
        """Return an organization's credits, the newest first."""
        found = [credit for credit in self._view.credits.values() if credit.account == account]
        found.reverse()  # of the same millisecond the last one is the newest
        found.sort(key=lambda credit: -credit.at_ms)
        return models.CreditEntriesAnswer(data=tuple(map(models.CreditObject.of, found)))

    def _find(self, request: Request) -> Organization:
        """Return the organization in the path: the key's own; for the operator any."""
        identifier, view = request.path_params["id"], self._view
        own = principal_of(request).account
        asking, found = view.organizations.get(own), view.organizations.get(identifier)
        is_operator = asking is not None and asking.is_operator
        if found is None or not (identifier == own or is_operator):
            raise errors.no_such("Organization", identifier)
        return found
