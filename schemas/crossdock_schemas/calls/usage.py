"""One paid (or failed) call to a provider: the row that every token and cent hangs on."""

from collections.abc import Sequence
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
    """What became of a call, as far as the worker can tell."""

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
    """Its worker died, or was taken for dead: the provider may have received it, and may charge for it."""

    @property
    def may_cost(self) -> bool:
        """Whether a provider may charge for such a call although it brought no sound answer."""
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
    """What the books need of an execution. Read from the same records, at a fifth of the CPU."""

    execution_id: ExecutionId
    account: AccountId
    project: ProjectId
    key_id: KeyId
    provider: str
    outcome: CallOutcome
    cost: Cost = Cost()
    tokens: Tokens = Tokens()
    claim: str = ""
    """The life of the worker that made the call, also where another one supposes its end."""
    hold_id: HoldId | None = Field(default=None, pattern=HOLD_PATTERN)
    """The hold that covers it."""
    is_byok: bool = False
    """It was made with an own provider key: what it cost is owed by that key's owner."""
    user: str = ""
    """The end user that it was made for; empty: the request named none."""
    tags: dict[str, str] = Field(default_factory=dict)
    """The request's, its key's and its project's, as they were when it was admitted."""


class HoldEnd(Message):
    """Lines under a hold that will make no more calls under it. May be told more than once."""

    hold_id: HoldId = Field(pattern=HOLD_PATTERN)
    account: AccountId
    key_id: KeyId
    slots: tuple[Annotated[int, Field(ge=0, lt=MAX_LINES)], ...]
    """The lines' places under the hold."""
    is_unknown: bool = False
    """The end of their last call is unknown: what it may have cost stays held for a while."""


class Usage(Charge):
    """One execution. Identified by `execution_id`: a repeated record is the same call, a repeated call is not."""

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
    """The provider gave no usage: `tokens` is our estimate."""
    price_version: str
    provider_cost_usd: Decimal | None = None
    """What the provider itself says that the call cost, where it says so."""
    created_at_ms: int
    started_at_ms: int
    finished_at_ms: int
    provider_request_id: str | None = None
    duplicate_suspected: bool = False
    """Nobody knows how it ended, and the request may have been called again: a reconciliation looks here first."""
    repeat_of: ExecutionId | None = None
    """The call of unknown end, or without a whole answer, that this one repeats."""
    credential_id: CredentialId | None = None
    """The own provider key that it was made with."""


def hold_end(parcel: Parcel, lines: Sequence[int], *, is_unknown: bool = False) -> HoldEnd:
    """Return what ends the hold of `parcel`, which has one, for some of its lines."""
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
    """Executions of one account, published together."""

    executions: tuple[Usage, ...]
    ended: tuple[HoldEnd, ...] = ()
    """What ended after these executions."""


class ChargeGroup(Message):
    """A `UsageGroup`, as far as the books need it."""

    executions: tuple[Charge, ...]
    ended: tuple[HoldEnd, ...] = ()
