"""The first organization of an installation: the operator's, with a project, an owner's key and an inference key."""

from crossdock.kernel.process.record import Outgoing
from crossdock_schemas.accounts.account import ApiKey, Organization, Project, Role
from crossdock_schemas.accounts.control import Founded
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import OPERATOR, KeyId, ProjectId, make_change_id
from crossdock_schemas.topics import ACCOUNT_COMMANDS

PROJECT = ProjectId("proj_default")
OWNER_KEY = KeyId("key_owner")
API_KEY = KeyId("key_local")


def make_founded(owner_sha256: str, api_sha256: str, now_ms: int) -> Founded:
    """Return the command that makes what is not there; it may be given at every start."""
    stamps = {"created_at_ms": now_ms, "updated_at_ms": now_ms}
    owner, app = (
        ApiKey(
            key_id=key_id,
            hash=sha256,
            label=f"SHA-256 {sha256[:8]}...",
            account=OPERATOR,
            project=PROJECT,
            name=name,
            role=role,
            **stamps,
        )
        for key_id, sha256, name, role in (
            (OWNER_KEY, owner_sha256, "owner", Role.OWNER),
            (API_KEY, api_sha256, "default", None),
        )
    )
    return Founded(
        change_id=make_change_id(now_ms),
        account=OPERATOR,
        at_ms=now_ms,
        organization=Organization(account=OPERATOR, name="local", is_operator=True, **stamps),
        project=Project(account=OPERATOR, project=PROJECT, name="default", **stamps),
        keys=(owner, app),
    )


def founded_record(founded: Founded) -> Outgoing:
    headers = encode_headers(
        ACCOUNT_COMMANDS, "crossdock/provision", founded.change_id, founded.at_ms, None
    )
    return Outgoing(ACCOUNT_COMMANDS.name, founded.account.encode(), founded.to_json(), headers)
