"""The keyring: what is sealed on the topic opens in memory, in its own place, until it is taken away."""

import asyncio

import pytest
from pydantic import SecretStr

from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock.kernel.process.record import Record
from crossdock.provider.credentials.cache import Keyring
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.ids import AccountId, CredentialId
from unit.provider.builders import NOW_MS

ACME, OTHER = AccountId("org_acme"), AccountId("org_other")
BYOK = CredentialId("byok_1")
KEYS = MasterKeys([b"m" * 32])
FIRST, SECOND = SecretStr("sk-own-first"), SecretStr("sk-own-second")


def seal(secret: SecretStr = FIRST, version: int = 1, keys: MasterKeys = KEYS) -> SealedSecret:
    return keys.seal(secret, ACME, BYOK, version)


def told(value: bytes | None, key: bytes = BYOK.encode()) -> Record:
    return Record("accounts.secrets", 0, 0, NOW_MS, key, value, ())


def make_keyring(*sealed: SealedSecret | None, keys: MasterKeys | None = KEYS) -> Keyring:
    keyring = Keyring(keys, wait_s=0.05)
    for one in sealed:
        keyring.apply(told(None if one is None else one.to_json()))
    return keyring


async def test_a_key_that_was_told_opens() -> None:
    assert await make_keyring(seal()).find(ACME, BYOK, 1) == FIRST


async def test_the_newest_secret_is_the_one() -> None:
    """A parcel that was admitted before calls with it, too."""
    keyring = make_keyring(seal())
    before = await keyring.find(ACME, BYOK, 1)

    keyring.apply(told(seal(SECOND, 2).to_json()))

    assert (before, await keyring.find(ACME, BYOK, 1)) == (FIRST, SECOND)


@pytest.mark.parametrize("sealed", [(), (seal(), None)], ids=["never arrived", "deleted"])
async def test_what_is_not_there_is_no_key(sealed: tuple[SealedSecret | None, ...]) -> None:
    assert await make_keyring(*sealed).find(ACME, BYOK, 1) is None


async def test_a_key_that_was_taken_away_is_waited_for_by_nobody() -> None:
    keyring = Keyring(KEYS, wait_s=60)
    keyring.apply(told(seal().to_json()))
    assert await keyring.find(ACME, BYOK, 1) == FIRST
    keyring.apply(told(None))

    async with asyncio.timeout(1):
        assert await keyring.find(ACME, BYOK, 1) is None


async def test_a_key_that_was_waited_for_in_vain_is_not_waited_for_again_until_it_comes() -> None:
    keyring = make_keyring()
    assert await keyring.find(ACME, BYOK, 1) is None

    keyring._wait_s = 60
    async with asyncio.timeout(1):
        assert await keyring.find(ACME, BYOK, 1) is None
    keyring.apply(told(seal().to_json()))

    assert await keyring.find(ACME, BYOK, 1) == FIRST


@pytest.mark.parametrize("there", [(), (seal(),)], ids=["not yet there", "in an older version"])
async def test_a_parcel_may_come_before_its_key(there: tuple[SealedSecret, ...]) -> None:
    keyring = Keyring(KEYS, wait_s=60)
    for one in there:
        keyring.apply(told(one.to_json()))

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        finding = [group.create_task(keyring.find(ACME, BYOK, 2)) for _ in range(3)]
        await asyncio.sleep(0)
        keyring.apply(told(seal(SECOND, 2).to_json()))

    assert [task.result() for task in finding] == [SECOND] * 3


async def test_an_older_secret_serves_where_the_newer_one_does_not_come() -> None:
    assert await make_keyring(seal()).find(ACME, BYOK, 2) == FIRST


async def test_those_who_wait_are_told_when_it_is_taken_away() -> None:
    keyring = Keyring(KEYS, wait_s=60)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        finding = group.create_task(keyring.find(ACME, BYOK, 1))
        await asyncio.sleep(0)
        keyring.apply(told(None))

    assert finding.result() is None


@pytest.mark.parametrize(
    "keys", [None, MasterKeys([b"x" * 32])], ids=["no master key", "another master key"]
)
async def test_what_does_not_open_is_no_key(keys: MasterKeys | None) -> None:
    assert await make_keyring(seal(), keys=keys).find(ACME, BYOK, 1) is None


async def test_a_key_opens_for_its_own_account_only() -> None:
    keyring = make_keyring(seal())

    assert await keyring.find(OTHER, BYOK, 1) is None
    assert await keyring.find(ACME, BYOK, 1) == FIRST


async def test_one_accounts_secret_in_anothers_place_does_not_open() -> None:
    keyring = Keyring(KEYS, wait_s=0.05)
    keyring.apply(told(seal().to_json(), key=b"byok_2"))

    assert await keyring.find(ACME, CredentialId("byok_2"), 1) is None


async def test_what_is_no_secret_is_passed_over() -> None:
    keyring = make_keyring(seal())

    keyring.apply(told(b"{}"))

    assert await keyring.find(ACME, BYOK, 1) == FIRST
