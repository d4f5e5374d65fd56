"""Alerts: money is nearly used up, or used up, or expires.

Told once for each window of a budget, for each level of credits, and before and at each time at which credits expire.
"""

from decimal import Decimal
from enum import StrEnum

from crossdock_schemas.ids import AccountId, AlertId
from crossdock_schemas.message import Message
from crossdock_schemas.windows import Window

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
    CREDITS_EXPIRING = "credits_expiring"
    """Credits that are not spent will expire within some days."""
    CREDITS_EXPIRED = "credits_expired"
    """Credits that were not spent have expired; what calls were held for of them is theirs still."""


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
    """When the budget's window ends, or the credits expire; None: never."""
    amount_usd: Decimal | None = None
    """Of credits that expire: how much."""
