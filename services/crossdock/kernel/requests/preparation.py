"""Prepares the body of a request before it is checked. Pure.

Presets and defaults fill in missing fields; then the content filter runs. A body is prepared once, where it arrives: a
single request by ingress, the lines of a batch by their validation.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from crossdock.kernel.requests.content_filter import Guarded, guard
from crossdock_schemas.accounts.content_filter import Detector
from crossdock_schemas.accounts.demands import FIELD
from crossdock_schemas.accounts.directory import level_of
from crossdock_schemas.accounts.preset import Preparation, Preset
from crossdock_schemas.operations import CHAT, SPECS
from crossdock_schemas.pricing.worst_case import OUTPUT_LIMITS

Json = dict[str, Any]
MARK = "@preset/"
TOO_SLOW = "content_filter_too_slow"
"""Reason of a block without a finding."""
MAX_NAMED = 10  # presets that an error names
_INSTRUCTIONS = ("system", "developer")
_OF_EMBEDDINGS = ("dimensions", "encoding_format", "user", FIELD)
"""Parameters of a preset that apply to an embedding request; the others apply to chat completions."""


class Prepared(NamedTuple):
    """A body that is ready to be checked."""

    body: Json
    is_changed: bool = False
    preset: Preset | None = None
    """The preset that the body named."""
    findings: Mapping[str, int] = {}
    """Number of findings by detector."""


class PreparationFault(NamedTuple):
    """Why a body cannot be prepared, in the API's terms."""

    status: int
    code: str
    message: str
    param: str
    findings: Mapping[str, int] = {}
    metadata: Mapping[str, object] | None = None
    """Details for programs."""


def prepare(
    body: Json, operation: str, preparation: Preparation | None
) -> Prepared | PreparationFault:
    """Return `body` with missing fields filled from presets. `body` itself is not changed."""
    asked = _named_preset(body)
    if isinstance(asked, PreparationFault):
        return asked
    named = None
    if asked.slug is not None:
        known = {} if preparation is None else {p.slug: p for p in preparation.presets}
        named = known.get(asked.slug)
        if named is None:
            return _unknown(asked.slug, known, asked.param)
    defaults = () if preparation is None else preparation.defaults
    filled = _filled(body, asked, operation, [named, *defaults] if named else [*defaults])
    if preparation is None or not preparation.guard.detectors:
        return Prepared(filled, filled != body, named)
    guarded = guard(filled, preparation.guard)
    if guarded.blocking is not None:
        return _blocked(guarded.blocking, operation, guarded)
    return Prepared(guarded.body, guarded.body != body, named, guarded.findings)


def _blocked(detector: Detector, operation: str, guarded: Guarded) -> PreparationFault:
    """Name the rule, its policy and its detector, but never the text that was found."""
    rule = "content_filter_builtins" if detector.pattern is None else "content_filters"
    level = level_of(detector.scope)
    named = f"{detector.name!r}: {rule} of the {level} {detector.scope}"
    message = f"A policy blocks requests in which it finds {named}."
    if guarded.is_too_slow:
        message = (
            f"The content filter takes too long for this request, so it is blocked unread. It stopped at {named}. "
            "Send a shorter text, or simplify the pattern."
        )
    metadata = {"rule": rule, "detector": detector.name, "scope": detector.scope, "level": level}
    metadata |= {"reason": TOO_SLOW} if guarded.is_too_slow else {}
    param = SPECS[operation].required
    return PreparationFault(403, "permission_denied", message, param, guarded.findings, metadata)


class _NamedPreset(NamedTuple):
    """The model and the preset that a body names, and where."""

    model: object
    slug: str | None = None
    param: str = "preset"


def _named_preset(body: Mapping[str, Any]) -> _NamedPreset | PreparationFault:
    model, slug = body.get("model"), body.get("preset")
    if slug is not None and not isinstance(slug, str):
        return PreparationFault(
            400, "invalid_type", "'preset' must be a string: a preset's slug.", "preset"
        )
    if not isinstance(model, str) or MARK not in model:
        return _NamedPreset(model, slug)
    before, _, within = model.partition(MARK)
    if slug not in {None, within}:
        message = f"The model names the preset {within!r}, and 'preset' another one: {slug!r}."
        return PreparationFault(400, "invalid_value", message, "preset")
    return _NamedPreset(before or None, within, "model")


def _unknown(slug: str, known: Mapping[str, Preset], param: str) -> PreparationFault:
    listed = [repr(name) for name in sorted(known)[:MAX_NAMED]]
    more = len(known) - len(listed)
    rest = f" and {more} more" if more else ""
    there = f"There are: {', '.join(listed)}{rest}." if listed else "There are none."
    return PreparationFault(404, "preset_not_found", f"No such preset: {slug!r}. {there}", param)


def _filled(body: Json, asked: _NamedPreset, operation: str, presets: list[Preset]) -> Json:
    """Return `body` filled from `presets`; earlier ones win, and a limit by one name also wins over the other name."""
    filled = {name: value for name, value in body.items() if name != "preset"}
    model = asked.model or next((p.model for p in presets if p.model is not None), None)
    if model is not None:
        filled["model"] = model
    for preset in presets:
        is_limited = any(filled.get(name) is not None for name in OUTPUT_LIMITS)
        for name, value in preset.parameters.items():
            is_second_limit = is_limited and name in OUTPUT_LIMITS
            if (operation == CHAT.path or name in _OF_EMBEDDINGS) and not is_second_limit:
                filled.setdefault(name, value)
    system = next((p.system for p in presets if p.system is not None), None)
    messages = filled.get("messages")
    if operation == CHAT.path and system is not None and isinstance(messages, list):
        filled["messages"] = _instructed(messages, system)
    return filled


def _instructed(messages: list[Any], system: str) -> list[Any]:
    """Return `messages` with instructions first, unless they have their own, or are empty."""
    roles = [message.get("role") for message in messages if isinstance(message, dict)]
    if not messages or any(role in _INSTRUCTIONS for role in roles):
        return messages
    return [{"role": "system", "content": system}, *messages]
