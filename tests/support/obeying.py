"""A provider that obeys whatever it can read in a body, and reports it truly or not."""

import json
import random
import unicodedata
from collections.abc import Callable
from math import isfinite
from typing import Any

CONTEXTS = {"dear": 4096, "open": 500}
"""By endpoint, the tokens of a question that it takes at most."""
OWN_MAX = 200_000  # tokens of an answer without a limit: more than in the catalogue
LIMITS = ("maxtokens", "maxcompletiontokens", "maxoutputtokens", "maxnewtokens", "numpredict", "maxgenlen")  # fmt: skip
TIERS = (None, "auto", "default", "standard")
FREE_TOOLS = ("function", "custom")
Pairs = list[tuple[str, Any]]


class PricedElsewhereError(AssertionError):
    """A field reached the provider that costs money beyond its tokens."""


def _first(pairs: Pairs) -> dict[str, Any]:
    return dict(reversed(pairs))


def _last(pairs: Pairs) -> dict[str, Any]:
    return dict(pairs)


def _fold(name: str) -> str:
    """Read a name as carelessly as one can."""
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


def _number(value: Any) -> int:
    """Read a number out of anything; 0: there is none."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return abs(int(found)) if isfinite(found) else OWN_MAX


class Obeying:
    """Answers by what it reads. `lie`: changes its report; None: it is honest."""

    def __init__(self, chance: random.Random, lie: Callable[[dict[str, Any]], Any] | None) -> None:
        self._chance = chance
        self._pairs = chance.choice([_first, _last])
        self._which = chance.choice([max, min])
        self.lie = lie

    def answer(self, body: bytes, endpoint: str) -> bytes:
        read = json.loads(body, object_pairs_hook=self._pairs)
        careless = {_fold(name): value for name, value in read.items() if value is not None}
        if "messages" in read:
            _refuse_extras(read, careless)
        usage: Any = self._usage(body, read, careless, CONTEXTS.get(endpoint, 10**9))
        if self.lie is not None:
            usage = self.lie(usage)
        message = {"role": "assistant", "content": "aye"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "x", "model": "x", "choices": [choice], "data": [{"embedding": [0]}]}
        return json.dumps(answer | {"usage": usage}).encode()

    def _usage(
        self, body: bytes, read: dict[str, Any], careless: dict[str, Any], context: int
    ) -> dict[str, Any]:
        if "input" in read and "messages" not in read:
            return {"prompt_tokens": min(_tokens(read["input"]), context), "total_tokens": 1}
        limits = [found for name in LIMITS if (found := _number(careless.get(name)))]
        answer = self._which(limits) if limits else OWN_MAX
        thinking, reasoning = careless.get("thinking"), careless.get("reasoning")
        extra = _number(careless.get("thinkingbudget"))
        extra += _number(thinking.get("budget_tokens")) if isinstance(thinking, dict) else 0
        extra += _number(reasoning.get("max_tokens")) if isinstance(reasoning, dict) else 0
        extra += len(json.dumps(careless["prediction"])) // 2 if "prediction" in careless else 0
        answers = max(1, _number(careless.get("n")), _number(careless.get("bestof")))
        prompt = min(len(body) + _media(read.get("messages")), context)
        cached = self._chance.randint(0, prompt)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": (answer + extra) * answers,
            "prompt_tokens_details": {
                "cached_tokens": cached,
                "cache_write_tokens": self._chance.randint(0, prompt - cached),
            },
        }


def _tokens(given: Any) -> int:
    if isinstance(given, str):
        return len(given.encode())
    return sum(map(_tokens, given)) if isinstance(given, list) else 1


def _media(messages: Any) -> int:
    parts = [p for m in messages if isinstance(m.get("content"), list) for p in m["content"]]
    kinds = [part.get("type") for part in parts if isinstance(part, dict)]
    return sum(30_000 for kind in kinds if kind in {"image_url", "input_audio"})


def _refuse_extras(read: dict[str, Any], careless: dict[str, Any]) -> None:
    """Raise for a field that a provider bills by rules of its own."""
    tools = careless.get("tools")
    kinds = [tool.get("type") for tool in tools] if isinstance(tools, list) else []
    billed = [name for name in ("websearchoptions", "plugins", "audio", "searchparameters", "mcpservers") if name in careless]  # fmt: skip
    if billed or careless.get("servicetier") not in TIERS or careless.get("background") or careless.get("enablesearch"):  # fmt: skip
        raise PricedElsewhereError(read)
    if any(kind not in FREE_TOOLS for kind in kinds) or careless.get("modalities", ["text"]) != ["text"]:  # fmt: skip
        raise PricedElsewhereError(read)
