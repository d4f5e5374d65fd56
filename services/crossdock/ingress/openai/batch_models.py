"""Bodies and answers of the batch routes: OpenAI's Batch object, with ours under `crossdock`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, WithJsonSchema

from crossdock.ingress.http.auth import Principal
from crossdock.ingress.openai.file_models import CURSOR, Expiry
from crossdock.ingress.values import types
from crossdock.ingress.values.models import AnswerModel, QueryModel, RequestModel, fault
from crossdock_schemas import ids
from crossdock_schemas.batches.batch import Batch, BatchStatus, Submitted
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.pricing.catalogue import Operation

MAX_PAGE = 100
_UNIT_S = {"m": 60, "h": 3600, "d": 86_400}
_MINUTES = "[1-9][0-9]{0,3}|100[0-7][0-9]|10080"
_HOURS = "[1-9][0-9]?|1[0-5][0-9]|16[0-8]"
WINDOW = re.compile(f"^(?:(?:{_MINUTES})m|(?:{_HOURS})h|[1-7]d)$")
"""From 1m to 7d. OpenAI has 24h alone."""


def _check_window(text: str) -> str:
    if WINDOW.fullmatch(text) is None:
        raise fault("Supported values are '24h', or <n>m, <n>h, <n>d from 1m to 7d.")
    return text


Window = Annotated[
    str,
    AfterValidator(_check_window),
    WithJsonSchema({"type": "string", "pattern": WINDOW.pattern, "examples": ["24h", "90m"]}),
]


class BatchCreate(RequestModel):
    input_file_id: types.FileId
    endpoint: Operation
    completion_window: Window
    """`24h`, or a number of minutes, hours or days from 1m to 7d."""
    metadata: types.Tags | None = None
    output_expires_after: Expiry | None = None

    @property
    def window_s(self) -> int:
        return int(self.completion_window[:-1]) * _UNIT_S[self.completion_window[-1]]


class BatchQuery(QueryModel):
    after: Annotated[types.BatchId, CURSOR] | None = None
    limit: types.QueryNumber = Field(20, ge=1, le=MAX_PAGE)


class BatchError(AnswerModel):
    code: str
    line: int | None = Field(ge=0)
    """From 1; null: the file as a whole."""
    message: str
    param: str | None


class BatchErrors(AnswerModel):
    object: Literal["list"] = "list"
    data: tuple[BatchError, ...]


class BatchCounts(AnswerModel):
    total: types.Count
    completed: types.Count
    failed: types.Count


class CachedTokens(AnswerModel):
    cached_tokens: types.Count = Field(validation_alias="cached")


class ReasoningTokens(AnswerModel):
    reasoning_tokens: types.Count = Field(validation_alias="reasoning")


class BatchUsage(AnswerModel):
    input_tokens: types.Count = Field(validation_alias="input")
    input_tokens_details: CachedTokens
    output_tokens: types.Count = Field(validation_alias="output")
    output_tokens_details: ReasoningTokens
    total_tokens: types.Count = Field(validation_alias="total")


class CostEstimate(AnswerModel):
    low_usd: types.ExactUsd
    likely_usd: types.ExactUsd
    worst_usd: types.ExactUsd
    """The amount that would be held if all lines ran at once."""
    is_from_history: bool
    """Answers are taken to be as long as earlier ones."""


class WaitingObject(AnswerModel):
    code: Literal["budget_exceeded", "insufficient_credits", "rate_limit_exceeded"]
    message: str
    scope: types.BudgetScopeId
    """The scope of the budget, the credits or the limit a minute."""
    lines: types.Count
    since: types.Time = Field(validation_alias="since_ms")
    until: types.Time | None = Field(validation_alias="until_ms")
    """When the budget's window ends, or the next request may begin; null: never."""


class BatchModelProgress(AnswerModel):
    model: str
    total: types.Count
    fed: types.Count
    done: types.Count


CostSoFar = Annotated[types.ExactUsd, PlainSerializer(lambda cost: f"{cost:f}", return_type=str)]


class BatchProgress(AnswerModel):
    cost_usd: CostSoFar
    estimate: CostEstimate | None
    """The cost of all lines; null: not known yet."""
    output_bytes: types.Count
    error_bytes: types.Count
    models: tuple[BatchModelProgress, ...]
    waiting: WaitingObject | None
    """Why lines wait; null: none waits."""


class BatchObject(AnswerModel):
    id: types.BatchId = Field(validation_alias="batch_id")
    object: Literal["batch"] = "batch"
    endpoint: Operation = Field(validation_alias="operation")
    model: str | None
    """Null: there are several."""
    errors: BatchErrors | None
    input_file_id: types.FileId
    completion_window: str
    status: BatchStatus
    output_file_id: types.FileId | None
    error_file_id: types.FileId | None
    created_at: types.Seconds = Field(validation_alias="created_at_ms")
    in_progress_at: types.Seconds | None = Field(validation_alias="in_progress_at_ms")
    expires_at: types.Seconds = Field(validation_alias="expires_at_ms")
    finalizing_at: types.Seconds | None = Field(validation_alias="finalizing_at_ms")
    completed_at: types.Seconds | None = Field(validation_alias="completed_at_ms")
    failed_at: types.Seconds | None = Field(validation_alias="failed_at_ms")
    expired_at: types.Seconds | None = Field(validation_alias="expired_at_ms")
    cancelling_at: types.Seconds | None = Field(validation_alias="cancelling_at_ms")
    cancelled_at: types.Seconds | None = Field(validation_alias="cancelled_at_ms")
    request_counts: BatchCounts
    usage: BatchUsage
    metadata: types.Tags | None
    crossdock: BatchProgress


def show_batch(batch: Batch) -> BatchObject:
    """Return the Batch object. A file is named once it holds something."""
    tokens = batch.tokens
    return BatchObject.of(
        batch,
        model=batch.models[0].model if len(batch.models) == 1 else None,
        errors=BatchErrors(data=batch.errors) if batch.errors else None,
        output_file_id=ids.output_file_id(batch.batch_id) if batch.completed else None,
        error_file_id=ids.error_file_id(batch.batch_id) if batch.failed else None,
        request_counts=batch,
        usage=BatchUsage.of(tokens, input_tokens_details=tokens, output_tokens_details=tokens),
        crossdock=BatchProgress.of(batch, waiting=_waiting(batch)),
    )


def _waiting(batch: Batch) -> WaitingObject | None:
    reason = batch.wait_reason
    if reason is None:
        return None
    return WaitingObject.of(reason, lines=sum(model.waiting for model in batch.models))


def make_submitted(
    principal: Principal,
    batch_id: ids.BatchId,
    wanted: BatchCreate,
    file: StoredFile | None,
    now_ms: int,
    *,
    preparation_path: str | None = None,
) -> Submitted:
    """Return the command for a new batch. Without a file of purpose `batch` it fails in validation, as OpenAI's do."""
    if file is not None and file.purpose != "batch":
        file = None
    expiry = wanted.output_expires_after
    return Submitted(
        batch_id=batch_id,
        account=principal.account,
        project=principal.project,
        key_id=principal.key_id,
        operation=wanted.endpoint,
        input_file_id=ids.FileId(wanted.input_file_id),
        input_path=None if file is None else file.path,
        input_bytes=0 if file is None else file.bytes,
        preparation_path=preparation_path,
        completion_window=wanted.completion_window,
        window_s=wanted.window_s,
        metadata=wanted.metadata,
        output_expires_after_s=None if expiry is None else expiry.seconds,
        created_at_ms=now_ms,
    )
