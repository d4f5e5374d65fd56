"""The directory of accounts: the kinds of entity in it, and their keys. Pure."""

from typing import NamedTuple

from crossdock_schemas.accounts.account import ApiKey, Organization, Project
from crossdock_schemas.accounts.attribution import is_mark
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.credit import Credit, Lots
from crossdock_schemas.accounts.demands import REQUEST
from crossdock_schemas.accounts.journal import MarkSpend, Spend
from crossdock_schemas.accounts.policy import Policy
from crossdock_schemas.accounts.preset import Preset
from crossdock_schemas.ids import AccountId
from crossdock_schemas.windows import Window

Entity = (
    Organization
    | Project
    | ApiKey
    | Policy
    | Budget
    | Preset
    | Credential
    | Credit
    | Lots
    | Spend
    | MarkSpend
)


class EntityKind(NamedTuple):
    """One kind of entity in the directory."""

    prefix: str
    """The beginning of its keys, before their first underscore."""
    model: type[Entity]
    key: str
    """Its key in the directory, a format of its fields. For an end user or a tag, `listed_as` adds the account."""


KINDS = (
    EntityKind("org", Organization, "{account}"),
    EntityKind("proj", Project, "{project}"),
    EntityKind("key", ApiKey, "{key_id}"),
    EntityKind("policy", Policy, "policy_{scope}"),
    EntityKind("budget", Budget, "budget_{window}_{scope}"),
    EntityKind("preset", Preset, "preset_{slug}_{scope}"),
    EntityKind("byok", Credential, "{credential_id}"),
    EntityKind("credit", Credit, "{credit_id}"),
    EntityKind("lots", Lots, "lots_{account}"),
    EntityKind("spend", Spend, "spend_{key_id}"),
    EntityKind("marked", MarkSpend, "marked_{scope}"),
)
"""All kinds of entity, once: topics, the accounts shard, ingress and the audit read this table."""
MARK_LEVELS = ("user", "tag")
"""Levels of budgets only: the beginning of the scope, before its first colon."""
LEVELS = {"org": "organization", "proj": "project", "key": "key"}
"""Levels that a policy or a budget can bind."""


MODELS = {kind.prefix: kind.model for kind in KINDS}
_KEYS = {kind.model: kind.key for kind in KINDS}


def kind_of(identifier: str) -> type[Entity] | None:
    """Return the model of the entity under a key of the directory; None: no kind of ours."""
    prefix, underscore, _ = identifier.partition("_")
    return MODELS.get(prefix) if underscore else None


def identity(entity: Entity) -> str:
    """Return the key of an entity within its account."""
    return _KEYS[type(entity)].format_map(vars(entity))


def level_of(scope: str) -> str:
    """Return the level of a policy's or a budget's scope, or of a BYOK key, in words."""
    if scope == REQUEST:
        return scope
    if is_mark(scope):
        return scope.partition(":")[0]
    kind = scope.partition("_")[0]
    return "own key" if kind == "byok" else LEVELS[kind]


def in_words(scope: str) -> str:
    if scope == REQUEST:
        return f"the {scope}"
    return scope if is_mark(scope) else f"the {level_of(scope)} {scope}"


def budget_id(scope: str, window: Window) -> str:
    return f"budget_{window.value}_{scope}"


def preset_id(scope: str, slug: str) -> str:
    return f"preset_{slug}_{scope}"


def listed_as(account: AccountId, identifier: str) -> str:
    """Return the key in the directory: with the account if `identifier` is unique only within it.

    Such are scopes of end users and tags; no other identity contains a colon.
    """
    return f"{identifier}@{account}" if ":" in identifier else identifier


def policy_id(scope: str) -> str:
    return f"policy_{scope}"
