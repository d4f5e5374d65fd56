"""Cancels: the batches, requests and keys that must not be called any more. Every provider worker reads all."""

from crossdock_schemas.ids import BatchId, CredentialId, KeyId, RequestId
from crossdock_schemas.message import Message


class Cancelled(Message):
    """The end of a batch, a single request, an API key or a BYOK key: calls that are not claimed are never made."""

    id: BatchId | RequestId | KeyId | CredentialId
    at_ms: int
    is_lifted: bool = False
    """It may be called again: a disabled key was enabled."""
