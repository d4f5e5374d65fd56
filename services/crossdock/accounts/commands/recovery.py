"""The way back at the machine: `crossdock recover`. Pure."""

from collections.abc import Sequence

from crossdock.accounts.commands.decision import Decision, Refused, cancel, changed, taken, unknown
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.account import ApiKey, Project, Role
from crossdock_schemas.accounts.control import Recovered
from crossdock_schemas.accounts.directory import Entity
from crossdock_schemas.calls.cancel import Cancelled


def recover(state: AccountState, command: Recovered) -> Decision | Refused:
    """Make an owner's key that works: in an enabled project, without an end, from every address."""
    if command.key_id in state.keys:
        return taken(command.key_id)
    project = _project_of(state)
    if state.organization is None or project is None:
        return unknown("organization", state.account)
    key = ApiKey(
        key_id=command.key_id,
        hash=command.hash,
        label=command.label,
        account=state.account,
        project=project.project,
        name="recovered owner",
        role=Role.OWNER,
        created_at_ms=state.now_ms,
        updated_at_ms=state.now_ms,
    )
    entities: list[Entity] = [key]
    lifted: dict[str, object] = {}
    if state.organization.allowed_ips:
        entities.append(changed(state, state.organization, {"allowed_ips": ()}))
        lifted["lifted_ips"] = list(state.organization.allowed_ips)
    cancels: tuple[Cancelled, ...] = ()
    if project.disabled:
        entities.append(changed(state, project, {"disabled": False}))
        lifted["enabled_project"] = project.project
        stopped = [
            k for k in state.keys.values() if k.project == project.project and not k.disabled
        ]
        cancels = tuple(cancel(state, one, is_lifted=True) for one in stopped)
    return Decision(key.key_id, tuple(entities), cancels=cancels, also_logged=lifted)


def _project_of(state: AccountState) -> Project | None:
    """Return the project of the oldest owner's key, else the oldest one."""
    owners: Sequence[ApiKey] = [k for k in state.keys.values() if k.role is Role.OWNER]
    oldest = min(owners, key=lambda key: key.created_at_ms, default=None)
    first = min(state.projects.values(), key=lambda one: one.created_at_ms, default=None)
    return first if oldest is None else state.projects.get(oldest.project, first)
