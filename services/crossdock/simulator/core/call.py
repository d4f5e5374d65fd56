"""Parses calls. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from crossdock.simulator.core.embeddings import DIMENSIONS

MAX_DIMENSIONS = 4096
MAX_INPUTS = 2048  # OpenAI's limit


class BadCallError(ValueError):
    """The body is invalid; OpenAI answers 400 with the parameter."""

    def __init__(self, message: str, param: str | None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(slots=True)
class ChatCall:
    """The relevant fields of a chat completion's body."""

    model: str
    cap: int | None
    is_streamed: bool
    wants_usage: bool


@dataclass(slots=True)
class EmbeddingCall:
    """The relevant fields of an embedding's body."""

    model: str
    inputs: Sequence[object]
    dimensions: int
    is_packed: bool


def read_chat(raw: bytes) -> ChatCall:
    """Read a chat completion's body.

    Raises:
        BadCallError: if it is invalid.
    """
    body = _read(raw)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadCallError("'messages' must be a list of at least one message.", "messages")
    options = body.get("stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True
    return ChatCall(body["model"], _cap(body), body.get("stream") is True, wants_usage)


def read_embedding(raw: bytes) -> EmbeddingCall:
    """Read an embedding's body.

    Raises:
        BadCallError: if it is invalid.
    """
    body = _read(raw)
    given = body.get("input")
    if not isinstance(given, str | list) or not given:
        raise BadCallError("'input' must be a string or a list, and not empty.", "input")
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    if len(inputs) > MAX_INPUTS:
        raise BadCallError(f"'input' may have {MAX_INPUTS} entries at most.", "input")
    dimensions = _count(body, "dimensions", MAX_DIMENSIONS)
    encoding = body.get("encoding_format") or "float"
    if encoding not in {"float", "base64"}:
        raise BadCallError("'encoding_format' must be float or base64.", "encoding_format")
    return EmbeddingCall(body["model"], inputs, dimensions or DIMENSIONS, encoding == "base64")


def _read(raw: bytes) -> dict[str, Any]:
    try:
        body = from_json(raw)
    except ValueError:
        raise BadCallError("We could not parse the JSON body of your request.", None) from None
    if not isinstance(body, dict):
        raise BadCallError("The body must be a JSON object.", None)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadCallError("you must provide a model parameter", "model")
    return body


def _cap(body: dict[str, Any]) -> int | None:
    if "max_completion_tokens" not in body and "max_tokens" not in body:
        return None
    newer = _count(body, "max_completion_tokens", None)
    return newer if newer is not None else _count(body, "max_tokens", None)


def _count(body: dict[str, Any], name: str, most: int | None) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not is_count or (most is not None and value > most):
        limit = f" and at most {most}" if most is not None else ""
        raise BadCallError(f"'{name}' must be an integer of at least 1{limit}.", name)
    return int(value)
