"""Envelope encryption of BYOK keys. Pure, except for random keys and nonces.

Every secret has a data key of its own, which a master key wraps; both by AES-256-GCM. The associated data names the
account, the credential and the version of the secret: a text that was encrypted for one place decrypts in no other.
"""

import hashlib
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from crossdock.kernel.process.errors import SecretError, SettingsError
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.ids import AccountId, CredentialId

KEY_BITS = 256
NONCE_BYTES = 12  # of AES-GCM; a data key is used once, a master key far less often than chance would repeat one
_ID_DIGITS = 8
_FORM = re.compile(r"[0-9a-f]{64}")


class MasterKeys:
    """The installation's master keys: the first one encrypts, all of them decrypt."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("no master key")
        self._keys = {key_id(key): key for key in keys}
        self.first_id = key_id(keys[0])

    @classmethod
    def parse(cls, text: SecretStr) -> "MasterKeys":
        """Read keys of 64 hexadecimal digits, separated by commas or ends of lines.

        Raises:
            SettingsError: if a key has another form. The message does not contain it.
        """
        keys = text.get_secret_value().replace(",", " ").split()
        for number, word in enumerate(keys, start=1):
            if not _FORM.fullmatch(word):
                raise SettingsError(
                    f"CROSSDOCK_MASTER_KEY: key {number} is not 64 hexadecimal digits in lower case"
                )
        if not keys:
            raise SettingsError("CROSSDOCK_MASTER_KEY: no key found: set 64 hexadecimal digits")
        return cls([bytes.fromhex(word) for word in keys])

    def seal(
        self, secret: SecretStr, account: AccountId, credential_id: CredentialId, version: int
    ) -> SealedSecret:
        """Return `secret` encrypted under a new data key for this place alone."""
        data_key, nonce = AESGCM.generate_key(KEY_BITS), os.urandom(NONCE_BYTES)
        place = _place(account, credential_id, version)
        plain = secret.get_secret_value().encode()
        return SealedSecret(
            account=account,
            credential_id=credential_id,
            version=version,
            **self._wrapped(data_key, place),
            nonce=_text(nonce),
            ciphertext=_text(AESGCM(data_key).encrypt(nonce, plain, place)),
        )

    def open(
        self, sealed: SealedSecret, account: AccountId, credential_id: CredentialId
    ) -> SecretStr:
        """Return the secret of `credential_id` of `account`, both as the caller expects them.

        Raises:
            SecretError: if no master key decrypts it, or it was encrypted for another place.
        """
        place = _place(account, credential_id, sealed.version)
        data_key = self._unwrapped(sealed, place, credential_id)
        plain = _decrypted(data_key, sealed.nonce, sealed.ciphertext, place, credential_id)
        return SecretStr(plain.decode())

    def rewrap(self, sealed: SealedSecret) -> SealedSecret:
        """Return the same secret with its data key under the first master key; the ciphertext stays as it is.

        Raises:
            SecretError: if no master key decrypts it.
        """
        place = _place(sealed.account, sealed.credential_id, sealed.version)
        data_key = self._unwrapped(sealed, place, sealed.credential_id)
        return sealed.model_copy(update=self._wrapped(data_key, place))

    def _wrapped(self, data_key: bytes, place: bytes) -> dict[str, str]:
        nonce = os.urandom(NONCE_BYTES)
        wrapped = AESGCM(self._keys[self.first_id]).encrypt(nonce, data_key, place)
        return {
            "master_key_id": self.first_id,
            "wrap_nonce": _text(nonce),
            "wrapped_key": _text(wrapped),
        }

    def _unwrapped(self, sealed: SealedSecret, place: bytes, credential_id: str) -> bytes:
        master = self._keys.get(sealed.master_key_id)
        if master is None:
            why = f"this process has no master key {sealed.master_key_id!r}"
            raise SecretError(credential_id, why)
        return _decrypted(master, sealed.wrap_nonce, sealed.wrapped_key, place, credential_id)


def key_id(key: bytes) -> str:
    """Return the name of a master key: the beginning of its SHA-256."""
    return hashlib.sha256(key).hexdigest()[:_ID_DIGITS]


def label_of(secret: SecretStr) -> str:
    """Return the label of a secret: its end; for a short secret only dots."""
    plain = secret.get_secret_value()
    return f"...{plain[-4:]}" if len(plain) >= 20 else "..."  # noqa: PLR2004  # 16 characters stay unknown


def _place(account: str, credential_id: str, version: int) -> bytes:
    return f"crossdock/byok/1|{account}|{credential_id}|{version}".encode()


def _decrypted(key: bytes, nonce: str, sealed: str, place: bytes, credential_id: str) -> bytes:
    try:
        return AESGCM(key).decrypt(b64decode(nonce), b64decode(sealed), place)
    except (InvalidTag, ValueError):
        raise SecretError(
            credential_id, "it was encrypted for another credential, or changed"
        ) from None


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
