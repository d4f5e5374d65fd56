"""Alerts: money is nearly used up, or used up. Told once for each window of a budget, and for each level of credits."""

from decimal import Decimal
from enum import StrEnum

from crossdock_schemas.budget import Window
from crossdock_schemas.ids import AccountId, AlertId
from crossdock_schemas.message import Message

NEARLY = Decimal("0.8")


class AlertKind(StrEnum):
    BUDGET_NEARLY_USED = "budget_nearly_used"
    """80 % of a budget are spent."""
    BUDGET_USED = "budget_used"
    """A budget is spent, or has no room for what somebody wants."""
    CREDITS_LOW = "credits_low"
    """Credits fell below what the operator calls low."""
    CREDITS_USED = "credits_used"
    """Credits are spent, or do not suffice for what somebody wants."""


class Alert(Message):
    """What happened. The same happening has the same id."""

    alert_id: AlertId
    account: AccountId
    kind: AlertKind
    scope: str
    """Id of the organization, project or key whose budget it is, or an end user's or a tag's scope; of credits: the
    organization."""
    window: Window | None = None
    """Of a budget."""
    limit_usd: Decimal
    """Of the budget; of credits: all that there were since they are needed."""
    spent_usd: Decimal
    """In the window; since credits are needed."""
    at_ms: int
    until_ms: int | None = None
    """When the budget's window ends; None: never."""
