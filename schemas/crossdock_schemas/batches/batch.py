"""Batches: commands, and the entries of their directory."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter

from crossdock_schemas.ids import AccountId, BatchId, ExecutionId, FileId, KeyId, ProjectId
from crossdock_schemas.message import Message
from crossdock_schemas.pricing.estimate import Estimate
from crossdock_schemas.tokens import Tokens


class BatchStatus(StrEnum):
    """OpenAI's states of a batch."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset(
    {BatchStatus.FAILED, BatchStatus.COMPLETED, BatchStatus.EXPIRED, BatchStatus.CANCELLED}
)


class Submitted(Message):
    """A batch was submitted. Validation checks that its input exists, as OpenAI does."""

    kind: Literal["submitted"] = "submitted"
    batch_id: BatchId
    account: AccountId
    project: ProjectId
    key_id: KeyId
    operation: str
    input_file_id: FileId
    input_path: str | None = None
    """Path of the input; None if the file does not exist, which fails the batch."""
    input_bytes: int = 0
    preparation_path: str | None = None
    """Path of the `Preparation` of its lines; None: they are not prepared."""
    completion_window: str
    window_s: int
    metadata: dict[str, str] | None = None
    output_expires_after_s: int | None = None
    created_at_ms: int


class CancelAsked(Message):
    """A batch shall be cancelled."""

    kind: Literal["cancel_asked"] = "cancel_asked"
    batch_id: BatchId
    at_ms: int


class WaitReason(Message):
    """Why lines wait, for people and programs."""

    code: Literal["budget_exceeded", "insufficient_credits", "rate_limit_exceeded"]
    message: str
    scope: str
    """Id of the organization, project or key whose budget it is, or whose credits; or an end user's or a tag's
    scope."""
    since_ms: int
    until_ms: int | None = None
    """End of the budget's window, or time of the next request; None: unknown."""


class LinesReturned(Message):
    """No money is available for these lines: they wait in their batch for `Granted`."""

    kind: Literal["lines_returned"] = "lines_returned"
    batch_id: BatchId
    model: str
    position: int
    """Position of the first line among the batch's lines of this model; the others follow."""
    count: int = Field(ge=1)
    repeats: dict[int, ExecutionId] = Field(default_factory=dict)
    """By line number (0-based), the call of unknown end that its next call repeats."""
    reason: WaitReason


class Granted(Message):
    """Money is available again for waiting lines of this model."""

    kind: Literal["granted"] = "granted"
    batch_id: BatchId
    model: str
    lines: int | None = Field(default=None, ge=1)
    """Number of lines; None: all waiting lines."""


BatchCommand = Annotated[
    Submitted | CancelAsked | LinesReturned | Granted, Field(discriminator="kind")
]
batch_command: TypeAdapter[BatchCommand] = TypeAdapter(BatchCommand)


class LineError(Message):
    """A fault of an input line (1-based), or of the whole input (None)."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class ModelProgress(Message):
    """A model's share of a batch."""

    model: str
    total: int
    fed: int = 0
    done: int = 0
    returned: tuple[tuple[int, int], ...] = ()
    """Returned lines, as place and count; they wait to be fed again."""
    may_feed: int | None = None
    """Lines that may be fed while money is short; None: no limit besides the window."""
    wait_reason: WaitReason | None = None
    again: int = 0
    """Number of returns."""
    repeats: dict[int, ExecutionId] = Field(default_factory=dict)
    """By line number (0-based) of returned lines, the call of unknown end that their next call repeats."""

    @property
    def waiting(self) -> int:
        """Lines that wait for money: returned lines, and the lines behind them."""
        if self.wait_reason is None:
            return 0
        return sum(count for _, count in self.returned) + self.total - self.fed


class Batch(Message):
    """Entry of the directory, from which GET /v1/batches/{id} is made. Key on the topic: batch_id."""

    batch_id: BatchId
    account: AccountId
    project: ProjectId
    key_id: KeyId
    status: BatchStatus
    operation: str
    input_file_id: FileId
    input_path: str | None = None
    input_bytes: int = 0
    preparation_path: str | None = None
    prepared_path: str | None = None
    """Path of the prepared lines from the first changed one on; None: preparation changed none."""
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after_s: int | None = None
    created_at_ms: int
    expires_at_ms: int
    in_progress_at_ms: int | None = None
    finalizing_at_ms: int | None = None
    completed_at_ms: int | None = None
    failed_at_ms: int | None = None
    expired_at_ms: int | None = None
    cancelling_at_ms: int | None = None
    cancelled_at_ms: int | None = None
    estimate: Estimate | None = None
    """Estimated cost; known after validation."""
    total: int = 0
    completed: int = 0
    failed: int = 0
    tokens: Tokens = Tokens()
    cost_usd: Decimal = Decimal(0)
    models: tuple[ModelProgress, ...] = ()
    errors: tuple[LineError, ...] = ()
    output_bytes: int = 0
    error_bytes: int = 0
    output_parts: int = 0
    error_parts: int = 0

    @classmethod
    def begun(cls, asked: Submitted) -> Self:
        """Return the entry of a batch that was just submitted."""
        shared = cls.model_fields.keys() & Submitted.model_fields.keys()
        return cls(
            **{name: getattr(asked, name) for name in shared},
            status=BatchStatus.VALIDATING,
            expires_at_ms=asked.created_at_ms + asked.window_s * 1000,
        )

    @property
    def done(self) -> int:
        return self.completed + self.failed

    @property
    def wait_reason(self) -> WaitReason | None:
        """Why some of its lines wait; None if none wait."""
        return next((m.wait_reason for m in self.models if m.wait_reason is not None), None)


class Part(Message):
    """A piece of a batch's output or error file, in the object store."""

    path: str
    bytes: int
    lines: int


class PartsPage(Message):
    """Parts [page * PARTS_PER_PAGE, ...) of one kind. Key on the topic: batch_id/kind/page."""

    batch_id: BatchId
    kind: Literal["output", "error"]
    page: int
    parts: tuple[Part, ...]


PARTS_PER_PAGE = 128
