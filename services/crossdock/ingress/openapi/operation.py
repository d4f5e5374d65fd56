"""Operation: one route, described."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from crossdock.ingress.openapi.schema import Json
from crossdock.ingress.values.errors import RefusedError
from crossdock_schemas.accounts.account import Role

JSON = "application/json"
FORM = "multipart/form-data"
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

EVERY_ROLE = tuple(Role)
OWNERS = (Role.OWNER,)
ADMINS = (Role.OWNER, Role.ADMIN)
MEMBERS = (Role.OWNER, Role.ADMIN, Role.MEMBER)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field of the query or a header."""

    name: str
    schema: Json
    text: str = ""
    place: Literal["query", "header"] = "query"
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent, with an example of it."""

    schema: Json
    example: Mapping[str, Any]
    media: str = JSON
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back when all is well, by its media type."""

    content: Mapping[str, Json]
    status: int = 200
    text: str = "Done."


@dataclass(frozen=True, slots=True)
class Operation:
    """A route. Who may ask follows from its path; `roles` are those of management keys."""

    method: Method
    path: str
    name: str
    summary: str
    answers: tuple[Answer, ...]
    tag: str
    text: str = ""
    names: Mapping[str, Json] = field(default_factory=dict)
    """The schemas of what stands in its path, by name."""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    roles: tuple[Role, ...] = EVERY_ROLE
    errors: tuple[RefusedError, ...] = ()
    """Specimens of what it may refuse with, besides what every route may."""
    passes_on: str = ""
    """Whose errors it may answer with, too."""


def answer(schema: Json, *, status: int = 200, text: str = "Done.") -> tuple[Answer, ...]:
    return (Answer({JSON: schema}, status, text),)
