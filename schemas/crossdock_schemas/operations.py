"""The operations of the API that requests and batches may use, as data. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from crossdock_schemas.pricing.catalogue import Operation
from crossdock_schemas.pricing.worst_case import Ask, ask_completion, ask_embeddings


class AnswerKind(Enum):
    """The kind of a sound answer; each wire format checks each kind."""

    COMPLETION = auto()
    EMBEDDINGS = auto()


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """One operation."""

    path: Operation
    required: str
    """The field of a body that every request needs."""
    ask: Callable[[Mapping[str, Any], int], Ask]
    """Returns the tokens that a body of so many bytes asks for at most."""
    answer: AnswerKind


CHAT = OperationSpec(
    "/v1/chat/completions",
    required="messages",
    ask=ask_completion,
    answer=AnswerKind.COMPLETION,
)
EMBEDDINGS = OperationSpec(
    "/v1/embeddings",
    required="input",
    ask=ask_embeddings,
    answer=AnswerKind.EMBEDDINGS,
)
SPECS: Mapping[str, OperationSpec] = MappingProxyType(
    {spec.path: spec for spec in (CHAT, EMBEDDINGS)}
)
"""By path."""
