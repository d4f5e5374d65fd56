"""BYOK keys in a worker: sealed as in their topic, decrypted in memory when a call needs one."""

import asyncio
from contextlib import suppress

import structlog
from pydantic import SecretStr, ValidationError

from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock.kernel.drivers.kafka.tail import pass_over
from crossdock.kernel.process.errors import SecretError
from crossdock.kernel.process.record import Record
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.ids import AccountId, CredentialId

log: structlog.stdlib.BoundLogger = structlog.get_logger()

WAIT_S = 1.0  # a parcel may arrive before its key, which was written in the same transaction or an earlier one
MAX_MISSING = 10_000


class Keyring:
    """Invariant: no decrypted key is written anywhere, and a deleted key is dropped at once."""

    def __init__(self, keys: MasterKeys | None, *, wait_s: float = WAIT_S) -> None:
        self._keys = keys
        self._wait_s = wait_s
        self._sealed: dict[CredentialId, SealedSecret] = {}
        self._opened: dict[tuple[AccountId, CredentialId], SecretStr | None] = {}
        self._missing: set[CredentialId] = set()
        """Keys that were deleted or did not arrive in time."""
        self._arrivals: dict[CredentialId, asyncio.Event] = {}

    def apply(self, record: Record) -> None:
        """Apply a record of the topic."""
        identifier = CredentialId((record.key or b"").decode(errors="replace"))
        try:
            sealed = None if record.value is None else SealedSecret.from_json(record.value)
        except ValidationError as error:
            pass_over(record, error)
            return
        old = self._sealed.pop(identifier, None)
        if old is not None:
            self._opened.pop((old.account, identifier), None)
        if sealed is None:
            self._miss(identifier)
        else:
            self._sealed[identifier] = sealed
            self._missing.discard(identifier)
        if identifier in self._arrivals:
            self._arrivals.pop(identifier).set()

    async def find(
        self, account: AccountId, credential_id: CredentialId, version: int
    ) -> SecretStr | None:
        """Return the newest version of a key; None if it is missing or cannot be decrypted.

        Waits a moment for a key that is missing or older than `version`.
        """
        sealed = self._sealed.get(credential_id)
        if sealed is None and credential_id in self._missing:
            return None
        if sealed is None or sealed.version < version:
            sealed = await self._arrived(credential_id, version)
        if sealed is None:
            self._miss(credential_id)
            return None
        return self._open(account, sealed, credential_id)

    async def _arrived(self, credential_id: CredentialId, version: int) -> SealedSecret | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wait_s):
                while credential_id not in self._missing:
                    sealed = self._sealed.get(credential_id)
                    if sealed is not None and sealed.version >= version:
                        return sealed
                    await self._arrivals.setdefault(credential_id, asyncio.Event()).wait()
        return self._sealed.get(credential_id)

    def _open(
        self, account: AccountId, sealed: SealedSecret, credential_id: CredentialId
    ) -> SecretStr | None:
        """Decrypt a key once; a failure is logged once too."""
        place = (account, credential_id)
        if place not in self._opened:
            try:
                if self._keys is None:
                    raise SecretError(credential_id, "this process has no master key")  # noqa: TRY301
                self._opened[place] = self._keys.open(sealed, account, credential_id)
            except SecretError as error:
                log.warning("byok.unavailable", credential_id=credential_id, reason=str(error))
                self._opened[place] = None
        return self._opened[place]

    def _miss(self, credential_id: CredentialId) -> None:
        if len(self._missing) >= MAX_MISSING:
            self._missing.clear()
        self._missing.add(credential_id)
