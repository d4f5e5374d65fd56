"""The state of one account. Pure."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from crossdock.accounts.state.cost_history import CostHistory
from crossdock.accounts.state.token_bucket import TokenBucket
from crossdock.accounts.state.totals import SpendPlace, Totals, mark_spend_of, spend_of, totals_of
from crossdock.accounts.state.waiting import WaitingLines
from crossdock_schemas.accounts.account import ApiKey, Organization, Project, rotation_root
from crossdock_schemas.accounts.budget import Budget
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.credit import Credit, Lots
from crossdock_schemas.accounts.directory import (
    Entity,
    budget_id,
    policy_id,
    preset_id,
)
from crossdock_schemas.accounts.journal import MarkSpend, Spend
from crossdock_schemas.accounts.policy import Policy
from crossdock_schemas.accounts.preset import Preset
from crossdock_schemas.ids import AccountId, BatchId, CredentialId, CreditId, KeyId, ProjectId
from crossdock_schemas.money import Units, to_units, to_usd
from crossdock_schemas.windows import Window, day_of

CREDITS = "credits"


def chain_of(root: KeyId) -> str:
    """Return the name of the totals of a chain of rotations."""
    return f"rotations of {root}"


class Alerted(NamedTuple):
    """The last alert of a budget, or of the credits: on which occasion, and how grave (1: nearly used, 2: used)."""

    occasion: str
    level: int


@dataclass
class AccountState:
    """All that is known of one account."""

    account: AccountId
    number: int = 0
    """The number of its last change."""
    entries: int = 0
    """The number of its last entry in the journal."""
    now_ms: int = 0
    """Its clock, which never goes back."""
    organization: Organization | None = None
    projects: dict[ProjectId, Project] = field(default_factory=dict)
    keys: dict[KeyId, ApiKey] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    """By identity."""
    budgets: dict[str, dict[Window, Budget]] = field(default_factory=dict)
    """By scope."""
    presets: dict[str, Preset] = field(default_factory=dict)
    """By identity."""
    credentials: dict[CredentialId, Credential] = field(default_factory=dict)
    """BYOK keys, without their secrets."""
    totals: dict[str, Totals] = field(default_factory=dict)
    """By scope: the organization, projects and keys, deleted ones too; and `attributed`."""
    spenders: dict[KeyId, ProjectId] = field(default_factory=dict)
    """Keys that have totals."""
    roots: dict[KeyId, KeyId] = field(default_factory=dict)
    """By key: the first one of its chain of rotations, where the chain has two or more. It has deleted keys, too."""
    attributed: set[str] = field(default_factory=set)
    """Scopes of end users and tags that have, or had, a budget: calls are attributed to them."""
    credits: dict[CreditId, Credit] = field(default_factory=dict)
    credit_total: Units = 0
    lots: Lots | None = None
    """Credits that expire; None: there never were any."""
    busy_until_ms: dict[KeyId, int] = field(default_factory=dict)
    """For keys with a request limit, see `request_rate`."""
    buckets: dict[KeyId, TokenBucket] = field(default_factory=dict)
    """For keys with a token limit, see `token_bucket`."""
    alerted: dict[str, Alerted] = field(default_factory=dict)
    """By the identity of a budget, or `credits`."""
    cost_history: dict[str, CostHistory] = field(default_factory=dict)
    """By model, where a fluid budget needs it."""
    waiting: dict[tuple[BatchId, str], WaitingLines] = field(default_factory=dict)
    """Lines of batches that wait for headroom, by batch and model."""

    def put(self, entity: Entity) -> None:  # noqa: C901, PLR0912  # one line for each kind
        match entity:
            case Organization():
                self.organization = entity
            case Project():
                self.projects[entity.project] = entity
            case ApiKey():
                self.keys[entity.key_id] = entity
            case Policy():
                self.policies[policy_id(entity.scope)] = entity
            case Budget():
                self.budgets.setdefault(entity.scope, {})[entity.window] = entity
            case Preset():
                self.presets[preset_id(entity.scope, entity.slug)] = entity
            case Credential():
                self.credentials[entity.credential_id] = entity
            case Credit():
                self.credits[entity.credit_id] = entity
                self.credit_total += to_units(entity.amount_usd)
            case Lots():
                self.lots = entity
            case Spend():
                self._take(entity)
            case MarkSpend():  # pragma: no branch  # mypy checks that no case is missing
                self.attributed.add(entity.scope)
                self.totals[entity.scope] = totals_of(entity)

    def _take(self, spend: Spend) -> None:
        """Take over the totals of a key that has none yet."""
        found = totals_of(spend)
        if spend.rotation_root is not None:
            self.roots[spend.key_id] = self.roots[spend.rotation_root] = spend.rotation_root
        self.spenders[spend.key_id] = spend.project
        self.totals[spend.key_id] = found
        for scope in (self.account, spend.project):
            self.totals.setdefault(scope, Totals(found.day)).merge(found)

    def link_rotations(self) -> None:
        """Find the chains of rotations of restored keys, and their totals."""
        for key in self.keys.values():
            if key.rotated_from is not None:
                self._link(key)
        for root in set(self.roots.values()):
            self._sum_chain(root)

    def link_rotation(self, key: ApiKey) -> None:
        """Let a successor share budgets and limits with the keys before it."""
        self._sum_chain(self._link(key))

    def _link(self, key: ApiKey) -> KeyId:
        root = rotation_root(self.keys, key)
        root = self.roots.get(root, root)
        self.roots[root] = self.roots[key.key_id] = root
        return root

    def _sum_chain(self, root: KeyId) -> None:
        """Add up the totals of a chain's keys, unless that is done already."""
        chain = chain_of(root)
        if chain not in self.totals:
            self.totals[chain] = merged = Totals(day_of(self.now_ms))
            for member, of in self.roots.items():
                if of == root and member in self.totals:
                    merged.merge(self.totals[member])

    def root_of(self, key_id: KeyId) -> KeyId:
        """Return the key whose limits a minute are counted: the first one of its chain of rotations."""
        return self.roots.get(key_id, key_id)

    def counted(self, scope: str) -> Totals:
        """Return what the budgets of a scope count: of a key, its whole chain of rotations."""
        root = self.roots.get(KeyId(scope))
        return self.totals_of(scope if root is None else chain_of(root))

    def go_on(self, now_ms: int) -> None:
        """Move the clock to `now_ms`, and empty the windows that ended."""
        before, self.now_ms = day_of(self.now_ms), max(self.now_ms, now_ms)
        today = day_of(self.now_ms)
        if today != before:
            for totals in self.totals.values():
                totals.roll(today)

    def totals_of(self, scope: str) -> Totals:
        found = self.totals.get(scope)
        if found is None:
            found = self.totals[scope] = Totals(day_of(self.now_ms))
        return found

    def mark_spend(self, scope: str) -> MarkSpend:
        """Return what the directory shows of one of `attributed`."""
        return mark_spend_of(self.totals[scope], self.account, scope, self.now_ms)

    def spend(self, key_id: KeyId) -> Spend:
        """Return what the directory shows of a key that has totals."""
        project = self.spenders[key_id]
        root = self.root_of(key_id)
        place = SpendPlace(self.account, project, key_id, None if root == key_id else root)
        return spend_of(self.totals[key_id], place, self.now_ms)

    def spending(self, name: str) -> Spend | MarkSpend:
        """Return what the directory shows of a key that has totals, or of one of `attributed`."""
        return self.mark_spend(name) if name in self.attributed else self.spend(KeyId(name))

    def cost_history_of(self, model: str) -> CostHistory:
        return self.cost_history.setdefault(model, CostHistory(self.account, model))

    def find(self, identifier: str) -> Entity | None:
        """Return the organization, project, key, policy, budget, preset or BYOK key."""
        return (
            {self.account: self.organization}.get(AccountId(identifier))
            or self.projects.get(ProjectId(identifier))
            or self.keys.get(KeyId(identifier))
            or self.policies.get(identifier)
            or self.presets.get(identifier)
            or self.credentials.get(CredentialId(identifier))
            or self._budget(identifier)
        )

    def _budget(self, identifier: str) -> Budget | None:
        found = (b for budgets in self.budgets.values() for b in budgets.values())
        return next((b for b in found if budget_id(b.scope, b.window) == identifier), None)

    def drop(self, identifier: str) -> None:
        """Remove a key, a policy, a budget, a preset or a BYOK key."""
        budget = self._budget(identifier)
        if identifier in self.policies:
            del self.policies[identifier]
        elif identifier in self.presets:
            del self.presets[identifier]
        elif identifier in self.credentials:
            del self.credentials[CredentialId(identifier)]
        elif budget is not None:
            del self.budgets[budget.scope][budget.window]
        else:
            del self.keys[KeyId(identifier)]

    def entities(self) -> list[Entity]:
        organization = [] if self.organization is None else [self.organization]
        return [
            *organization,
            *self.projects.values(),
            *self.keys.values(),
            *self.policies.values(),
            *self.presets.values(),
            *(budget for budgets in self.budgets.values() for budget in budgets.values()),
            *self.credentials.values(),
            *self.credits.values(),
            *([] if self.lots is None else [self.lots]),
            *(self.spend(key_id) for key_id in self.spenders),
            *map(self.mark_spend, self.attributed),
        ]

    def spent_usd(self) -> Decimal:
        """Return what was spent, without what BYOK keys paid for."""
        return to_usd(self.totals_of(self.account).spent_in(Window.TOTAL, include_byok=False))

    def credits_left(self) -> Units:
        """Return the credits that are neither spent nor held; calls with BYOK keys need none."""
        used = self.totals_of(self.account).used(Window.TOTAL, include_byok=False)
        lots = () if self.lots is None else self.lots.lots
        lapsing = sum((lot.lapsing_usd for lot in lots), Decimal(0))
        start = self.prepaid_from_usd or Decimal(0)
        return self.credit_total + to_units(start - lapsing) - used

    @property
    def prepaid_from_usd(self) -> Decimal | None:
        """The amount that had been spent when credits began to bind; None: they do not bind."""
        return None if self.organization is None else self.organization.prepaid_from_usd

    def has_scope(self, identifier: str) -> bool:
        """Return whether it is the organization, one of its projects or one of its keys."""
        return identifier in {self.account, *self.projects, *self.keys}
