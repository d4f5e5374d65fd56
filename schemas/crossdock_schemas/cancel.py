"""Cancels: what shall not be called any more. Every provider worker reads all of them."""

from crossdock_schemas.ids import BatchId, RequestId
from crossdock_schemas.message import Message


class Cancelled(Message):
    """A batch, or a single request: what of it has not been claimed is never called."""

    id: BatchId | RequestId
    at_ms: int
