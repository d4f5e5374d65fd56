"""What would policies have refused? Pure: requests of the past, held against rules that are not in force yet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crossdock_schemas.accounts.policy import Permission, Policy, Rules, permit
from crossdock_schemas.ids import AccountId
from crossdock_schemas.pricing.catalogue import Catalogue

UNRECORDED = ("tools", "content_filter_builtins", "content_filters")


class Asked(NamedTuple):
    """So many requests of one key for one model and operation."""

    account: str
    project: str
    key_id: str
    model: str
    operation: str
    requests: int
    longer: int = 0
    """Of them those with an answer of more tokens than the tried rules permit."""

    @property
    def scopes(self) -> tuple[str, str, str]:
        """Return whose policies bind them, the widest first."""
        return (self.account, self.project, self.key_id)


@dataclass(frozen=True)
class Foreseen:
    """What would become of them."""

    asked: Asked
    permission: Permission

    @property
    def is_refused(self) -> bool:
        return not self.permission.permitted


@dataclass(frozen=True)
class Total:
    """Requests in all, and those that would be refused."""

    requests: int
    refused: int
    longer: int = 0


def with_rules(policies: Iterable[Policy], account: str, scope: str, rules: Rules) -> list[Policy]:
    """Return `policies` as they would be if `rules` bound `scope`."""
    others = [policy for policy in policies if policy.scope != scope]
    ours = Policy(account=AccountId(account), scope=scope, rules=rules, version=0, updated_at_ms=0)
    return [*others, ours]


def bound_by(scope: str, asked: Iterable[Asked]) -> list[Asked]:
    """Return the requests that a policy of `scope` binds; it can refuse no others."""
    return [one for one in asked if scope in one.scopes]


def foresee(
    asked: Iterable[Asked], catalogue: Catalogue, policies: Sequence[Policy]
) -> list[Foreseen]:
    """Return what would become of each under `policies`: refused ones first, then the most frequent ones."""
    by_scope = {policy.scope: policy for policy in policies}
    found = [
        Foreseen(
            one,
            permit(
                catalogue.serving(one.model, one.operation),
                [by_scope[scope] for scope in one.scopes if scope in by_scope],
            ),
        )
        for one in asked
    ]
    return sorted(found, key=lambda one: (not one.is_refused, -one.asked.requests, one.asked))


def total_of(foreseen: Iterable[Foreseen]) -> Total:
    foreseen = list(foreseen)
    counts = [(one.asked.requests, one.is_refused) for one in foreseen]
    return Total(
        requests=sum(requests for requests, _ in counts),
        refused=sum(requests for requests, is_refused in counts if is_refused),
        longer=sum(one.asked.longer for one in foreseen),
    )


def not_judged(rules: Rules) -> tuple[str, ...]:
    """Return the rules of which the records of the past do not tell whether a request kept to them."""
    return tuple(name for name in UNRECORDED if getattr(rules, name))


def why_excluded(permission: Permission) -> str:
    """Say which rule of which scope excludes which endpoints; empty if none is excluded."""
    if not (permission.permitted or permission.excluded):
        return "no endpoint serves it"
    by_rule: dict[tuple[str, str], list[str]] = {}
    for one in permission.excluded:
        by_rule.setdefault((one.rule, one.scope), []).append(one.endpoint)
    return "; ".join(
        f"{rule} of {scope}: {', '.join(endpoints)}" for (rule, scope), endpoints in by_rule.items()
    )
