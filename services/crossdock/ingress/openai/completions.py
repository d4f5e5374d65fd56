"""POST /v1/chat/completions and /v1/embeddings: publishes one request and waits for its result."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import structlog
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from crossdock.ingress.commands.records import make_cancel_record, make_request_record
from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.http.body import read_body
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.openai.request_models import (
    ChatCompletion,
    ChatCompletionCreate,
    EmbeddingCreate,
    Embeddings,
)
from crossdock.ingress.values import errors
from crossdock.ingress.values.batch_lines import SingleAnswer, make_line, read_answer
from crossdock.ingress.values.checks import Json, check_request
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.operations import JSON, Access, operation
from crossdock.ingress.values.responses import answer_raw
from crossdock.ingress.values.specimens import (
    BUSY,
    DEMANDS,
    KAFKA,
    LATE,
    NO_CREDITS,
    NO_ENDPOINT,
    NO_MODEL,
    PAIRS,
    SENT,
    UNPAID,
)
from crossdock.ingress.values.sse import make_events
from crossdock.ingress.values.validation import parse_object
from crossdock.kernel.process import metrics
from crossdock.kernel.process.errors import UndecodableError
from crossdock.kernel.process.record import Record
from crossdock.kernel.requests.preparation import PreparationFault, Prepared, prepare
from crossdock.kernel.runtime.fair_threads import FairThreads, OwnerBusyError
from crossdock_schemas.accounts.content_filter import GuardRules
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.ids import RequestId, make_request_id
from crossdock_schemas.operations import CHAT, EMBEDDINGS, SPECS
from crossdock_schemas.parcel.parcel import MAX_INLINE_BYTES, BodyRef
from crossdock_schemas.parcel.result import ResultGroup

log: structlog.stdlib.BoundLogger = structlog.get_logger()

TAG = "requests"
STREAM = "text/event-stream"
_STREAM = {"description": "Chunks of a chat completion, `data: [DONE]` last."}
_ERRORS = (*SENT, *PAIRS, UNPAID, NO_CREDITS, NO_MODEL, DEMANDS, NO_ENDPOINT, BUSY, KAFKA, LATE)
_TEXT = "The connection stays open until the answer is there. A caller that hangs up before a call began pays nothing."
_THEIRS = "The provider's own error."
CLIENT_GONE = 499
TOO_MANY = 429
PRESET = "x-crossdock-preset"
GUARD = "x-crossdock-guard"
LARGE_BYTES = 2048  # takes content filters 0.2 ms, and 10 ms if it is made for it


class AnswerOptions(NamedTuple):
    """The part of a request that its answer needs."""

    body: Json
    """Its fields for streaming."""
    told: dict[str, str]
    """Headers with its preset and the findings of content filters."""


class RequestRoutes:
    """Single requests. The caller waits; if it hangs up before a call has begun, its request is cancelled."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._threads = FairThreads()

    @operation(
        "POST", CHAT.path, "create_chat_completion", "Run one chat completion",
        tag=TAG,
        text=_TEXT,
        access=Access.INFERENCE,
        body=ChatCompletionCreate,
        example={"model": "atlas-large", "messages": [{"role": "user", "content": "Hello"}]},
        answers={200: {JSON: ChatCompletion, STREAM: _STREAM}},
        errors=_ERRORS,
        passes_on=_THEIRS,
    )  # fmt: skip
    async def complete(self, request: Request) -> Response:
        return await self._run(request, CHAT.path)

    @operation(
        "POST", EMBEDDINGS.path, "create_embedding", "Run one embedding",
        tag=TAG,
        text=_TEXT,
        access=Access.INFERENCE,
        body=EmbeddingCreate,
        example={"model": "atlas-embed", "input": "Hello"},
        answers={200: {JSON: Embeddings}},
        errors=_ERRORS,
        passes_on=_THEIRS,
    )  # fmt: skip
    async def embed(self, request: Request) -> Response:
        return await self._run(request, EMBEDDINGS.path)

    async def _run(self, request: Request, operation: str) -> Response:
        request_id = make_request_id(self._context.clock.now_ms())
        request.scope["crossdock.request_id"] = request_id
        gate, account = self._context.gate, principal_of(request).account
        with gate.wait(account), self._context.ring.waiter(request_id) as result:
            try:
                asked = await self._publish(request, request_id, operation)
                answer = await self._read(await self._result(request, result))
            except ClientDisconnect:
                await self._cancel(request_id)
                return Response(status_code=CLIENT_GONE)
        response = _show(answer, asked.body) if operation == CHAT.path else _show_plain(answer)
        response.headers.update(asked.told)
        return response

    async def _cancel(self, request_id: RequestId) -> None:
        """Cancel a request without a caller: a request that is not claimed yet costs nothing."""
        with suppress(RefusedError):
            now_ms = self._context.clock.now_ms()
            await self._context.outbox.publish(make_cancel_record(request_id, now_ms))

    async def _publish(
        self, request: Request, request_id: RequestId, operation: str
    ) -> AnswerOptions:
        """Publish the request and return what its answer needs of it."""
        settings, who = self._context.settings, principal_of(request)
        with self._context.gate.hold(who.account) as held:
            raw = await read_body(request, settings.max_body_bytes, held)
            prepared = await self._prepare(raw, request_id, operation, who)
            body = prepared.body
            wish = check_request(body, operation, self._context.catalogue)
            line = make_line(request_id, operation, raw, body, is_changed=prepared.is_changed)
            now_ms = self._context.clock.now_ms()
            message = make_request_record(
                who,
                request_id,
                operation,
                wish,
                line,
                SPECS[operation].ask(body, len(line)),
                await self._store_large(request_id, line),
                now_ms=now_ms,
                deadline_ms=now_ms + int(settings.request_timeout_s * 1000),
            )
            withdrawal = make_cancel_record(request_id, now_ms)
            await self._context.outbox.publish(message, withdrawal=withdrawal)
        names = ("stream", "stream_options")
        kept: Json = {name: body[name] for name in names if name in body}
        return AnswerOptions(kept, _told(prepared))

    async def _prepare(
        self, raw: bytes, request_id: RequestId, operation: str, who: Principal
    ) -> Prepared:
        """Fill in presets and apply content filters; slow work runs outside of the event loop."""
        body = parse_object(raw)
        preparation = self._context.accounts.preparation_of(who.account, who.project, who.key_id)
        if preparation is not None and _may_take_long(raw, preparation.guard):
            work = partial(prepare, body, operation, preparation)
            try:
                prepared = await self._threads.run(who.account, work)
            except OwnerBusyError:
                raise errors.too_busy() from None
        else:
            prepared = prepare(body, operation, preparation)
        is_blocked = isinstance(prepared, PreparationFault)
        if prepared.findings:
            metrics.count_findings(prepared.findings)
            found = {"findings": dict(prepared.findings), "blocked": is_blocked}
            log.info("request.guarded", request_id=request_id, key_id=who.key_id, **found)
        if isinstance(prepared, PreparationFault):
            raise errors.unprepared(prepared, _guarded(prepared.findings))
        return prepared

    async def _store_large(self, request_id: RequestId, line: bytes) -> BodyRef | None:
        if len(line) <= MAX_INLINE_BYTES:
            return None
        path = f"bodies/{request_id}"
        await self._context.objects.put(path, line)
        return BodyRef(path=path, start=0, length=len(line))

    async def _result(self, request: Request, result: asyncio.Future[Record]) -> Record:
        """Wait for the result, the deadline or the caller's end, whichever comes first."""
        timeout_s = self._context.settings.request_timeout_s
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(_cancel_when_gone(request, result))
            done, _ = await asyncio.wait((result,), timeout=timeout_s)
            watcher.cancel()
        if not done:
            raise errors.timed_out(timeout_s)
        if result.cancelled():
            raise ClientDisconnect
        return result.result()

    async def _read(self, record: Record) -> SingleAnswer:
        group = decode_envelope(record.headers, ResultGroup)
        reference = group.results[0].body_ref if group.results else None
        if reference is None:
            line = record.value or b""
        else:
            line = await self._context.objects.get_range(
                reference.path, reference.start, reference.length
            )
        try:
            return read_answer(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UndecodableError(
                record.topic, record.partition, record.offset, repr(error)
            ) from None


async def _cancel_when_gone(request: Request, result: asyncio.Future[Record]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    result.cancel()


def _may_take_long(raw: bytes, guard: GuardRules) -> bool:
    """Return whether content filters may block the event loop for long."""
    has_own = any(detector.pattern is not None for detector in guard.detectors)
    return has_own or (bool(guard.detectors) and len(raw) > LARGE_BYTES)


def _told(prepared: Prepared) -> dict[str, str]:
    preset = prepared.preset
    named = {} if preset is None else {PRESET: f"{preset.slug}@{preset.version}"}
    return named | _guarded(prepared.findings)


def _guarded(findings: Mapping[str, int]) -> dict[str, str]:
    told = ", ".join(f"{name}={count}" for name, count in findings.items())
    return {GUARD: told} if told else {}


def _show(answer: SingleAnswer, body: Json) -> Response:
    if answer.status == 200 and body.get("stream"):  # noqa: PLR2004
        completion = from_json(answer.body)
        options = body.get("stream_options")
        include_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        events: Iterator[bytes] = make_events(completion, include_usage=include_usage)
        headers = {"cache-control": "no-cache"}
        return Response(b"".join(events), headers=headers, media_type=STREAM)
    return _show_plain(answer)


def _show_plain(answer: SingleAnswer) -> Response:
    headers = _retry_after(answer.body) if answer.status == TOO_MANY else None
    return answer_raw(answer.body, status=answer.status, headers=headers)


def _retry_after(body: bytes) -> dict[str, str] | None:
    """Return the header `retry-after` if the error has the field `retry_after`, which only ours have."""
    error = from_json(body).get("error")
    wait_s = error.get("retry_after") if isinstance(error, dict) else None
    return {"retry-after": str(wait_s)} if isinstance(wait_s, int) else None
