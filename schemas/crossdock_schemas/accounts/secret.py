"""The encrypted secret of a BYOK key, as it is on its topic."""

from typing import Annotated

from pydantic import Field, StringConstraints

from crossdock_schemas.ids import AccountId, CredentialId
from crossdock_schemas.message import Message

Base64 = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$", min_length=4, max_length=16_384)
]


class SealedSecret(Message):
    """A secret encrypted under a key of its own, and that key encrypted under a master key: AES-256-GCM, both.

    Account, credential and version are authenticated with it: it cannot be decrypted for another credential. Key on the
    topic: the credential's id.
    """

    account: AccountId
    credential_id: CredentialId
    version: int = Field(ge=1)
    """Version of the credential's secret: 1, 2, ..."""
    master_key_id: str = Field(pattern=r"^[0-9a-f]{8}$")
    """Beginning of the master key's SHA-256."""
    wrap_nonce: Base64
    wrapped_key: Base64
    """The data key under the master key."""
    nonce: Base64
    ciphertext: Base64
    """The secret under the data key."""
