"""Bodies of a simulated provider's answers. Pure."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

CHARS_PER_TOKEN = 4
_HEAD = {"system_fingerprint": "fp_simulator", "service_tier": "default"}

quoted = lru_cache(maxsize=1024)(json.dumps)
"""JSON of a string; few model names occur in all calls."""


def count_prompt(body_bytes: int) -> int:
    return max(1, body_bytes // CHARS_PER_TOKEN)


@dataclass(slots=True)
class Completion:
    """The content of a chat completion, streamed or not."""

    answer_id: str
    model: str
    created: int
    prompt: int
    output: int
    text: str
    finish: str | None
    has_usage: bool = True

    def body(self) -> bytes:
        """Return the plain answer. Formatted by hand: a hot path of the benchmark; the text needs no escapes."""
        usage = f',"usage":{self.usage()}' if self.has_usage else ""
        return (
            f'{{"id":"chatcmpl-{self.answer_id}","object":"chat.completion","created":{self.created},'
            f'"model":{quoted(self.model)},"choices":[{{"index":0,"message":{{"role":"assistant",'
            f'"content":"{self.text}","refusal":null,"annotations":[]}},"logprobs":null,'
            f'"finish_reason":{_finish(self.finish)}}}]{usage},"service_tier":"default",'
            f'"system_fingerprint":"fp_simulator"}}'
        ).encode()

    def usage(self) -> str:
        return (
            f'{{"prompt_tokens":{self.prompt},"completion_tokens":{self.output},'
            f'"total_tokens":{self.prompt + self.output},'
            '"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},'
            '"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,'
            '"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
        )

    def events(self, *, with_usage: bool) -> list[bytes]:
        """Return the events of the stream, [DONE] included; a usage chunk where the caller asked for it."""
        base: dict[str, Any] = {
            "id": f"chatcmpl-{self.answer_id}",
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
        } | _HEAD
        if with_usage:
            base["usage"] = None
        deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
        first, *others = self.text.split(" ")
        deltas += [{"content": first}, *({"content": f" {word}"} for word in others)]
        events = [event(base | {"choices": [_choice(delta, None)]}) for delta in deltas]
        events.append(event(base | {"choices": [_choice({}, self.finish)]}))
        if with_usage and self.has_usage:
            events.append(event(base | {"choices": [], "usage": json.loads(self.usage())}))
        return [*events, b"data: [DONE]\n\n"]


def _finish(finish: str | None) -> str:
    return "null" if finish is None else f'"{finish}"'


def _choice(delta: dict[str, str], finish: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def error(message: str, kind: str, code: str | None, param: str | None = None) -> bytes:
    """Return OpenAI's error envelope."""
    return json.dumps(
        {"error": {"message": message, "type": kind, "param": param, "code": code}}
    ).encode()


def model_list(names: list[str], provider: str, created: int) -> bytes:
    data = [
        {"id": name, "object": "model", "created": created, "owned_by": provider}
        for name in sorted(names)
    ]
    return json.dumps({"object": "list", "data": data}).encode()
