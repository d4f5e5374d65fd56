"""One paid (or failed) call to a provider: the row that every token and cent hangs on."""

from decimal import Decimal
from enum import StrEnum

from crossdock_schemas.ids import (
    AccountId,
    BatchId,
    ExecutionId,
    HoldId,
    KeyId,
    ParcelId,
    ProjectId,
    RequestId,
)
from crossdock_schemas.message import Message
from crossdock_schemas.parcel import Lane
from crossdock_schemas.prices import Cost
from crossdock_schemas.tokens import Tokens


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


class Charge(Message):
    """What the books need of an execution. Read from the same records, at a fifth of the CPU."""

    execution_id: ExecutionId
    account: AccountId
    project: ProjectId
    key_id: KeyId
    provider: str
    outcome: CallOutcome
    cost: Cost = Cost()
    claim: str = ""
    """The life of the worker that made the call, also where another one supposes its end."""
    hold_id: HoldId | None = None
    """The hold that covers it."""


class HoldEnd(Message):
    """Lines under a hold that will make no more calls under it. May be told more than once."""

    hold_id: HoldId
    account: AccountId
    key_id: KeyId
    slots: tuple[int, ...]
    """The lines' places under the hold."""


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
    tokens: Tokens = Tokens()
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
    """The call of unknown end that this one repeats."""


class UsageGroup(Message):
    """Executions of one account, published together."""

    executions: tuple[Usage, ...]
    ended: tuple[HoldEnd, ...] = ()
    """What ended after these executions."""


class ChargeGroup(Message):
    """A `UsageGroup`, as far as the books need it."""

    executions: tuple[Charge, ...]
    ended: tuple[HoldEnd, ...] = ()
