"""Budgets: how much an organization, a project, a key, an end user or a tag may spend in a window. Pure."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from crossdock_schemas.ids import AccountId
from crossdock_schemas.message import Message
from crossdock_schemas.windows import Window

Usd = Annotated[Decimal, Field(ge=0, max_digits=20, decimal_places=6)]
"""USD, to the millionth."""


class Limit(Message):
    """An amount in a window."""

    window: Window = Window.TOTAL
    limit_usd: Usd
    include_byok: bool = False
    """Whether calls with BYOK keys count, too."""
    overshoot_usd: Usd = Decimal(0)
    """USD by which it may be exceeded at most. Above 0 it is fluid: the expected cost of calls is held against the
    limit, and their worst case against limit and overshoot together."""


class Budget(Message):
    """A limit of one organization, project, key, end user or tag.

    Key in the directory: `budget_`, the window, `_`, the scope's id; of an end user or a tag then `@` and the account.
    """

    account: AccountId
    scope: str
    """Id of the organization, project or key that it binds, or an end user's or a tag's scope."""
    window: Window
    limit_usd: Usd
    include_byok: bool = False
    """Whether calls with BYOK keys count, too."""
    overshoot_usd: Usd = Decimal(0)
    """USD by which a fluid budget may be exceeded at most; 0: it is strict."""
    version: int
    """Number of the change that set it, in its account's log."""
    updated_at_ms: int

    @property
    def is_fluid(self) -> bool:
        return self.overshoot_usd > 0
