"""The HTTP interface: GET and POST on /, and /ping."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from crossdock.kernel.process.errors import TableError
from crossdock.local.clickhouse.engine import Engine, EngineError
from crossdock.local.clickhouse.statement import Statement, decompress, read_statement

VERSION = "26.9.2.1"  # of the engine inside chdb 4.4; shown in error texts only


def make_app(engine: Engine) -> Starlette:
    """Return the application over `engine`."""

    async def ping(_: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    async def serve(request: Request) -> Response:
        query_id = request.query_params.get("query_id") or str(uuid.uuid4())
        try:
            statement = await _read(request)
            if not statement.sql:
                return PlainTextResponse("Ok.\n")
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(engine.threads, engine.run, statement)
        except EngineError as error:
            return _refusal(str(error), error.number, error.status, query_id)
        except (TableError, ValueError) as error:
            return _refusal(f"Code: 36. DB::Exception: {error}", 36, 400, query_id)
        headers = {
            "x-clickhouse-query-id": query_id,
            "x-clickhouse-server-display-name": "crossdock",
            "x-clickhouse-timezone": "UTC",
            "x-clickhouse-summary": json.dumps({"written_bytes": str(len(statement.data or b""))}),
        }
        if statement.gives_rows:
            headers["x-clickhouse-format"] = statement.output_format
        kind = (
            "application/json" if "JSON" in statement.output_format else "text/plain; charset=UTF-8"
        )
        return Response(result, media_type=kind, headers=headers)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        engine.close()

    return Starlette(
        routes=[
            Route("/ping", ping),
            Route("/replicas_status", ping),
            Route("/", serve, methods=["GET", "POST"]),
        ],
        lifespan=lifespan,
    )


async def _read(request: Request) -> Statement:
    arguments = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        form = await request.form()
        arguments |= {name: str(value) for name, value in form.items()}
        return read_statement(arguments, request.headers, b"")
    body = decompress(await request.body(), request.headers.get("content-encoding"))
    return read_statement(arguments, request.headers, body)


def _refusal(message: str, number: int, status: int, query_id: str) -> Response:
    headers = {"x-clickhouse-exception-code": str(number), "x-clickhouse-query-id": query_id}
    return PlainTextResponse(f"{message} (version {VERSION})\n", status, headers)
