"""Cancels: what shall not be called any more. Every provider worker reads all of them."""

from crossdock_schemas.ids import BatchId, CredentialId, KeyId, RequestId
from crossdock_schemas.message import Message


class Cancelled(Message):
    """A batch, a single request, or all of a key, also of an own provider key: what is not claimed is never called."""

    id: BatchId | RequestId | KeyId | CredentialId
    at_ms: int
    is_lifted: bool = False
    """It may be called again: a key that was disabled is not any more."""
