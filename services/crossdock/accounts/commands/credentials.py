"""Commands for BYOK keys. Their secrets pass through sealed: this stage cannot open them. Pure."""

from typing import Any

from crossdock.accounts.commands.decision import Decision, Refused, changed, given, taken, unknown
from crossdock.accounts.state.account import AccountState
from crossdock_schemas.accounts.control import (
    CredentialAsked,
    CredentialChange,
    CredentialDeletion,
    CredentialRewrap,
    Refusal,
)
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.calls.cancel import Cancelled

MAX_CREDENTIALS = 1_000
FIELDS = (
    *("name", "disabled", "is_fallback", "is_required", "is_byok_only", "sort_order"),
    *("allowed_models", "allowed_keys", "allowed_users", "declared_zdr", "declared_region"),
)
KIND = "BYOK key"


def create_credential(state: AccountState, command: CredentialAsked) -> Decision | Refused:
    credential = command.credential
    identifier = credential.credential_id
    if identifier in state.credentials:
        return taken(identifier)
    if len(state.credentials) >= MAX_CREDENTIALS:
        reason = f"An organization has {MAX_CREDENTIALS} BYOK keys at most: delete some."
        return Refused(identifier, Refusal.CONFLICT, reason)
    if credential.project is not None and credential.project not in state.projects:
        return unknown("project", credential.project)
    made = _numbered(state, credential, {"secret_version": 1})
    wrong = _why_wrong(state, made) or _why_outdated(made, command.sealed)
    if wrong is not None:
        return Refused(identifier, Refusal.INVALID, wrong)
    return Decision(identifier, (made,), secrets=((identifier, command.sealed),))


def change_credential(state: AccountState, command: CredentialChange) -> Decision | Refused:
    old = state.credentials.get(command.credential_id)
    if old is None:
        return unknown(KIND, command.credential_id)
    fields = given(command, *FIELDS) | dict.fromkeys(command.emptied)
    if command.sealed is not None:
        fields |= {"secret_version": old.secret_version + 1, "label": command.label or "..."}
    made = _numbered(state, old, fields)
    wrong = _why_wrong(state, made)
    if wrong is not None:
        return Refused(old.credential_id, Refusal.INVALID, wrong)
    if command.sealed is None:
        return Decision(old.credential_id, (made,), cancels=_cancels(state, old, made))
    outdated = _why_outdated(made, command.sealed)
    if outdated is not None:
        return Refused(old.credential_id, Refusal.CONFLICT, outdated)
    return Decision(
        old.credential_id,
        (made,),
        cancels=_cancels(state, old, made),
        also_logged={"secret": "replaced"},
        secrets=((old.credential_id, command.sealed),),
    )


def delete_credential(state: AccountState, command: CredentialDeletion) -> Decision | Refused:
    identifier = command.credential_id
    if identifier not in state.credentials:
        return unknown(KIND, identifier)
    return Decision(identifier, deleted=(identifier,), secrets=((identifier, None),))


def rewrap_credential(state: AccountState, command: CredentialRewrap) -> Decision | Refused:
    old = state.credentials.get(command.credential_id)
    if old is None:
        return unknown(KIND, command.credential_id)
    outdated = _why_outdated(old, command.sealed)
    if outdated is not None:
        return Refused(old.credential_id, Refusal.CONFLICT, outdated)
    also_logged = {"master_key": command.sealed.master_key_id}
    return Decision(
        old.credential_id, also_logged=also_logged, secrets=((old.credential_id, command.sealed),)
    )


def _numbered(state: AccountState, credential: Credential, fields: dict[str, Any]) -> Credential:
    return changed(state, credential, fields | {"version": state.number + 1})


def _why_wrong(state: AccountState, credential: Credential) -> str | None:
    if credential.is_byok_only and credential.is_fallback:
        return "is_byok_only leaves no key for which is_fallback could wait: choose one of them."
    if credential.allowed_keys is not None:
        missing = [key for key in credential.allowed_keys if key not in state.keys]
        if missing or not credential.allowed_keys:
            return f"There is no such key: {', '.join(missing) or 'the list is empty'}."
    if credential.allowed_users == ():
        return "allowed_users is empty, so no end user could use the key: name end users, or disable it."
    return None


def _why_outdated(credential: Credential, sealed: SealedSecret) -> str | None:
    """Return why `sealed` is not the present secret of `credential`."""
    place = (sealed.account, sealed.credential_id, sealed.version)
    if place == (credential.account, credential.credential_id, credential.secret_version):
        return None
    return (
        "The secret was sealed for another version of the key: it has changed meanwhile. Ask again."
    )


def _cancels(state: AccountState, old: Credential, new: Credential) -> tuple[Cancelled, ...]:
    """Return what stops workers from using the key, or lets them use it again."""
    if old.disabled == new.disabled:
        return ()
    return (Cancelled(id=new.credential_id, at_ms=state.now_ms, is_lifted=old.disabled),)
