"""/v1/budgets: how much an organization, a project or a key may spend in a window."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress import refusals
from crossdock.ingress.account_shapes import show_budget
from crossdock.ingress.accounts import AccountsView
from crossdock.ingress.answers import answer_json
from crossdock.ingress.balances import Balance, balances_of
from crossdock.ingress.bodies import CONTROL_BYTES, read_body
from crossdock.ingress.checks import parse_object
from crossdock.ingress.desk import Desk, sign
from crossdock.ingress.dock import Dock
from crossdock.ingress.limits import Limits
from crossdock.ingress.principal import principal_of
from crossdock.ingress.scopes import find_scope, is_visible
from crossdock.ingress.wishes import check_budget, check_window_name
from crossdock_schemas.budget import Window
from crossdock_schemas.control import BudgetChange, BudgetRemoval


class BudgetRoutes:
    """Budgets, each under the id of what it binds and its window."""

    def __init__(self, dock: Dock) -> None:
        self._dock = dock
        self._limits = Limits(dock, Desk(dock))

    def routes(self) -> list[Route]:
        return [
            Route("/v1/budgets", self.list, methods=["GET"]),
            Route("/v1/budgets/{id}", self.retrieve, methods=["GET"]),
            Route("/v1/budgets/{id}/{window}", self.set, methods=["PUT"]),
            Route("/v1/budgets/{id}/{window}", self.clear, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        who, view = principal_of(request), self._view
        found = [b for b in view.budgets.values() if is_visible(view, who, b.scope)]
        found.sort(key=lambda budget: budget.version)
        balances = balances_of(found, view.spends.values(), self._dock.clock.now_ms())
        return answer_json({"data": [show_budget(balance) for balance in balances]})

    async def retrieve(self, request: Request) -> Response:
        balances = self._limits.of_scope(find_scope(self._view, request))
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
        return answer_json({"data": show_budget(self._find(scope, window))})

    async def clear(self, request: Request) -> Response:
        scope, window = self._named(request)
        budget = self._find(scope, window).budget
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
        scope = find_scope(self._view, request)
        return scope, check_window_name(request.path_params["window"])

    def _find(self, scope: str, window: Window) -> Balance:
        for balance in self._limits.of_scope(scope):
            if balance.budget.window is window:
                return balance
        raise refusals.no_such("Budget", f"{scope}/{window.value}")
