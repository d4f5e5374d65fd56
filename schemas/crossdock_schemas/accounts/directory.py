"""The directory of accounts: which entities lie in it, and under which keys. Pure."""

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
KINDS: dict[str, type[Entity]] = {
    "org": Organization,
    "proj": Project,
    "key": ApiKey,
    "policy": Policy,
    "budget": Budget,
    "preset": Preset,
    "byok": Credential,
    "credit": Credit,
    "lots": Lots,
    "spend": Spend,
    "marked": MarkSpend,
}
"""By what a key begins with, before its first underscore."""
MARK_LEVELS = ("user", "tag")
"""Of budgets only: by what the scope begins with, before its first colon."""
LEVELS = {"org": "organization", "proj": "project", "key": "key"}
"""What a policy can bind, and a budget too."""


def kind_of(identifier: str) -> type[Entity] | None:
    return KINDS.get(identifier.partition("_")[0])


def level_of(scope: str) -> str:
    """Return what a policy's or a budget's scope, or the own provider key that decides, is in words."""
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


def marked_id(scope: str) -> str:
    return f"marked_{scope}"


def listed_as(account: AccountId, identifier: str) -> str:
    """Return the key in the directory: with the account where `identifier` is one within its organization only.

    That is what an end user's or a tag's scope is in; no other identity has a colon.
    """
    return f"{identifier}@{account}" if ":" in identifier else identifier


def policy_id(scope: str) -> str:
    return f"policy_{scope}"
