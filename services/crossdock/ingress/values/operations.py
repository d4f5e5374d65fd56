"""Operations: each route is declared once, at its handler.

The server's routes and their checks, the `Allow` header and the API's document are made from the declaration. The
handler's own types define the rest: its argument `body` is the request model, `query` the model of the query, and its
return type is the answer model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel

from crossdock.ingress.values.errors import RefusedError
from crossdock_schemas.accounts.account import Role

JSON = "application/json"
FORM = "multipart/form-data"
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = TypeVar("Handler", bound=Callable[..., Any])

EVERY_ROLE = tuple(Role)
OWNERS = (Role.OWNER,)
ADMINS = (Role.OWNER, Role.ADMIN)
MEMBERS = (Role.OWNER, Role.ADMIN, Role.MEMBER)
_DECLARED = "api_operation"


class Access(Enum):
    """The kinds of API keys that an operation takes."""

    NONE = "none"
    INFERENCE = "inference"
    MANAGEMENT = "management"
    EVERY = "every"

    @property
    def takes_inference(self) -> bool:
        return self in {Access.INFERENCE, Access.EVERY}

    @property
    def takes_management(self) -> bool:
        return self in {Access.MANAGEMENT, Access.EVERY}


@dataclass(frozen=True, slots=True)
class Header:
    """A request header that an operation reads."""

    name: str
    text: str
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; as a decorator it declares the method that handles it."""

    method: Method
    path: str
    """As Starlette takes it: `{id}`, or `{id:path}` where an id may hold slashes."""
    name: str
    summary: str
    tag: str = ""
    """Its chapter in the document: the resource's."""
    text: str = ""
    access: Access = Access.MANAGEMENT
    roles: tuple[Role, ...] = EVERY_ROLE
    """The roles of management keys; the accounts shard checks them."""
    ids: Mapping[str, Any] = field(default_factory=dict)
    """The types of the parameters of its path, by name, as the resource declares them."""
    query: type[BaseModel] | None = None
    headers: tuple[Header, ...] = ()
    body: type[BaseModel] | None = None
    is_body_parsed: bool = True
    """False: the handler reads the body itself, and the model is for the document alone."""
    is_body_required: bool = True
    example: Mapping[str, Any] = field(default_factory=dict)
    media: str = JSON
    status: int = 200
    answer: Any = None
    """The answer model of `status`; None: `answers` has them all."""
    answers: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """Other answers: JSON Schemas or models, by status and media type."""
    errors: tuple[RefusedError, ...] = ()
    """Specimens of its refusals, besides those that follow from what it is: see `refusals_of`."""
    passes_on: str = ""
    """An operation whose errors it may also return."""

    def __call__(self, handler: Handler) -> Handler:
        """Declare that the decorated method handles it; the method's types are its models."""
        hints = get_type_hints(handler, include_extras=True)
        returned = hints.get("return")
        declared = replace(
            self,
            query=hints.get("query", self.query),
            body=hints.get("body", self.body),
            is_body_parsed="body" in hints,
            answer=self.answer or (returned if _is_model(returned) else None),
        )
        setattr(handler, _DECLARED, declared)
        return handler

    @property
    def document_path(self) -> str:
        return self.path.replace(":path}", "}")


operation = Operation
"""The decorator."""


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def operations_of(resource: type) -> list[tuple[str, Operation]]:
    """Return the operations that a class declares, each with the name of its handler.

    `tag` of the class is their chapter; `ids` has the types of the parameters in their paths.
    """
    found = ((name, getattr(handler, _DECLARED, None)) for name, handler in vars(resource).items())
    about = {name: getattr(resource, name) for name in ("tag", "ids") if hasattr(resource, name)}
    return [(name, _within(one, about)) for name, one in found if isinstance(one, Operation)]


def _within(one: Operation, about: Mapping[str, Any]) -> Operation:
    return replace(one, **{name: getattr(one, name) or value for name, value in about.items()})
