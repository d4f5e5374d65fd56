"""/v1/batches: writes commands, and reads the directory's view."""

from types import MappingProxyType

from starlette.requests import Request

from crossdock.ingress.commands.records import make_command_record
from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.openai import batch_models as models
from crossdock.ingress.openai.file_models import ListPage, make_page
from crossdock.ingress.openai.files import find_file
from crossdock.ingress.values import errors
from crossdock.ingress.values.operations import Access, Header, operation
from crossdock.ingress.values.paging import choose_page
from crossdock.ingress.values.specimens import (
    ENDED,
    KAFKA,
    KEY_REUSED,
    NO_BATCH,
)
from crossdock.ingress.values.types import BatchId as ShownBatchId
from crossdock.ingress.views.read_your_writes import DAY_MS, is_recent
from crossdock_schemas.batches.batch import Batch, BatchStatus, CancelAsked
from crossdock_schemas.ids import BatchId, derive_batch_id, make_batch_id

OTHERS_WRITE_S = 0.5
CANCEL_S = 0.5
CANCELLABLE = (BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS)
MIDNIGHT_MS = (
    3_600_000  # a repeated Idempotency-Key is known again this long after the day it was made on
)


class BatchRoutes:
    """Batches. Creation takes the same time for every input, because the shard validates it later."""

    tag = "batches"
    ids = MappingProxyType({"id": ShownBatchId})

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    @operation(
        "POST", "/v1/batches", "create_batch", "Create a batch",
        text="The answer comes before the input is read: a batch of an unknown file fails in validation.",
        access=Access.INFERENCE,
        headers=(Header("idempotency-key", "The same key on the same UTC day names the same batch."),),
        example={ "input_file_id": "file-" + "0" * 32, "endpoint": "/v1/chat/completions", "completion_window": "24h"},
        errors=(KEY_REUSED, KAFKA),
    )  # fmt: skip
    async def create(self, request: Request, body: models.BatchCreate) -> models.BatchObject:
        now_ms = self._context.clock.now_ms()
        key = request.headers.get("idempotency-key")
        principal = principal_of(request)
        known = self._repeated(principal, key, now_ms) if key else None
        if known is not None:
            return models.show_batch(_same(known, body))
        batch_id = _derived(principal, key, now_ms) if key else make_batch_id(now_ms)
        file = await find_file(self._context, principal, body.input_file_id)
        path = await self._keep_preparation(principal, batch_id)
        asked = models.make_submitted(
            principal, batch_id, body, file, now_ms, preparation_path=path
        )
        await self._context.outbox.publish(make_command_record(asked, now_ms))
        self._context.batches.add_submitted(Batch.begun(asked))
        return models.show_batch(self._context.batches.find(batch_id) or Batch.begun(asked))

    async def _keep_preparation(self, principal: Principal, batch_id: BatchId) -> str | None:
        """Store presets and content filters as they are now: a later change does not alter the batch."""
        preparation = self._context.accounts.preparation_of(
            principal.account, principal.project, principal.key_id
        )
        if preparation is None:
            return None
        path = f"batches/{batch_id}/preparation"
        await self._context.objects.create(path, preparation.to_json())
        return path

    def _repeated(self, principal: Principal, key: str, now_ms: int) -> Batch | None:
        today = self._context.batches.find(_derived(principal, key, now_ms))
        if today is not None or now_ms % DAY_MS >= MIDNIGHT_MS:
            return today
        return self._context.batches.find(_derived(principal, key, now_ms - DAY_MS))

    @operation(
        "GET", "/v1/batches", "list_batches", "List batches, the newest first",
        access=Access.INFERENCE,
    )  # fmt: skip
    async def list(
        self, request: Request, query: models.BatchQuery
    ) -> ListPage[models.BatchObject]:
        who, batches = principal_of(request), self._context.batches.all()
        page, has_more = choose_page(
            ((batch.batch_id, batch) for batch in batches if _is_of(who, batch)),
            after=query.after,
            limit=query.limit,
            newest_first=True,
        )
        return make_page([models.show_batch(batch) for batch in page], has_more=has_more)

    @operation(
        "GET", "/v1/batches/{id}", "get_batch", "Show a batch", access=Access.INFERENCE,
        errors=(NO_BATCH,),
    )  # fmt: skip
    async def retrieve(self, request: Request) -> models.BatchObject:
        return models.show_batch(await self._find(request))

    @operation(
        "POST", "/v1/batches/{id}/cancel", "cancel_batch", "Cancel a batch",
        access=Access.INFERENCE, errors=(NO_BATCH, ENDED, KAFKA),
    )  # fmt: skip
    async def cancel(self, request: Request) -> models.BatchObject:
        batch = await self._find(request)
        if batch.status is BatchStatus.CANCELLING:
            return models.show_batch(batch)
        if batch.status not in CANCELLABLE:
            raise errors.not_cancellable(batch.status.value)
        now_ms = self._context.clock.now_ms()
        asked = CancelAsked(batch_id=batch.batch_id, at_ms=now_ms)
        await self._context.outbox.publish(make_command_record(asked, now_ms))
        shown = await self._context.batches.arrivals.until(
            batch.batch_id, lambda: self._moved_on(batch.batch_id), timeout_s=CANCEL_S
        )
        return models.show_batch(shown or _as_cancelling(batch, now_ms))

    def _moved_on(self, batch_id: BatchId) -> Batch | None:
        batch = self._context.batches.find(batch_id)
        return None if batch is None or batch.status in CANCELLABLE else batch

    async def _find(self, request: Request) -> Batch:
        """Return the batch in the path. Another project's takes the same time as one that does not exist."""
        batch_id, who = request.path_params["id"], principal_of(request)
        view = self._context.batches

        def find() -> Batch | None:
            batch = view.find(batch_id)
            return batch if batch is not None and _is_of(who, batch) else None

        wait_s = OTHERS_WRITE_S if is_recent(batch_id, self._context.clock.now_ms()) else 0.0
        found = await view.arrivals.until(batch_id, find, timeout_s=wait_s)
        if found is None:
            raise errors.no_batch(batch_id)
        return found


def _is_of(principal: Principal, batch: Batch) -> bool:
    return principal.owns(batch.account, batch.project)


def _derived(principal: Principal, key: str, now_ms: int) -> BatchId:
    """Return the id of the batch that an Idempotency-Key names; each project has its own."""
    return derive_batch_id(f"{principal.account}/{principal.project}", key, now_ms)


def _same(known: Batch, wanted: models.BatchCreate) -> Batch:
    """Return `known` if it is the batch that is wanted; the same key for another batch is a mistake."""
    asked = (wanted.endpoint, wanted.input_file_id, wanted.completion_window, wanted.metadata)
    made = (known.operation, known.input_file_id, known.completion_window, known.metadata)
    if asked != made:
        raise errors.key_reused()
    return known


def _as_cancelling(batch: Batch, now_ms: int) -> Batch:
    return batch.model_copy(update={"status": BatchStatus.CANCELLING, "cancelling_at_ms": now_ms})
