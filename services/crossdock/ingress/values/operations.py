"""Operations: each route is declared once, at its handler.

The server's routes and their checks, the `Allow` header and the API's document are made from the declaration. The
handler's own types say the rest: its argument `body` is the request model, `query` the model of the query, and what it
returns is the answer model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    """One method of one path."""

    method: Method
    path: str
    """As Starlette takes it: `{id}`, or `{id:path}` where an id may hold slashes."""
    name: str
    summary: str
    tag: str
    text: str = ""
    access: Access = Access.MANAGEMENT
    roles: tuple[Role, ...] = EVERY_ROLE
    """The roles of management keys; the accounts shard checks them."""
    ids: Mapping[str, Any] = field(default_factory=dict)
    """The types of what stands in its path, by name."""
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
    """Specimens of its refusals, besides those of every route."""
    passes_on: str = ""
    """Whose errors it may answer with, too."""

    @property
    def document_path(self) -> str:
        return self.path.replace(":path}", "}")


def operation(
    method: Method, path: str, name: str, summary: str, **more: Any
) -> Callable[[Handler], Handler]:
    """Declare that the decorated method handles `method` of `path`; `more`: fields of `Operation`."""

    def declare(handler: Handler) -> Handler:
        hints = get_type_hints(handler, include_extras=True)
        returned = hints.get("return")
        said: dict[str, Any] = {
            "is_body_parsed": "body" in hints,
            "answer": returned if _is_model(returned) else None,
            **{part: hints[part] for part in ("query", "body") if part in hints},
            **more,
        }
        setattr(handler, _DECLARED, Operation(method, path, name, summary, **said))
        return handler

    return declare


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def operations_of(resource: type) -> list[tuple[str, Operation]]:
    """Return the operations that a class declares, in their order, each with the name of its handler."""
    found = ((name, getattr(handler, _DECLARED, None)) for name, handler in vars(resource).items())
    return [(name, one) for name, one in found if isinstance(one, Operation)]
