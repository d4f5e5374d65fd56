"""Lines that wait in their batch for headroom. Pure."""

import hashlib
from decimal import Decimal

from crossdock_schemas.ids import AccountId, BatchId, KeyId
from crossdock_schemas.message import Message


class WaitingLines(Message):
    """Lines of one model of a batch."""

    account: AccountId
    batch_id: BatchId
    model: str
    key_id: KeyId
    worst_usd: Decimal
    """The worst case of the first one."""
    marks: tuple[str, ...] = ()
    """Scopes of the first one's end user and tags, which bind it if they have a budget."""
    lines: int
    tokens: int = 0
    """Tokens that the first one reserves."""

    @property
    def name(self) -> str:
        """Its name among the account's pages: a model's own name may contain any character."""
        digest = hashlib.blake2b(self.model.encode(), digest_size=8).hexdigest()
        return f"waiting_{self.batch_id}_{digest}"
