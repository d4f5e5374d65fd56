"""Views of the accounts directory and of the outcomes of commands."""

from collections import OrderedDict

from pydantic import ValidationError

from crossdock.ingress.views.read_your_writes import Arrivals
from crossdock.kernel.drivers.kafka.tail import pass_over
from crossdock.kernel.process.record import Record
from crossdock_schemas.accounts.account import ApiKey, Organization, Project, rotation_root
from crossdock_schemas.accounts.attribution import is_mark
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.content_filter import GuardRules
from crossdock_schemas.accounts.control import Change
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.credit import Credit, Lots
from crossdock_schemas.accounts.directory import Entity, budget_id, kind_of, listed_as
from crossdock_schemas.accounts.journal import MarkSpend, Spend
from crossdock_schemas.accounts.policy import Policy, guard_of
from crossdock_schemas.accounts.preset import Preparation, Preset, preparation_of
from crossdock_schemas.ids import AccountId, CredentialId, CreditId, KeyId, ProjectId
from crossdock_schemas.windows import Window

MAX_CHANGES = 10_000
MAX_GONE = 10_000
RECENT_MS = 60_000  # changes older than this were answered, or their callers are gone


class AccountsView:
    """The entities of the directory. Keys are found by the digest of their text."""

    def __init__(self) -> None:
        self.organizations: dict[AccountId, Organization] = {}
        self.projects: dict[ProjectId, Project] = {}
        self.keys: dict[KeyId, ApiKey] = {}
        self.policies: dict[str, Policy] = {}
        """By the id of the organization, project or key that they bind."""
        self.budgets: dict[str, Budget] = {}
        """By their key in the directory."""
        self.presets: dict[str, dict[str, Preset]] = {}
        """By the id of the organization or project that they are for, and slug."""
        self.credentials: dict[CredentialId, Credential] = {}
        self.credits: dict[CreditId, Credit] = {}
        self.lots: dict[AccountId, Lots] = {}
        """Credits that expire."""
        self.spends: dict[KeyId, Spend] = {}
        self.mark_spends: dict[AccountId, dict[str, MarkSpend]] = {}
        """Spending for end users and under tags, by account and scope."""
        self._chains: dict[KeyId, set[KeyId]] = {}
        """Keys that have spent, by the first one of their chain of rotations."""
        self._guards: dict[tuple[str, ...], GuardRules] = {}
        self._by_hash: dict[str, ApiKey] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()
        self.arrivals = Arrivals()

    @property
    def is_founded(self) -> bool:
        return bool(self.organizations)

    def apply(self, record: Record) -> None:
        """Take in a record of the directory."""
        identifier = (record.key or b"").decode(errors="replace")
        kind = kind_of(identifier)
        try:
            entity = kind.from_json(record.value) if kind and record.value is not None else None
        except ValidationError as error:
            pass_over(record, error)
            return
        self._drop_key(KeyId(identifier))
        if entity is None:
            self._drop(identifier)
        else:
            self._put(identifier, entity)
        self.arrivals.came(identifier)

    def _put(self, identifier: str, entity: Entity) -> None:  # noqa: C901, PLR0912  # one line for each kind
        match entity:
            case Organization():
                self.organizations[entity.account] = entity
            case Project():
                self.projects[entity.project] = entity
            case ApiKey():
                self.keys[entity.key_id] = entity
                self._by_hash[entity.hash] = entity
                self._gone.pop(entity.hash, None)
                self.arrivals.came(entity.hash)
            case Policy():
                self.policies[entity.scope] = entity
                self._guards.clear()
            case Budget():
                self.budgets[identifier] = entity
            case Preset():
                self.presets.setdefault(entity.scope, {})[entity.slug] = entity
            case Credential():
                self.credentials[entity.credential_id] = entity
            case Credit():
                self.credits[entity.credit_id] = entity
            case Lots():
                self.lots[entity.account] = entity
            case Spend():
                self.spends[entity.key_id] = entity
                root = entity.rotation_root or entity.key_id
                self._chains.setdefault(root, set()).add(entity.key_id)
            case MarkSpend():
                self.mark_spends.setdefault(entity.account, {})[entity.scope] = entity

    def _drop(self, identifier: str) -> None:
        """Remove a policy, a budget, a preset or a BYOK key; other entities are never removed."""
        if self.policies.pop(identifier.removeprefix("policy_"), None) is not None:
            self._guards.clear()
        self.budgets.pop(identifier, None)
        self.credentials.pop(CredentialId(identifier), None)
        if identifier.startswith("preset_"):
            _, slug, scope = identifier.split("_", 2)
            self.presets.get(scope, {}).pop(slug, None)

    def _drop_key(self, key_id: KeyId) -> None:
        old = self.keys.pop(key_id, None)
        if old is not None:
            self._by_hash.pop(old.hash, None)
            self._gone[old.hash] = None
            if len(self._gone) > MAX_GONE:
                self._gone.popitem(last=False)

    def budgets_of(self, account: AccountId, scope: str) -> list[Budget]:
        """Return the budgets of a scope in an organization, in the order of windows."""
        names = (listed_as(account, budget_id(scope, window)) for window in Window)
        found = (self.budgets.get(name) for name in names)
        return [budget for budget in found if budget is not None]

    def preparation_of(
        self, account: AccountId, project: ProjectId, key_id: KeyId
    ) -> Preparation | None:
        """Return the presets and content filters of a key's requests; None: there are none."""
        return preparation_of(
            self.presets.get(account, {}),
            self.presets.get(project, {}),
            guard=self._guard_of((account, project, key_id)),
        )

    def _guard_of(self, scopes: tuple[str, ...]) -> GuardRules:
        """Return the content filters of the policies of `scopes`; cached until a policy changes."""
        guard = self._guards.get(scopes)
        if guard is None:
            found = (self.policies.get(scope) for scope in scopes)
            guard = guard_of(policy for policy in found if policy is not None)
            self._guards[scopes] = guard
        return guard

    def root_of(self, scope: str) -> str:
        """Return the scope that counts for a scope's budgets: for a key, the first of its chain of rotations."""
        key = self.keys.get(KeyId(scope))
        return scope if key is None else rotation_root(self.keys, key)

    def spends_of_key(self, key_id: KeyId) -> list[Spend]:
        """Return the spending that the budgets of a key count."""
        chain = self._chains.get(KeyId(self.root_of(key_id)), ())
        return [self.spends[one] for one in chain]

    def spends_of(self, account: AccountId, scope: str) -> list[Spend | MarkSpend]:
        """Return the spending of a scope in an organization; it may contain that of other scopes."""
        if not is_mark(scope):
            return list(self.spends.values())
        found = self.mark_spends.get(account, {}).get(scope)
        return [] if found is None else [found]

    def key_of(self, hashed: str) -> ApiKey | None:
        return self._by_hash.get(hashed)

    def is_gone(self, hashed: str) -> bool:
        """Return whether a key was deleted lately, so that it is not waited for."""
        return hashed in self._gone

    def find_key(self, hash_or_id: str) -> ApiKey | None:
        return self._by_hash.get(hash_or_id) or self.keys.get(KeyId(hash_or_id))


class Answers:
    """Outcomes of the latest commands, by account: a command may pass from one account's shard to another's."""

    def __init__(self) -> None:
        self._changes: OrderedDict[str, dict[tuple[AccountId, str], Change]] = OrderedDict()
        """By id, then by account and action."""
        self.arrivals = Arrivals()

    def apply(self, record: Record) -> None:
        """Take in a record of the log of changes."""
        try:
            change = Change.from_json(record.value or b"")
        except ValidationError as error:
            pass_over(record, error)
            return
        place = (change.account, change.action)
        self._changes.setdefault(change.change_id, {})[place] = change
        if len(self._changes) > MAX_CHANGES:
            self._changes.popitem(last=False)
        self.arrivals.came(change.change_id)

    def find(self, change_id: str, account: AccountId, action: str | None = None) -> Change | None:
        """Return the outcome of a command at `account`, or the refusal of an account before it.

        `action`: the command's name there, if an account may hand it on to itself by another name.
        """
        found = self._changes.get(change_id, {}).values()
        refused = (change for change in found if change.refusal is not None)
        said = (c for c in found if c.account == account and action in {None, c.action})
        return next(refused, None) or next(said, None)
