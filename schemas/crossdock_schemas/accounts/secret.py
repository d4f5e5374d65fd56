"""A secret under lock: what lies on a topic of a provider key that is a tenant's own."""

from typing import Annotated

from pydantic import Field, StringConstraints

from crossdock_schemas.ids import AccountId, CredentialId
from crossdock_schemas.message import Message

Base64 = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$", min_length=4, max_length=16_384)
]


class SealedSecret(Message):
    """A secret encrypted under a key of its own, and that key encrypted under a master key: AES-256-GCM, both.

    What it says of itself (account, credential, version) is part of what is authenticated: in another's place it does
    not open. Key on the topic: the credential's id.
    """

    account: AccountId
    credential_id: CredentialId
    version: int = Field(ge=1)
    """Of the credential's secret: 1, 2, ..."""
    master_key_id: str = Field(pattern=r"^[0-9a-f]{8}$")
    """The beginning of the master key's SHA-256."""
    wrap_nonce: Base64
    wrapped_key: Base64
    """The data key under the master key."""
    nonce: Base64
    ciphertext: Base64
    """The secret under the data key."""
