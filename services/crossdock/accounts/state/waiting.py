"""Lines that wait in their batch until there is money for them. Pure."""

import hashlib
from decimal import Decimal

from crossdock_schemas.ids import AccountId, BatchId, KeyId
from crossdock_schemas.message import Message


class Waiting(Message):
    """Lines of one model of a batch."""

    account: AccountId
    batch_id: BatchId
    model: str
    key_id: KeyId
    worst_usd: Decimal
    """What the first of them can cost at most."""
    marks: tuple[str, ...] = ()
    """Scopes of end user and tags that it would count for, if they have a budget."""
    lines: int
    tokens: int = 0
    """What the first of them reserves of its key's tokens a minute."""

    @property
    def name(self) -> str:
        """Its name among the account's pages: a model's own may hold any character."""
        digest = hashlib.blake2b(self.model.encode(), digest_size=8).hexdigest()
        return f"waiting_{self.batch_id}_{digest}"
