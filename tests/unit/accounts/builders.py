"""Commands and entities with sensible defaults."""

import hashlib
from decimal import Decimal
from typing import Any

from crossdock_schemas.accounts.account import ApiKey, Organization, Project, Role
from crossdock_schemas.accounts.control import Founded, KeyAsked
from crossdock_schemas.ids import AccountId, ChangeId, KeyId, ProjectId
from crossdock_schemas.money import Units, to_units

NOW_MS = 1_800_000_000_000
ACME = AccountId("org_acme")
PROJECT = ProjectId("proj_default")
OWNER = KeyId("key_owner")


def make_key(key_id: str, **fields: Any) -> ApiKey:
    values: dict[str, Any] = {
        "key_id": KeyId(key_id),
        "hash": hashlib.sha256(key_id.encode()).hexdigest(),
        "label": f"sk-cd-v1-...{key_id[-4:]}",
        "account": ACME,
        "project": PROJECT,
        "name": key_id,
        "created_at_ms": NOW_MS,
        "updated_at_ms": NOW_MS,
    }
    return ApiKey(**values | fields)


def make_founded(account: AccountId = ACME, **fields: Any) -> Founded:
    stamps = {"created_at_ms": NOW_MS, "updated_at_ms": NOW_MS}
    values: dict[str, Any] = {
        "change_id": ChangeId(f"change_{account}"),
        "account": account,
        "at_ms": NOW_MS,
        "organization": Organization(account=account, name="Acme", **stamps),
        "project": Project(account=account, project=PROJECT, name="production", **stamps),
        "keys": (make_key(OWNER, account=account, role=Role.OWNER),),
    }
    return Founded(**values | fields)


def ask_key(key: ApiKey, actor: str = OWNER) -> KeyAsked:
    return KeyAsked(change_id=ChangeId(f"change_{key.key_id}"), account=ACME, actor=KeyId(actor), at_ms=NOW_MS, key=key)  # fmt: skip


def common(actor: str = OWNER) -> dict[str, Any]:
    """Return the fields that every command has."""
    return {
        "change_id": ChangeId("change_1"),
        "account": ACME,
        "actor": KeyId(actor),
        "at_ms": NOW_MS,
    }


def units(usd: object) -> Units:
    """Return an amount of USD in units."""
    return to_units(Decimal(str(usd)))
