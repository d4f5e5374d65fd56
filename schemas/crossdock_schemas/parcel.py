"""The parcel: 1 to 32 requests of one account and key with one model wish, one routing wish and one lane.

The record's value is the callers' lines as JSONL, in OpenAI's batch input form
(`{"custom_id", "method", "url", "body"}`); a single request is such a line too. Stages in between forward the bytes.
"""

from enum import StrEnum

from pydantic import Field

from crossdock_schemas.ids import (
    AccountId,
    BatchId,
    ExecutionId,
    KeyId,
    ParcelId,
    ProjectId,
    RequestId,
    line_request_id,
)
from crossdock_schemas.message import Message
from crossdock_schemas.prices import Prices

MAX_LINES = 32
MAX_INLINE_BYTES = 262_144  # 256 KiB; a longer value goes by reference, Kafka's own limit is 1 MiB


class Lane(StrEnum):
    REALTIME = "realtime"
    BATCH = "batch"


class BodyRef(Message):
    """Where a value lies that is too large for a topic: bytes [start, start + length) of an object."""

    path: str
    start: int
    length: int


class Candidate(Message):
    """One endpoint of a plan, with the price at which its calls will be booked."""

    provider: str
    model: str
    upstream_model: str
    prices: Prices
    reason: str


class Plan(Message):
    """The candidates in the order in which to try them; never empty."""

    candidates: tuple[Candidate, ...] = Field(min_length=1)
    strategy: str = "balanced"


class Parcel(Message):
    """The envelope: what every stage must know of a parcel without reading its value."""

    parcel_id: ParcelId
    account: AccountId
    project: ProjectId
    key_id: KeyId
    lane: Lane
    operation: str
    """The endpoint's path, such as /v1/chat/completions."""
    model: str
    """The model wish."""
    lines: tuple[int, ...] = Field(min_length=1, max_length=MAX_LINES)
    """0-based numbers of the lines in the batch's input; (0,) for a single request."""
    batch_id: BatchId | None = None
    request_id: RequestId | None = None
    """Of a single request; a line's is derived from batch and line."""
    created_at_ms: int
    deadline_ms: int
    """What has not ended by then ends as expired."""
    start_before_ms: int | None = None
    """No call begins at or after this time; None: the deadline alone counts."""
    due_ms: int | None = None
    """It came through a topic of delayed retries, which held it until then."""
    input_bytes: int
    attempt: int = 1
    """1 at the first candidate; the n-th candidate is attempt n."""
    calls_made: int = 0
    """Calls that each of its lines has had at this candidate already, in the hands of a worker that gave it back."""
    repeats: dict[int, ExecutionId] = Field(default_factory=dict)
    """By line, the call of unknown end that every further call of it repeats."""
    body_ref: BodyRef | None = None
    permitted: tuple[str, ...] | None = None
    """Names of the endpoints that policies leave; None: all that serve the model."""
    plan: Plan | None = None

    def request_id_of(self, line: int) -> RequestId:
        if self.request_id is not None:
            return self.request_id
        if self.batch_id is None:
            raise ValueError(f"parcel {self.parcel_id!r} has neither a request id nor a batch id")
        return line_request_id(self.batch_id, line)

    @property
    def candidate(self) -> Candidate:
        """The endpoint of this attempt."""
        if self.plan is None:
            raise ValueError(f"parcel {self.parcel_id!r} has no plan yet")
        return self.plan.candidates[self.attempt - 1]

    @property
    def has_next_candidate(self) -> bool:
        return self.plan is not None and self.attempt < len(self.plan.candidates)


def join_lines(lines: list[bytes]) -> bytes:
    return b"\n".join(lines)


def split_lines(value: bytes) -> list[bytes]:
    return value.split(b"\n")
