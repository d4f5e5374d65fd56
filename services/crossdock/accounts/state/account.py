"""The state of one account, and how it lies in pages on the compacted topic. Pure."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from crossdock.accounts.state.cost_history import Usual
from crossdock.accounts.state.token_bucket import Bucket
from crossdock.accounts.state.totals import Tally, mark_spend_of, spend_of, tally_of
from crossdock.accounts.state.waiting import Waiting
from crossdock_schemas.accounts.account import ApiKey, Organization, Project, Role
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
from crossdock_schemas.windows import Window, day_of

CREDITS = "credits"


class Alerted(NamedTuple):
    """What was told: of which happening, and how grave it was (1: nearly used, 2: used)."""

    happening: str
    level: int


@dataclass
class AccountState:
    """All that one account is."""

    account: AccountId
    number: int = 0
    """Of its last change."""
    entries: int = 0
    """Of its last entry in the journal."""
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
    """Own provider keys, without their secrets."""
    tallies: dict[str, Tally] = field(default_factory=dict)
    """By scope: the organization, projects and keys, also those that were deleted; and `marks`."""
    spenders: dict[KeyId, ProjectId] = field(default_factory=dict)
    """Keys that have a tally."""
    marks: set[str] = field(default_factory=set)
    """Scopes of end users and tags that have, or had, a budget: what counts for them is counted."""
    credits: dict[CreditId, Credit] = field(default_factory=dict)
    credits_usd: Decimal = Decimal(0)
    """The sum of them."""
    lots: Lots | None = None
    """Those of them that expire; None: there never were any."""
    busy_until_ms: dict[KeyId, int] = field(default_factory=dict)
    """Of keys with a limit of requests, see `rates`."""
    buckets: dict[KeyId, Bucket] = field(default_factory=dict)
    """Of keys with a limit of tokens, see `tokens`."""
    alerted: dict[str, Alerted] = field(default_factory=dict)
    """What was told last, by the identity of a budget, or `credits`."""
    usual: dict[str, Usual] = field(default_factory=dict)
    """What calls usually cost, by model, where a fluid budget asked."""
    waiting: dict[tuple[BatchId, str], Waiting] = field(default_factory=dict)
    """Batches' lines that there is no money for, by batch and model."""

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
                self.credits_usd += entity.amount_usd
            case Lots():
                self.lots = entity
            case Spend():
                self._take(entity)
            case MarkSpend():  # pragma: no branch  # mypy sees that no case is missing
                self.marks.add(entity.scope)
                self.tallies[entity.scope] = tally_of(entity)

    def _take(self, spend: Spend) -> None:
        """Count what was told of a key that has no tally yet."""
        found = tally_of(spend)
        self.spenders[spend.key_id] = spend.project
        self.tallies[spend.key_id] = found
        for scope in (self.account, spend.project):
            self.tallies.setdefault(scope, Tally(found.day)).merge(found)

    def go_on(self, now_ms: int) -> None:
        """It is `now_ms`: windows that ended begin anew."""
        before, self.now_ms = day_of(self.now_ms), max(self.now_ms, now_ms)
        today = day_of(self.now_ms)
        if today != before:
            for tally in self.tallies.values():
                tally.roll(today)

    def tally(self, scope: str) -> Tally:
        found = self.tallies.get(scope)
        if found is None:
            found = self.tallies[scope] = Tally(day_of(self.now_ms))
        return found

    def mark_spend(self, scope: str) -> MarkSpend:
        """Return what the directory shows of one of `marks`."""
        return mark_spend_of(self.tallies[scope], self.account, scope, self.now_ms)

    def spend(self, key_id: KeyId) -> Spend:
        """Return what the directory shows of a key that has a tally."""
        project = self.spenders[key_id]
        return spend_of(self.tallies[key_id], self.account, project, key_id, self.now_ms)

    def spending(self, name: str) -> Spend | MarkSpend:
        """Return what the directory shows of a key that has a tally, or of one of `marks`."""
        return self.mark_spend(name) if name in self.marks else self.spend(KeyId(name))

    def usual_of(self, model: str) -> Usual:
        return self.usual.setdefault(model, Usual(self.account, model))

    def find(self, identifier: str) -> Entity | None:
        """Return the organization, project, key, policy, budget, preset or own provider key."""
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
        """Take a key, a policy, a budget, a preset or an own provider key away."""
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
            *map(self.mark_spend, self.marks),
        ]

    def credits_left(self) -> Decimal:
        """Return the credits that are neither spent nor held, USD; the tallies are those of today.

        What own provider keys pay for takes none.
        """
        used = self.tally(self.account).used(Window.TOTAL, include_byok=False)
        lots = () if self.lots is None else self.lots.lots
        lapsing = sum((lot.lapsing_usd for lot in lots), Decimal(0))
        return self.credits_usd + (self.prepaid_from_usd or Decimal(0)) - used - lapsing

    @property
    def prepaid_from_usd(self) -> Decimal | None:
        """What had been spent when credits began to bind; None: they do not."""
        return None if self.organization is None else self.organization.prepaid_from_usd

    def has_scope(self, identifier: str) -> bool:
        """Say whether it is the organization, one of its projects or one of its keys."""
        return identifier in {self.account, *self.projects, *self.keys}

    def is_last_owner(self, key: ApiKey) -> bool:
        """Say whether without `key` nobody could manage the organization any more."""
        owners = [k for k in self.keys.values() if k.role is Role.OWNER and not k.disabled]
        return owners == [key]
