"""Results: the one visible end of each request, in groups.

The record's value is JSONL in OpenAI's batch output form
(`{"id", "custom_id", "response", "error"}`), one line for each `Result` of the header, in the same order.
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from crossdock_schemas.ids import AccountId, BatchId, KeyId, ProjectId, RequestId
from crossdock_schemas.message import Message
from crossdock_schemas.parcel.parcel import BodyRef, Lane
from crossdock_schemas.tokens import Tokens


class Outcome(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Result(Message):
    """The end of a request, and the sum of what its calls used."""

    request_id: RequestId
    line: int
    """0-based; 0 for a single request."""
    custom_id: str
    outcome: Outcome
    status_code: int | None = None
    """The HTTP status that the caller sees; None if nothing was executed."""
    error_code: str | None = None
    model: str
    provider: str | None = None
    attempts: int = 0
    calls: int = 0
    """Calls made to providers for it, by the attempt that ended it."""
    tokens: Tokens = Tokens()
    cost_usd: Decimal = Decimal(0)
    created_at_ms: int
    finished_at_ms: int
    body_ref: BodyRef | None = None
    """The place of its output line, if too large for the topic; the value then holds an empty line for it."""


class ResultGroup(Message):
    """Results of one batch, or one single result."""

    account: AccountId
    project: ProjectId
    key_id: KeyId
    lane: Lane
    operation: str
    batch_id: BatchId | None = None
    results: tuple[Result, ...]


class KeyOwned(Protocol):
    """A thing that was made with an API key."""

    @property
    def account(self) -> AccountId: ...
    @property
    def project(self) -> ProjectId: ...
    @property
    def key_id(self) -> KeyId: ...


class ResultOwner(KeyOwned, Protocol):
    """A parcel or a batch."""

    @property
    def operation(self) -> str: ...
    @property
    def batch_id(self) -> BatchId | None: ...


def result_group(owner: ResultOwner, lane: Lane, results: Iterable[Result]) -> ResultGroup:
    """Return the results of `owner` as one message."""
    return ResultGroup.model_construct(
        account=owner.account,
        project=owner.project,
        key_id=owner.key_id,
        lane=lane,
        operation=owner.operation,
        batch_id=owner.batch_id,
        results=tuple(results),
    )
