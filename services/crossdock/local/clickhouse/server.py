"""The HTTP interface: GET and POST on /, and /ping. It serves users with a secret, and no web page."""

import asyncio
import base64
import binascii
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from crossdock.kernel.process.errors import TableError
from crossdock.local.clickhouse.access import STAGE_USERS, DeniedError, Users
from crossdock.local.clickhouse.engine import CONNECTIONS, Engine, EngineError
from crossdock.local.clickhouse.statement import Statement, decompress, read_statement

VERSION = "26.9.2.1"  # of the engine inside chdb 4.4; shown in error texts only
MAX_BODY_BYTES = 67_108_864
MAX_FORM_PARTS = 1000
BODY_S = 60.0
_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_OF_BROWSERS = ("origin", "referer", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest")


class SqlService:
    """Answers requests from `engine`. One of its connections stays free for the stages."""

    def __init__(self, engine: Engine, users: Users) -> None:
        self._engine = engine
        self._users = users
        self._others = asyncio.Semaphore(CONNECTIONS - 1)

    async def serve(self, request: Request) -> Response:
        query_id = request.query_params.get("query_id") or str(uuid.uuid4())
        try:
            return await self._answer(request, query_id)
        except (DeniedError, EngineError) as error:
            return _refusal(str(error), error.number, error.status, query_id)
        except (TableError, ValueError) as error:
            return _refusal(str(error), 36, 400, query_id)

    async def _answer(self, request: Request, query_id: str) -> Response:
        check_sender(request)
        user = self._users.check(*_credentials(request))
        statement = await _read(request)
        if not statement.sql:
            return PlainTextResponse("Ok.\n")
        may_write = request.method == "POST"
        work = partial(self._engine.run, statement, user, may_write=may_write)
        loop = asyncio.get_running_loop()
        async with nullcontext() if user in STAGE_USERS else self._others:
            result = await loop.run_in_executor(self._engine.threads, work)
        headers = _headers(statement, query_id)
        return Response(result, media_type=_media_type(statement), headers=headers)


def make_app(engine: Engine, users: Users) -> Starlette:
    """Return the application over `engine`."""

    async def ping(_: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        engine.close()

    return Starlette(
        routes=[
            Route("/ping", ping),
            Route("/replicas_status", ping),
            Route("/", SqlService(engine, users).serve, methods=["GET", "POST"]),
        ],
        lifespan=lifespan,
    )


def check_sender(request: Request) -> None:
    """Refuse what a web page can send, also under another name for this address.

    Raises:
        DeniedError: if the host is foreign, or a browser sends the request.
    """
    host = request.headers.get("host", "").rsplit(":", 1)
    name = host[0] if len(host) == 1 or host[1].isdigit() else ":".join(host)
    if name.lower() not in _HOSTS:
        raise DeniedError(f"invalid Host {name[:80]!r}: use 127.0.0.1 or localhost", 516)
    if found := next((name for name in _OF_BROWSERS if name in request.headers), None):
        raise DeniedError(f"the header {found!r} is of a web page: web pages are not served", 516)


def _credentials(request: Request) -> tuple[str, str]:
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return name, secret
    names = ("x-clickhouse-user", "x-clickhouse-key")
    return request.headers.get(names[0], ""), request.headers.get(names[1], "")


async def _read(request: Request) -> Statement:
    arguments = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    try:
        async with asyncio.timeout(BODY_S):
            if kind.startswith("multipart/form-data"):
                form = await request.form(max_files=0, max_fields=MAX_FORM_PARTS)
                arguments |= {name: str(value) for name, value in form.items()}
                return read_statement(arguments, request.headers, b"")
            body = await _body(request)
    except TimeoutError:
        raise DeniedError(
            f"the body did not arrive in {BODY_S:.0f} s", number=159, status=408
        ) from None
    unpacked = decompress(body, request.headers.get("content-encoding"))
    return read_statement(arguments, request.headers, unpacked)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise DeniedError(
                f"the body has more than {MAX_BODY_BYTES} bytes: send it in parts", 307, 413
            )
    return bytes(body)


def _headers(statement: Statement, query_id: str) -> dict[str, str]:
    headers = {
        "x-clickhouse-query-id": query_id,
        "x-clickhouse-server-display-name": "crossdock",
        "x-clickhouse-timezone": "UTC",
        "x-clickhouse-summary": json.dumps({"written_bytes": str(len(statement.data or b""))}),
        "x-content-type-options": "nosniff",
    }
    if statement.gives_rows:
        headers["x-clickhouse-format"] = statement.output_format
    return headers


def _media_type(statement: Statement) -> str:
    return "application/json" if "JSON" in statement.output_format else "text/plain; charset=UTF-8"


def _refusal(message: str, number: int, status: int, query_id: str) -> Response:
    headers = {
        "x-clickhouse-exception-code": str(number),
        "x-clickhouse-query-id": query_id,
        "x-content-type-options": "nosniff",
    }
    text = message if message.startswith("Code: ") else f"Code: {number}. DB::Exception: {message}"
    return PlainTextResponse(f"{text} (version {VERSION})\n", status, headers)
