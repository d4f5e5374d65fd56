"""Ids: made once, at the source; they sort by time, and are deterministic where a replay could make them twice."""

import hashlib
import re
import secrets
from typing import NewType

AccountId = NewType("AccountId", str)
ProjectId = NewType("ProjectId", str)
KeyId = NewType("KeyId", str)
FileId = NewType("FileId", str)
UploadId = NewType("UploadId", str)
BatchId = NewType("BatchId", str)
ParcelId = NewType("ParcelId", str)
RequestId = NewType("RequestId", str)
ExecutionId = NewType("ExecutionId", str)
ChangeId = NewType("ChangeId", str)
HoldId = NewType("HoldId", str)
CredentialId = NewType("CredentialId", str)
CreditId = NewType("CreditId", str)
AlertId = NewType("AlertId", str)

OPERATOR = AccountId("org_local")
"""The first organization of an installation, its operator's."""

_TIME_DIGITS = 12  # 48 bits of unix milliseconds, in hexadecimal
_TOKEN = re.compile(r"[0-9A-Fa-f]{32}")
MAX_ID = 256
"""Characters of any id that is sent; those of Crossdock have some 40."""


def make_token(now_ms: int) -> str:
    """Return 32 hexadecimal digits: 48 bits of `now_ms`, then 80 random bits (sorts by time, as UUIDv7)."""
    return f"{now_ms:012x}{secrets.token_hex(10)}"


def derive_token(parent: str, *parts: object) -> str:
    """Return the token that `parts` always have under `parent` (an id): the parent's time, then a hash."""
    token = parent.rpartition("_")[2].rpartition("-")[2]
    digest = hashlib.blake2b(f"{parent}|{'|'.join(map(str, parts))}".encode(), digest_size=10)
    return token[:_TIME_DIGITS] + digest.hexdigest()


def time_of(identifier: str) -> int | None:
    """Return the unix milliseconds inside an id of Crossdock, or None if it is not one."""
    token = identifier.rpartition("_")[2].rpartition("-")[2]
    return int(token[:_TIME_DIGITS], 16) if _TOKEN.fullmatch(token) else None


def make_account_id(now_ms: int) -> AccountId:
    return AccountId(f"org_{make_token(now_ms)}")


def make_project_id(now_ms: int) -> ProjectId:
    return ProjectId(f"proj_{make_token(now_ms)}")


def make_key_id(now_ms: int) -> KeyId:
    return KeyId(f"key_{make_token(now_ms)}")


def make_credential_id(now_ms: int) -> CredentialId:
    return CredentialId(f"byok_{make_token(now_ms)}")


def make_change_id(now_ms: int) -> ChangeId:
    return ChangeId(f"change_{make_token(now_ms)}")


def make_file_id(now_ms: int) -> FileId:
    return FileId(f"file-{make_token(now_ms)}")


def make_upload_id(now_ms: int) -> UploadId:
    return UploadId(f"upload_{make_token(now_ms)}")


def make_batch_id(now_ms: int) -> BatchId:
    return BatchId(f"batch_{make_token(now_ms)}")


def make_request_id(now_ms: int) -> RequestId:
    return RequestId(f"req_{make_token(now_ms)}")


def derive_batch_id(account: str, idempotency_key: str, now_ms: int) -> BatchId:
    """The same `Idempotency-Key` names the same batch within one account and one UTC day."""
    day_ms = now_ms - now_ms % 86_400_000
    digest = hashlib.blake2b(f"{account}|{idempotency_key}".encode(), digest_size=10)
    return BatchId(f"batch_{day_ms:012x}{digest.hexdigest()}")


def line_request_id(batch: BatchId, line: int) -> RequestId:
    """Return the request id of line `line` (0-based) of `batch`."""
    return RequestId(f"batch_req_{derive_token(batch, line)}")


def feed_parcel_id(batch: BatchId, first_line: int, again: int = 0) -> ParcelId:
    """Return the id of the parcel that `batch` feeds and that begins with `first_line` (0-based).

    `again`: how often lines of its model had come back before.
    """
    parts = (first_line, again) if again else (first_line,)
    return ParcelId(f"parcel_{derive_token(batch, 'parcel', *parts)}")


def fallback_parcel_id(parcel: ParcelId, attempt: int, first_line: int) -> ParcelId:
    """Return the id of the parcel of lines that leave `parcel` for its attempt number `attempt`."""
    return ParcelId(f"parcel_{derive_token(parcel, attempt, first_line)}")


def repeat_parcel_id(
    parcel: ParcelId, calls_made: int, first_line: int, *, is_lost: bool
) -> ParcelId:
    """Return the id of the parcel of lines that leave `parcel` for another admission, after `calls_made` calls.

    The worker that finds calls of unknown end (`is_lost`) may group other lines than the worker that made the calls. So
    the ids differ, because of two parcels with one id only the first is admitted.
    """
    why = "repeat" if is_lost else "broken_off"
    return ParcelId(f"parcel_{derive_token(parcel, why, calls_made, first_line)}")


def part_parcel_id(parcel: ParcelId, first_line: int) -> ParcelId:
    """Return the id of the parcel of lines that part from the first ones of `parcel` when it is admitted."""
    return ParcelId(f"parcel_{derive_token(parcel, 'part', first_line)}")


def hold_id(parcel: ParcelId) -> HoldId:
    """Return the id of the hold under which `parcel` is admitted."""
    return HoldId(f"hold_{parcel.rpartition('_')[2]}")


def derive_credit_id(account: AccountId, reference: str) -> CreditId:
    """Return the id of the credit that `reference` names: the same one always."""
    digest = hashlib.blake2b(f"{account}|{reference}".encode(), digest_size=16)
    return CreditId(f"credit_{digest.hexdigest()}")


def derive_lapse_id(account: AccountId, expires_at_ms: int, number: int) -> CreditId:
    """Return the id of a write-off of expired credits; no reference has the same one."""
    digest = hashlib.blake2b(
        f"{account}|{expires_at_ms}|{number}".encode(), digest_size=16, person=b"lapse"
    )
    return CreditId(f"credit_{digest.hexdigest()}")


def derive_alert_id(*parts: object) -> AlertId:
    """Return the id of the alert that `parts` name: the same one always."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=16)
    return AlertId(f"alert_{digest.hexdigest()}")


def execution_id(
    request: RequestId, attempt: int, call: int, claim: str, hold: HoldId | None
) -> ExecutionId:
    """Return the id of one paid call: the `call`-th try (1-based) of attempt `attempt` under `claim` and `hold`.

    `claim` differs for each life of a worker: a call repeated after a crash is another execution and usage row.
    `hold` differs for each admission: a line that is admitted again may count its calls from 1.
    """
    parts = (attempt, call, claim, hold) if hold else (attempt, call, claim)
    return ExecutionId(f"exec_{derive_token(request, *parts)}")


def output_file_id(batch: BatchId) -> FileId:
    return FileId(f"file-{derive_token(batch, 'output')}")


def error_file_id(batch: BatchId) -> FileId:
    return FileId(f"file-{derive_token(batch, 'error')}")
