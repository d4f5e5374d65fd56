"""/v1/budgets: how much an organization, a project, a key, an end user or a tag may spend in a window."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress.commands.account_commands import Desk, sign
from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.http.body import CONTROL_BYTES, read_body
from crossdock.ingress.http.context import Dock
from crossdock.ingress.http.scopes import find_budgeted, is_visible, sees_marks
from crossdock.ingress.management.key_limits import Limits
from crossdock.ingress.values import errors
from crossdock.ingress.values.balances import Balance, balances_of
from crossdock.ingress.values.checks import parse_object
from crossdock.ingress.values.management_bodies import check_budget, check_window_name
from crossdock.ingress.values.management_objects import show_budget
from crossdock.ingress.values.responses import answer_json
from crossdock.ingress.views.accounts import AccountsView
from crossdock_schemas.accounts.attribution import is_mark
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.control import BudgetChange, BudgetRemoval
from crossdock_schemas.accounts.journal import MarkSpend, Spend
from crossdock_schemas.windows import Window


class BudgetRoutes:
    """Budgets, each under the id of what it binds and its window."""

    def __init__(self, dock: Dock) -> None:
        self._dock = dock
        self._limits = Limits(dock, Desk(dock))

    def routes(self) -> list[Route]:
        return [
            Route("/v1/budgets", self.list, methods=["GET"]),
            # why paths: an end user's id, or a tag, may hold a slash
            Route("/v1/budgets/{id:path}", self.retrieve, methods=["GET"]),
            Route("/v1/budgets/{id:path}/{window}", self.set, methods=["PUT"]),
            Route("/v1/budgets/{id:path}/{window}", self.clear, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        who, view = principal_of(request), self._view
        found = [b for b in view.budgets.values() if _is_visible(view, who, b)]
        found.sort(key=lambda budget: budget.version)
        marked = view.mark_spends.get(who.account, {})
        spends: list[Spend | MarkSpend] = [*view.spends.values(), *marked.values()]
        balances = balances_of(found, spends, self._dock.clock.now_ms())
        return answer_json({"data": [show_budget(balance) for balance in balances]})

    async def retrieve(self, request: Request) -> Response:
        scope = find_budgeted(self._view, request)
        balances = self._limits.of_scope(principal_of(request).account, scope)
        return answer_json({"data": [show_budget(balance) for balance in balances]})

    async def set(self, request: Request) -> Response:
        scope, window = self._named(request)
        limit = check_budget(parse_object(await read_body(request, CONTROL_BYTES)), window)
        command = BudgetChange(
            **sign(principal_of(request), self._dock.clock.now_ms()),
            scope=scope,
            window=window,
            limit_usd=limit.limit_usd,
            include_byok=limit.include_byok,
            overshoot_usd=limit.overshoot_usd,
        )
        await self._limits.ask(command)
        return answer_json({"data": show_budget(self._find(request, scope, window))})

    async def clear(self, request: Request) -> Response:
        scope, window = self._named(request)
        budget = self._find(request, scope, window).budget
        command = BudgetRemoval(
            **sign(principal_of(request), self._dock.clock.now_ms()),
            scope=budget.scope,
            window=budget.window,
        )
        await self._limits.ask(command)
        return answer_json({"deleted": True})

    @property
    def _view(self) -> AccountsView:
        return self._dock.accounts

    def _named(self, request: Request) -> tuple[str, Window]:
        scope = find_budgeted(self._view, request)
        return scope, check_window_name(request.path_params["window"])

    def _find(self, request: Request, scope: str, window: Window) -> Balance:
        for balance in self._limits.of_scope(principal_of(request).account, scope):
            if balance.budget.window is window:
                return balance
        raise errors.no_such("Budget", f"{scope}/{window.value}")


def _is_visible(view: AccountsView, who: Principal, budget: Budget) -> bool:
    if is_mark(budget.scope):
        return budget.account == who.account and sees_marks(who)
    return is_visible(view, who, budget.scope)
