"""Alerts: money is nearly used, is used, is refused, is disputed, or expires.

An alert of use follows spending. It is sent once for each window of a budget, each level of credits, and before and at
each expiry of credits. A hold makes none, because most of it comes back, and a refusal is an alert of its own kind. A
refusal and a disputed report are alerts once a day for each budget, the credits and each provider.
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
    """A budget is spent."""
    BUDGET_REFUSED = "budget_refused"
    """A budget did not cover the worst case of a request."""
    CREDITS_LOW = "credits_low"
    """Credits fell below the operator's limit for low credits."""
    CREDITS_USED = "credits_used"
    """Credits are spent."""
    CREDITS_REFUSED = "credits_refused"
    """Credits did not cover the worst case of a request."""
    CREDITS_EXPIRING = "credits_expiring"
    """Credits that are not spent will expire within some days."""
    CREDITS_EXPIRED = "credits_expired"
    """Unspent credits expired; amounts held for calls stay available to them."""
    USAGE_DISPUTED = "usage_disputed"
    """A provider reported more tokens than a call may have used; the rest is not booked."""


class Alert(Message):
    """One event. The same event always has the same id."""

    alert_id: AlertId
    account: AccountId
    kind: AlertKind
    scope: str
    """Id of the organization, project or key whose budget it is, or an end user's or a tag's scope; of credits: the
    organization."""
    window: Window | None = None
    """Window of a budget."""
    limit_usd: Decimal
    """Limit of the budget; for credits: all since they became required; for a disputed report: the cost booked."""
    spent_usd: Decimal
    """USD spent in the window; for credits: since they became required; for a disputed report: the cost reported."""
    held_usd: Decimal | None = None
    """USD held for calls that run or may begin; of a refusal."""
    provider: str | None = None
    """The provider whose report is disputed."""
    at_ms: int
    until_ms: int | None = None
    """End of the budget's window, or expiry of the credits; None: never."""
    amount_usd: Decimal | None = None
    """Amount of credits that expire; of a refusal, the worst case of the request; of a disputed report, the part
    that is not booked."""
