"""Usage: one row for each call to a provider, with its tokens and costs."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from crossdock_schemas.ids import (
    AccountId,
    BatchId,
    CredentialId,
    ExecutionId,
    HoldId,
    KeyId,
    ParcelId,
    ProjectId,
    RequestId,
)
from crossdock_schemas.message import Message
from crossdock_schemas.parcel.parcel import MAX_LINES, Lane, Parcel
from crossdock_schemas.pricing.prices import Cost
from crossdock_schemas.tokens import Tokens

HOLD_PATTERN = r"^hold_[0-9a-f]{32}$"


class CallOutcome(StrEnum):
    """The outcome of a call, as the worker knows it."""

    OK = "ok"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    NOT_CONNECTED = "not_connected"
    TRUNCATED = "truncated"
    GARBAGE = "garbage"
    UNKNOWN = "unknown"
    """The worker died or is presumed dead: the provider may have received the call, and may charge for it."""

    @property
    def may_cost(self) -> bool:
        """Whether a provider may charge for such a call, which had no sound answer."""
        return self in _MAY_COST


_MAY_COST = frozenset(
    {
        CallOutcome.TIMEOUT,
        CallOutcome.CONNECTION_LOST,
        CallOutcome.TRUNCATED,
        CallOutcome.GARBAGE,
        CallOutcome.UNKNOWN,
    }
)


class Charge(Message):
    """The part of a usage row that accounts needs. Read from the same records, at a fifth of the CPU."""

    execution_id: ExecutionId
    account: AccountId
    project: ProjectId
    key_id: KeyId
    provider: str
    outcome: CallOutcome
    cost: Cost = Cost()
    tokens: Tokens = Tokens()
    claim: str = ""
    """The life of the worker that made the call, also in a row that another worker estimates."""
    hold_id: HoldId | None = Field(default=None, pattern=HOLD_PATTERN)
    """The hold that covers it."""
    is_byok: bool = False
    """It was made with a BYOK key, whose owner pays for it."""
    user: str = ""
    """The end user of the request; empty: it names none."""
    tags: dict[str, str] = Field(default_factory=dict)
    """The tags of request, key and project, at the time of admission."""
    disputed_usd: Decimal | None = None
    """Cost of the tokens that the provider reported beyond the worst case of the call. It is not booked."""


class HoldEnd(Message):
    """Lines that make no more calls under their hold. May be published more than once."""

    hold_id: HoldId = Field(pattern=HOLD_PATTERN)
    account: AccountId
    key_id: KeyId
    slots: tuple[Annotated[int, Field(ge=0, lt=MAX_LINES)], ...]
    """The lines' places under the hold."""
    is_unknown: bool = False
    """The outcome of their last call is unknown: its hold is kept for a while."""


class Usage(Charge):
    """One call, identified by `execution_id`: a repeated record is the same call, a repeated call is another one."""

    request_id: RequestId
    parcel_id: ParcelId
    batch_id: BatchId | None = None
    line: int
    custom_id: str
    lane: Lane
    operation: str
    model: str
    upstream_model: str
    attempt: int
    """1-based position in the plan."""
    call: int
    """1-based number of the call within the attempt."""
    route_reason: str
    status_code: int | None = None
    error_code: str | None = None
    is_estimated: bool = False
    """`tokens` is an estimate, as the provider gave no usage."""
    price_version: str
    provider_cost_usd: Decimal | None = None
    """The cost that the provider reports, if it does."""
    created_at_ms: int
    started_at_ms: int
    finished_at_ms: int
    provider_request_id: str | None = None
    duplicate_suspected: bool = False
    """The outcome is unknown and the call may have been repeated: a reconciliation looks here first."""
    repeat_of: ExecutionId | None = None
    """The call that this one repeats: its outcome is unknown, or it had no complete answer."""
    credential_id: CredentialId | None = None
    """The BYOK key of the call."""
    reported: Tokens | None = None
    """The tokens as the provider reported them, if they are more than `tokens`, which are booked."""


def hold_end(parcel: Parcel, lines: Sequence[int], *, is_unknown: bool = False) -> HoldEnd:
    """Return the end of the hold of `parcel` for some of its lines."""
    if parcel.hold is None:
        raise ValueError(f"parcel {parcel.parcel_id!r} has no hold")
    return HoldEnd(
        hold_id=parcel.hold.hold_id,
        account=parcel.account,
        key_id=parcel.key_id,
        slots=tuple(parcel.slot_of(line) for line in lines),
        is_unknown=is_unknown,
    )


class UsageGroup(Message):
    """Calls of one account, published together."""

    executions: tuple[Usage, ...]
    ended: tuple[HoldEnd, ...] = ()
    """Ends of holds after these calls."""

    @staticmethod
    def encoded(executions: Iterable[bytes], ended: Iterable[bytes]) -> bytes:
        """Return the JSON of a group of encoded calls and ends."""
        return b'{"executions":[%b],"ended":[%b]}' % (b",".join(executions), b",".join(ended))


class ChargeGroup(Message):
    """The part of a `UsageGroup` that accounts needs."""

    executions: tuple[Charge, ...]
    ended: tuple[HoldEnd, ...] = ()
