"""Commands for organizations. Pure."""

from crossdock.accounts.commands.decision import Decision, Refused, changed, given, unknown
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.control import Founded, OrganizationAsked, OrganizationChange
from crossdock_schemas.accounts.directory import Entity, identity


def found_organization(state: AccountState, command: Founded) -> Decision:
    """Add what does not exist. A key with another hash is replaced; all else keeps its later changes.

    A key of an organization that exists was deleted: provisioning, at each start, must not bring it back.
    """
    wanted: tuple[Entity, ...] = (command.organization, command.project, *command.keys)
    added = []
    for entity in wanted:
        old = state.find(identity(entity))
        if old is None and (state.organization is None or not isinstance(entity, ApiKey)):
            added.append(entity)
        elif isinstance(old, ApiKey) and isinstance(entity, ApiKey) and old.hash != entity.hash:
            added.append(old.model_copy(update={"hash": entity.hash, "label": entity.label}))
    return Decision(command.account, tuple(added))


def forward_organization(_state: AccountState, command: OrganizationAsked) -> Decision:
    """Send the first command of a new organization to its own shard."""
    account = command.organization.account
    founded = Founded(
        change_id=command.change_id,
        account=account,
        actor=command.actor,
        at_ms=command.at_ms,
        organization=command.organization,
        project=command.project,
        keys=command.keys,
    )
    return Decision(account, forwarded=(founded,))


def change_organization(state: AccountState, command: OrganizationChange) -> Decision | Refused:
    if state.organization is None:
        return unknown("organization", command.account)
    fields = given(command, "name", "allowed_ips")
    if command.max_key_life_s is not None:
        fields["max_key_life_s"] = command.max_key_life_s or None
    return Decision(command.account, (changed(state, state.organization, fields),))
