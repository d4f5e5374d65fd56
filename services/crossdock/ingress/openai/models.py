"""GET /v1/models."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock.ingress.values import errors
from crossdock.ingress.values.openai_objects import show_models
from crossdock.ingress.values.responses import answer_json
from crossdock_schemas.pricing.catalogue import Catalogue


class ModelRoutes:
    """The catalogue's models."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._models = {model["id"]: model for model in show_models(catalogue)}

    def routes(self) -> list[Route]:
        return [
            Route("/v1/models", self.list, methods=["GET"]),
            Route("/v1/models/{model:path}", self.retrieve, methods=["GET"]),
        ]

    async def list(self, _request: Request) -> Response:
        return answer_json({"object": "list", "data": [*self._models.values()]})

    async def retrieve(self, request: Request) -> Response:
        name = request.path_params["model"]
        model = self._models.get(name)
        if model is None:
            raise errors.no_model(name)
        return answer_json(model)
