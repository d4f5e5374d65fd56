"""JSON out."""

from collections.abc import Mapping

from starlette.responses import Response

JSON = "application/json"


def answer_raw(
    raw: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with JSON that is bytes already."""
    return Response(raw, status, headers=headers, media_type=JSON)
