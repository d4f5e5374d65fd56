"""Plain API keys: made once, shown once. Only their digest is stored. Pure, except for the random part of a new key.

`sk-cd-v1-<organization>-<12 hex digits: unix ms><36 random hex digits><16 hex digits of a MAC over all before>`:
with the installation's secret a process recognizes an authentic key, its organization and its time before the
directory has it.
"""

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from crossdock_schemas.ids import AccountId

PREFIX = "sk-cd-v1-"
_ORGANIZATION = "org_"
_RANDOM_BYTES = 18
_MAC_DIGITS = 16
_SHOWN_DIGITS = 4
_FORM = re.compile(rf"({PREFIX}([0-9a-z]+)-([0-9a-f]{{12}})[0-9a-f]{{36}})([0-9a-f]{{16}})")


class Authentic(NamedTuple):
    """The facts in the text of an authentic key."""

    account: AccountId
    made_at_ms: int


def make_plain_key(account: AccountId, secret: str, now_ms: int) -> str:
    """Return a new key of `account`, which must be an `org_...`."""
    chance = f"{now_ms:012x}{secrets.token_hex(_RANDOM_BYTES)}"
    head = f"{PREFIX}{account.removeprefix(_ORGANIZATION)}-{chance}"
    return head + _mac(head, secret)


def read_plain_key(plain: str, secret: str) -> Authentic | None:
    """Return the facts in `plain`; None if it was not made with `secret`."""
    match = _FORM.fullmatch(plain)
    if match is None or not hmac.compare_digest(_mac(match[1], secret), match[4]):
        return None
    return Authentic(AccountId(_ORGANIZATION + match[2]), int(match[3], 16))


def _mac(head: str, secret: str) -> str:
    return hmac.new(secret.encode(), head.encode(), "sha256").hexdigest()[:_MAC_DIGITS]


def digest(plain: str) -> str:
    """Return the SHA-256 of a key in hexadecimal. With 144 random bits it needs no salt."""
    return hashlib.sha256(plain.encode()).hexdigest()


def label_of(plain: str) -> str:
    """Return the label of a key: its beginning and its end."""
    return f"{plain[: len(PREFIX) + _SHOWN_DIGITS]}...{plain[-_SHOWN_DIGITS:]}"
