"""/v1/budgets: how much an organization, a project, a key, an end user or a tag may spend in a window."""

from decimal import Decimal
from types import MappingProxyType

from starlette.requests import Request

from crossdock.ingress.commands.account_commands import AccountCommands, sign
from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.http.scopes import find_budgeted, is_visible, sees_marks
from crossdock.ingress.management import budget_models as models
from crossdock.ingress.management.key_limits import KeyLimits
from crossdock.ingress.values import errors, types
from crossdock.ingress.values.balances import Balance, balances_of
from crossdock.ingress.values.models import Deleted
from crossdock.ingress.values.operations import MEMBERS, operation
from crossdock.ingress.values.specimens import VALUES
from crossdock.ingress.values.validation import read_value
from crossdock.ingress.views.accounts import AccountsView
from crossdock_schemas.accounts.attribution import is_mark
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.control import BudgetChange, BudgetRemoval
from crossdock_schemas.accounts.journal import MarkSpend, Spend
from crossdock_schemas.windows import Window

# why paths: an end user's id, or a tag, may hold a slash
_PATH = "/v1/budgets/{id:path}/{window}"


class BudgetRoutes:
    """Budgets, each under its scope and its window."""

    tag = "budgets"
    ids = MappingProxyType({"id": types.BudgetScopeId, "window": Window})

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._limits = KeyLimits(context, AccountCommands(context))

    @operation("GET", "/v1/budgets", "list_budgets", "List the budgets that the key may see")
    async def list(self, request: Request) -> models.BudgetsAnswer:
        who, view = principal_of(request), self._view
        found = [b for b in view.budgets.values() if _is_visible(view, who, b)]
        found.sort(key=lambda budget: budget.version)
        marked = view.mark_spends.get(who.account, {})
        spends: list[Spend | MarkSpend] = [*view.spends.values(), *marked.values()]
        balances = balances_of(found, spends, self._context.clock.now_ms(), view.root_of)
        return models.BudgetsAnswer(data=tuple(map(models.show_budget, balances)))

    @operation("GET", "/v1/budgets/{id:path}", "get_budgets", "Show a scope's budgets")
    async def retrieve(self, request: Request) -> models.BudgetsAnswer:
        scope = find_budgeted(self._view, request)
        balances = self._limits.of_scope(principal_of(request).account, scope)
        return models.BudgetsAnswer(data=tuple(map(models.show_budget, balances)))

    @operation(
        "PUT", _PATH, "set_budget", "Set a scope's budget in a window",
        text="A member may set those of its own project's inference keys.", roles=MEMBERS,
        example={"limit_usd": "12.50"},
    )  # fmt: skip
    async def set(self, request: Request, body: models.BudgetSet) -> models.BudgetAnswer:
        scope, window = self._named(request)
        signed = sign(principal_of(request), self._context.clock.now_ms())
        await self._limits.apply(
            BudgetChange(**signed, scope=scope, **dict(body.in_window(window)))
        )
        return models.BudgetAnswer(data=models.show_budget(self._find(request, scope, window)))

    @operation(
        "PATCH", _PATH, "change_budget", "Change fields of a scope's budget",
        text="A member may change those of its own project's inference keys.", roles=MEMBERS,
        example={"limit_usd": "25"},
    )  # fmt: skip
    async def change(self, request: Request, body: models.BudgetUpdate) -> models.BudgetAnswer:
        scope, window = self._named(request)
        who = principal_of(request)
        sent = body.given()
        is_known = any(b.window is window for b in self._view.budgets_of(who.account, scope))
        if not is_known and "limit_usd" not in sent:
            raise errors.missing("limit_usd")
        command = BudgetChange(
            **sign(who, self._context.clock.now_ms()),
            **{"limit_usd": Decimal(0)} | sent,
            scope=scope,
            window=window,
            kept=tuple(name for name in models.BudgetUpdate.model_fields if name not in sent),
        )
        await self._limits.apply(command)
        return models.BudgetAnswer(data=models.show_budget(self._find(request, scope, window)))

    @operation(
        "DELETE", _PATH, "clear_budget", "Remove a scope's budget",
        text="A member may remove those of its own project's inference keys.", roles=MEMBERS,
        errors=VALUES,
    )  # fmt: skip
    async def clear(self, request: Request) -> Deleted:
        scope, window = self._named(request)
        budget = self._find(request, scope, window).budget
        signed = sign(principal_of(request), self._context.clock.now_ms())
        await self._limits.apply(BudgetRemoval(**signed, scope=budget.scope, window=budget.window))
        return Deleted()

    @property
    def _view(self) -> AccountsView:
        return self._context.accounts

    def _named(self, request: Request) -> tuple[str, Window]:
        scope = find_budgeted(self._view, request)
        window: Window = read_value(Window, request.path_params["window"], "window")
        return scope, window

    def _find(self, request: Request, scope: str, window: Window) -> Balance:
        for balance in self._limits.of_scope(principal_of(request).account, scope):
            if balance.budget.window is window:
                return balance
        raise errors.no_such("Budget", f"{scope}/{window.value}")


def _is_visible(view: AccountsView, who: Principal, budget: Budget) -> bool:
    if is_mark(budget.scope):
        return budget.account == who.account and sees_marks(who)
    return is_visible(view, who, budget.scope)
