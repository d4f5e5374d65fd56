"""Every text of a request's body, wherever it is: values, names of fields, long numbers. Pure; never raises.

A text that is JSON, such as the arguments of a tool call, is read by its inner texts. Not read: the fields by which
Crossdock chooses the endpoint, which no provider is sent, and media in base64.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic_core import from_json

from crossdock.kernel.process.patterns import OWN_MEMORY, compile_pattern
from crossdock_schemas.accounts.demands import FIELD, MODELS

Json = dict[str, Any]

_OURS = frozenset({"model", MODELS, FIELD, "preset"})
_ARGUMENTS = frozenset({"arguments", "input"})
_WITHIN = frozenset({"content", "text", "value", "parts"})
"""Names that do not part a text from its neighbours: a part's text follows the text of the message before."""
_MEDIA = frozenset(
    {"data", "file_data", "b64_json", "signature", "thought_signature", "encrypted_content"}
)
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"
MIN_MEDIA = 64  # characters
_LONG_NUMBER = r"[0-9](?:[+/_\-]?[0-9]){11}"
MIN_NUMBER = 10**8  # shorter numbers are harmless by themselves
_UNTOLD = frozenset({"seed"})
_NAMES = """
additionalProperties allOf annotations anyOf approximate arguments assistant audio best_of cache_control city
completion const content country custom data data_collection default definition definitions defs description detail
dimensions documents domain echo effort encoding_format end_index enum exclude_paths file file_data file_id filename
filters format frequency_penalty function function_call functions grammar id image_url include_usage input
input_audio input_type instructions integer items json_schema logit_bias logprobs max_completion_tokens max_items
max_tokens maximum maxItems maxLength messages metadata min_p minimum minItems minLength modalities n name not
object oneOf parallel_tool_calls parameters parts pattern plugins prediction presence_penalty prompt
prompt_cache_key properties reasoning reasoning_content reasoning_details reasoning_effort refusal region
repetition_penalty required response_format role safety_identifier schema search_context_size seed service_tier
signature start_index stop store stream stream_options strict suffix summary syntax system temperature text thinking
timezone title token_budget tool_call_id tool_calls tool_choice tools top_a top_k top_logprobs top_p truncation type
uniqueItems url url_citation user user_location value verbosity voice web_search_options
$schema $ref $defs $id
"""
_VALUES = """
all allowed_tools array auto base64 boolean developer ephemeral flac flex float high image json_object low medium
minimal mp3 none null number opus pcm16 priority scale string tool wav
"""
_WORDS = frozenset(f"{_NAMES} {_VALUES}".split())
"""Words of the API: names of fields, and their values."""
_KINDS = frozenset({"role", "type", "format", "detail", "required"})
"""Names of fields whose values are words of the API."""


class Place(NamedTuple):
    """Where a text is."""

    path: tuple[str, ...] = ()
    """Names of fields, without those that do not part it from its neighbours."""
    role: str = ""
    """The role of its message."""
    is_word: bool = False
    """Whether it is a word of the API."""
    is_alone: bool = False
    """Whether it continues no other text: names and numbers."""
    are_arguments: bool = False


Change = Callable[[str, Place], str]


def rewrite(body: Json, change: Change) -> Json:
    """Return `body` with each text replaced by `change(text, place)`; `body` itself if nothing changes."""
    return _Rewriting(change).body(body)


@dataclass(frozen=True, slots=True)
class _Rewriting:
    change: Change

    def body(self, body: Json) -> Json:
        ours = {name: body[name] for name in body if name in _OURS}
        rest = body if not ours else {n: value for n, value in body.items() if n not in ours}
        new = self._object(rest, Place())
        if new is rest:
            return body
        return {**ours, **new}

    def _value(self, value: Any, name: str, place: Place) -> Any:
        if name in _ARGUMENTS and place.path[:1] == ("messages",):
            place = place._replace(are_arguments=True)
        if isinstance(value, str):
            return self._text(value, name, place)
        if isinstance(value, list):
            return self._items(value, name, place)
        if isinstance(value, dict):
            return self._object(value, place)
        if value is None or isinstance(value, bool):
            return value
        return self._number(value, name, place)

    def _text(self, text: str, name: str, place: Place) -> str:
        if place.are_arguments and name in _ARGUMENTS:
            return self._arguments(text, place)
        if len(text) >= MIN_MEDIA and _is_media(text, name):
            return text
        if name in _KINDS and text in _WORDS:
            return self.change(text, Place(is_word=True, is_alone=True))
        return self.change(text, place)

    def _items(self, values: list[Any], name: str, place: Place) -> list[Any]:
        new = [self._value(value, name, place) for value in values]
        is_same = all(one is other for one, other in zip(new, values, strict=True))
        return values if is_same else new

    def _object(self, value: Json, place: Place) -> Json:
        """Rewrite names and values; if two names become the same, the later gets a number."""
        new: Json = {}
        path, role, _, _, are_arguments = place
        if "role" in value and isinstance(value["role"], str):
            role = value["role"]
        is_same = True
        for name, inner in value.items():
            free = self._name(name, place)
            is_same = is_same and free == name
            if free in new:
                free = _free_name(free, new)
            stays = name in _WITHIN and not are_arguments
            within = Place(path if stays else (*path, name), role, False, False, are_arguments)
            new[free] = self._value(inner, name, within)
            is_same = is_same and new[free] is inner
        return value if is_same else new

    def _name(self, name: str, place: Place) -> str:
        if name in _WORDS and not place.are_arguments:
            return name
        return self.change(name, place._replace(is_alone=True))

    def _number(self, value: float, name: str, place: Place) -> Any:
        if -MIN_NUMBER < value < MIN_NUMBER and not place.are_arguments:
            return value
        if name in _UNTOLD and len(place.path) == 1:
            return value
        text = json.dumps(value)
        new = self.change(text, place._replace(is_alone=True))
        return value if new == text else new

    def _arguments(self, text: str, place: Place) -> str:
        """Rewrite arguments, a JSON text: its inner texts, so that it stays JSON."""
        try:
            parsed = from_json(text)
        except ValueError:
            return self.change(text, place)
        new = self._value(parsed, "", place)
        return text if new is parsed else json.dumps(new, ensure_ascii=False)


def _free_name(wanted: str, taken: Json) -> str:
    number = 2
    while f"{wanted}_{number}" in taken:
        number += 1
    return f"{wanted}_{number}"


def _is_media(text: str, name: str) -> bool:
    """Return whether a text is binary data in base64, which no detector can read. Such data has no long numbers."""
    head, comma, data = text.partition(",") if text.startswith("data:") else ("", "", text)
    if not (name in _MEDIA or (comma and head.endswith(";base64"))):
        return False
    if not text.isascii() or data.encode().translate(None, _BASE64):
        return False
    return compile_pattern(_LONG_NUMBER, OWN_MEMORY).search(data.encode()) is None
