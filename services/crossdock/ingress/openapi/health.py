"""/healthz and /openapi.json."""

from crossdock.ingress.openapi.operation import Answer, Operation, answer
from crossdock.ingress.openapi.schema import TEXT, Json

TAG = "installation"
SCHEMAS: dict[str, Json] = {}

OPERATIONS = (
    Operation(
        "GET", "/healthz", "get_health", "Say whether this ingress serves",
        tag=TAG,
        answers=(Answer({"text/plain": TEXT}),),
    ),
    Operation(
        "GET", "/openapi.json", "get_openapi", "Show this document",
        tag=TAG,
        answers=answer({"type": "object"}),
    ),
)  # fmt: skip
