"""The directory of accounts: which entities lie in it, and under which keys. Pure."""

from crossdock_schemas.account import ApiKey, Organization, Project
from crossdock_schemas.budget import Budget, Window
from crossdock_schemas.credential import Credential
from crossdock_schemas.credit import Credit
from crossdock_schemas.journal import Spend
from crossdock_schemas.policy import Policy
from crossdock_schemas.preset import Preset

Entity = Organization | Project | ApiKey | Policy | Budget | Preset | Credential | Credit | Spend
KINDS: dict[str, type[Entity]] = {
    "org": Organization,
    "proj": Project,
    "key": ApiKey,
    "policy": Policy,
    "budget": Budget,
    "preset": Preset,
    "byok": Credential,
    "credit": Credit,
    "spend": Spend,
}
"""By what a key begins with, before its first underscore."""
LEVELS = {"org": "organization", "proj": "project", "key": "key"}
"""What a policy can bind."""


def kind_of(identifier: str) -> type[Entity] | None:
    return KINDS.get(identifier.partition("_")[0])


def level_of(scope: str) -> str:
    """Return what a policy's scope, or the own provider key that decides, is in words."""
    kind = scope.partition("_")[0]
    return "own key" if kind == "byok" else LEVELS[kind]


def budget_id(scope: str, window: Window) -> str:
    return f"budget_{window.value}_{scope}"


def preset_id(scope: str, slug: str) -> str:
    return f"preset_{slug}_{scope}"


def policy_id(scope: str) -> str:
    return f"policy_{scope}"
