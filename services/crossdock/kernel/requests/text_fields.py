"""The texts of a request's body that a model reads. Pure; never raises, whatever the body is.

Read: contents of messages with their text parts, arguments of earlier tool calls, `input`, `prompt`, a predicted
answer. Not read: tokens, images, audio, files, names of fields of the body, definitions of tools.
"""

import json
from collections.abc import Callable
from typing import Any

from pydantic_core import from_json

from crossdock_schemas.operations import SPECS

Json = dict[str, Any]
Change = Callable[[str], str]

_OF_BODY = tuple(name for spec in SPECS.values() for name in spec.text_fields)
"""Fields of all operations, whatever the operation: a provider may read a field of another one."""
_OF_MESSAGE = (
    *("content", "text", "refusal", "reasoning", "reasoning_content"),
    *("tool_calls", "function_call"),
)
"""Fields of messages, and of the parts of their contents."""
_OF_CALL = ("function", "custom")
_ARGUMENTS = ("arguments", "input")


def rewrite(body: Json, change: Change) -> Json:
    """Return `body` with each text replaced by `change(text)`; `body` itself if nothing changes."""
    return _fields(body, _OF_BODY, lambda value: _content(value, change))


def _fields(value: Json, names: tuple[str, ...], change: Callable[[Any], Any]) -> Json:
    """Return `value` with some fields changed; `value` itself if nothing changes."""
    new = {name: change(value[name]) for name in names if name in value}
    is_same = all(new[name] is value[name] for name in new)
    return value if is_same else {**value, **new}


def _content(value: Any, change: Change) -> Any:
    """Rewrite a text, a message or part, or a list of them."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return _items(value, lambda item: _content(item, change))
    if not isinstance(value, dict):
        return value
    read = _fields(value, _OF_MESSAGE, lambda inner: _content(inner, change))
    read = _fields(read, _OF_CALL, lambda inner: _content(inner, change))
    return _fields(read, _ARGUMENTS, lambda inner: _arguments(inner, change))


def _items(values: list[Any], change: Callable[[Any], Any]) -> list[Any]:
    new = [change(value) for value in values]
    is_same = all(one is other for one, other in zip(new, values, strict=True))
    return values if is_same else new


def _arguments(value: Any, change: Change) -> Any:
    """Rewrite arguments, a JSON text: its inner texts, so that it stays JSON."""
    if not isinstance(value, str):
        return _values(value, change)
    try:
        parsed = from_json(value)
    except ValueError:
        return change(value)
    new = _values(parsed, change)
    return value if new is parsed else json.dumps(new, ensure_ascii=False)


def _values(value: Any, change: Change) -> Any:
    """Rewrite all texts in a value, including names of fields and numbers."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return _items(value, lambda item: _values(item, change))
    if isinstance(value, dict):
        return _object(value, change)
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = json.dumps(value)
        new = change(text)
        return value if new == text else new
    return value


def _object(value: Json, change: Change) -> Json:
    """Rewrite names and values; if two names become the same, the later gets a number."""
    new: Json = {}
    for name, inner in value.items():
        wanted = change(name)
        free, number = wanted, 1
        while free in new:
            number += 1
            free = f"{wanted}_{number}"
        new[free] = _values(inner, change)
    is_same = list(new) == list(value) and all(new[name] is value[name] for name in value)
    return value if is_same else new
