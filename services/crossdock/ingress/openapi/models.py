"""/v1/models."""

from crossdock.ingress.openapi.operation import Operation, answer
from crossdock.ingress.openapi.schema import TEXT, Json, array, choice, nullable, ref, shown, told
from crossdock.ingress.values import specimens as errors
from crossdock_schemas.pricing.catalogue import OPERATIONS as SERVED

TAG = "models"

SCHEMAS: dict[str, Json] = {
    "Model": shown(
        {
            "id": TEXT,
            "object": {"const": "model"},
            "created": {"const": 0},
            "owned_by": told(TEXT, "The first provider that serves it."),
            "shutdown_date": nullable(TEXT),
            "crossdock": shown(
                {"operations": array(choice(sorted(SERVED))), "providers": array(TEXT)}
            ),
        }
    )
}

OPERATIONS = (
    Operation(
        "GET", "/v1/models", "list_models", "List the catalogue's models",
        tag=TAG,
        answers=answer(shown({"object": {"const": "list"}, "data": array(ref("Model"))})),
    ),
    Operation(
        "GET", "/v1/models/{model}", "get_model", "Show a model",
        tag=TAG,
        names={"model": told(TEXT, "Its name; may hold slashes.")},
        answers=answer(ref("Model")),
        errors=(errors.NO_MODEL,),
    ),
)  # fmt: skip
