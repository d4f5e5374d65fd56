"""Commands for presets. Pure."""

import json
from typing import Any

from crossdock.accounts.commands.decision import Decision, Refused, unknown
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.control import PresetChange, PresetRemoval, Refusal
from crossdock_schemas.accounts.directory import preset_id
from crossdock_schemas.accounts.preset import (
    MAX_PARAMETERS,
    MAX_PARAMETERS_BYTES,
    MAX_PRESETS,
    Preset,
    PresetSettings,
)


def set_preset(state: AccountState, command: PresetChange) -> Decision | Refused:
    """Set a preset of an organization or a project; keys have no presets."""
    identifier = preset_id(command.scope, command.slug)
    if command.scope not in {state.account, *state.projects}:
        return unknown("organization or project", command.scope)
    if len(state.presets) >= MAX_PRESETS and identifier not in state.presets:
        reason = f"An organization has {MAX_PRESETS} presets at most."
        return Refused(identifier, Refusal.CONFLICT, reason)
    settings = _merged(command, state.presets.get(identifier))
    if command.kept is not None and _is_too_large(settings["parameters"]):
        reason = f"A preset has {MAX_PARAMETERS} parameters of {MAX_PARAMETERS_BYTES} bytes of JSON at most."
        return Refused(identifier, Refusal.INVALID, reason)
    preset = Preset(
        **settings,
        account=state.account,
        scope=command.scope,
        slug=command.slug,
        version=state.number + 1,
        updated_at_ms=state.now_ms,
    )
    return Decision(identifier, (preset,))


def _merged(command: PresetChange, old: Preset | None) -> dict[str, Any]:
    """Return the settings that a change results in."""
    settings = dict(command.settings)
    if command.kept is None:
        return settings
    if old is not None:
        settings["parameters"] = old.parameters | command.settings.parameters
        settings |= {n: getattr(old, n) for n in command.kept if n in PresetSettings.model_fields}
    present = settings["parameters"].items()
    return settings | {"parameters": {n: value for n, value in present if value is not None}}


def _is_too_large(parameters: dict[str, Any]) -> bool:
    """Return whether merged parameters are beyond what ingress lets one request send."""
    return len(parameters) > MAX_PARAMETERS or len(json.dumps(parameters)) > MAX_PARAMETERS_BYTES


def clear_preset(state: AccountState, command: PresetRemoval) -> Decision | Refused:
    identifier = preset_id(command.scope, command.slug)
    if identifier not in state.presets:
        return unknown("preset", identifier)
    return Decision(identifier, deleted=(identifier,))
