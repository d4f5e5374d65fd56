"""Commands for presets. Pure."""

from crossdock.accounts.commands.decision import Decision, Refused, unknown
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.control import PresetChange, PresetRemoval, Refusal
from crossdock_schemas.accounts.directory import preset_id
from crossdock_schemas.accounts.preset import MAX_PRESETS, Preset


def set_preset(state: AccountState, command: PresetChange) -> Decision | Refused:
    """Set a preset of an organization or a project; keys have no presets."""
    identifier = preset_id(command.scope, command.slug)
    if command.scope not in {state.account, *state.projects}:
        return unknown("organization or project", command.scope)
    if len(state.presets) >= MAX_PRESETS and identifier not in state.presets:
        reason = f"An organization has {MAX_PRESETS} presets at most."
        return Refused(identifier, Refusal.CONFLICT, reason)
    preset = Preset(
        **dict(command.settings),
        account=state.account,
        scope=command.scope,
        slug=command.slug,
        version=state.number + 1,
        updated_at_ms=state.now_ms,
    )
    return Decision(identifier, (preset,))


def clear_preset(state: AccountState, command: PresetRemoval) -> Decision | Refused:
    identifier = preset_id(command.scope, command.slug)
    if identifier not in state.presets:
        return unknown("preset", identifier)
    return Decision(identifier, deleted=(identifier,))
