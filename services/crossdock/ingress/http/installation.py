"""/healthz and /openapi.json: the installation itself, without a key."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.values.operations import JSON, Access, operation
from crossdock.ingress.values.responses import answer_raw
from crossdock.ingress.values.specimens import CONNECTION


class InstallationRoutes:
    """The health of this ingress, and the API's document."""

    tag = "installation"

    def __init__(self, _context: ApiContext) -> None:
        pass

    @operation(
        "GET", "/healthz", "get_health", "Show whether this ingress serves", access=Access.NONE,
        text="The errors are those of a connection; every path has them.", errors=CONNECTION,
        answers={200: {"text/plain": {"type": "string"}}},
    )  # fmt: skip
    async def health(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    @operation(
        "GET", "/openapi.json", "get_openapi", "Show this document", access=Access.NONE,
        answers={200: {JSON: {"type": "object"}}},
    )  # fmt: skip
    async def openapi(self, request: Request) -> Response:
        return answer_raw(request.app.state.document())
