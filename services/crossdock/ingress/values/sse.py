"""A finished chat completion as the stream that it would have been: correct chunks, all at once. Pure."""

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

PIECE_CHARS = 48
MAX_PIECES = 2000  # of one text: a longer text has longer pieces, so that events take a few times its bytes at most
DONE = b"data: [DONE]\n\n"
_WHOLE = ("role", "content", "tool_calls")


def make_events(completion: Json, *, include_usage: bool) -> Iterator[bytes]:
    """Yield the server-sent events of `completion`, [DONE] last."""
    for choice in completion.get("choices") or []:
        index = choice.get("index", 0)
        for delta, logprobs in _deltas(choice):
            yield _event(completion, [_choice(index, delta, logprobs, None)], include_usage)
        finish = choice.get("finish_reason") or "stop"
        yield _event(completion, [_choice(index, {}, None, finish)], include_usage)
    if include_usage:
        yield _data(_chunk(completion, []) | {"usage": completion.get("usage")})
    yield DONE


def _deltas(choice: Json) -> Iterator[tuple[Json, Any]]:
    """Yield (delta, logprobs): the role, the text in pieces, each tool call, then the other fields of the message."""
    message = choice.get("message") or {}
    content = message.get("content")
    logprobs = choice.get("logprobs")
    has_text = isinstance(content, str)
    yield {"role": message.get("role", "assistant"), "content": "" if has_text else None}, None
    if isinstance(content, str) and content:
        pieces = [content] if logprobs else _pieces(content)
        for piece in pieces:
            yield {"content": piece}, logprobs
    for number, call in enumerate(_tool_calls(message)):
        yield {"tool_calls": [{"index": number, **call}]}, None
    rest = {name: value for name, value in message.items() if name not in _WHOLE and value}
    if rest:
        yield rest, None


def _tool_calls(message: Json) -> list[Json]:
    """Return the tool calls that are objects: a provider may send anything here."""
    calls = message.get("tool_calls")
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def _pieces(text: str) -> list[str]:
    size = max(PIECE_CHARS, len(text) // MAX_PIECES)
    return [text[at : at + size] for at in range(0, len(text), size)]


def _choice(index: int, delta: Json, logprobs: object, finish_reason: str | None) -> Json:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}


def _event(completion: Json, choices: list[Json], include_usage: bool) -> bytes:
    chunk = _chunk(completion, choices)
    if include_usage:
        chunk["usage"] = None
    return _data(chunk)


def _chunk(completion: Json, choices: list[Json]) -> Json:
    kept = ("id", "created", "model", "service_tier", "system_fingerprint")
    head = {name: completion[name] for name in kept if name in completion}
    return {**head, "object": "chat.completion.chunk", "choices": choices}


def _data(chunk: Json) -> bytes:
    text = json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()
