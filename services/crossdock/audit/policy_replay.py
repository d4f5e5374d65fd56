"""A replay of past requests under policies that are not in force yet. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crossdock_schemas.accounts.policy import Permission, Policy, Rules, permit
from crossdock_schemas.ids import AccountId
from crossdock_schemas.pricing.catalogue import Catalogue

UNRECORDED = ("tools", "content_filter_builtins", "content_filters")
"""Rules about bodies, which are not recorded."""


class PastRequests(NamedTuple):
    """The number of requests of one key for one model and operation."""

    account: str
    project: str
    key_id: str
    model: str
    operation: str
    requests: int
    longer: int = 0
    """Those whose answers have more tokens than the new rules permit."""

    @property
    def scopes(self) -> tuple[str, str, str]:
        """Return the ids whose policies apply, the widest first."""
        return (self.account, self.project, self.key_id)


@dataclass(frozen=True)
class Replayed:
    """Past requests, and the endpoints that policies permit them."""

    past: PastRequests
    permission: Permission

    @property
    def is_refused(self) -> bool:
        return not self.permission.permitted


@dataclass(frozen=True)
class ReplayTotal:
    """All requests, and those that would be refused."""

    requests: int
    refused: int
    longer: int = 0


def with_rules(policies: Iterable[Policy], account: str, scope: str, rules: Rules) -> list[Policy]:
    """Return `policies` with `rules` as the policy of `scope`."""
    others = [policy for policy in policies if policy.scope != scope]
    ours = Policy(account=AccountId(account), scope=scope, rules=rules, version=0, updated_at_ms=0)
    return [*others, ours]


def bound_by(scope: str, past: Iterable[PastRequests]) -> list[PastRequests]:
    """Return the requests that a policy of `scope` applies to."""
    return [one for one in past if scope in one.scopes]


def replay(
    past: Iterable[PastRequests], catalogue: Catalogue, policies: Sequence[Policy]
) -> list[Replayed]:
    """Return each with its permission under `policies`: refused ones first, then the most frequent ones."""
    by_scope = {policy.scope: policy for policy in policies}
    found = [
        Replayed(
            one,
            permit(
                catalogue.serving(one.model, one.operation),
                [by_scope[scope] for scope in one.scopes if scope in by_scope],
            ),
        )
        for one in past
    ]
    return sorted(found, key=lambda one: (not one.is_refused, -one.past.requests, one.past))


def total_of(replayed: Iterable[Replayed]) -> ReplayTotal:
    replayed = list(replayed)
    counts = [(one.past.requests, one.is_refused) for one in replayed]
    return ReplayTotal(
        requests=sum(requests for requests, _ in counts),
        refused=sum(requests for requests, is_refused in counts if is_refused),
        longer=sum(one.past.longer for one in replayed),
    )


def not_judged(rules: Rules) -> tuple[str, ...]:
    """Return the rules that a replay cannot judge, because no record shows whether a request followed them."""
    return tuple(name for name in UNRECORDED if getattr(rules, name))


def why_excluded(permission: Permission) -> str:
    """Return the rules and scopes that exclude endpoints, as a text; empty if no endpoint is excluded."""
    if not (permission.permitted or permission.excluded):
        return "no endpoint serves it"
    by_rule: dict[tuple[str, str], list[str]] = {}
    for one in permission.excluded:
        by_rule.setdefault((one.rule, one.scope), []).append(one.endpoint)
    return "; ".join(
        f"{rule} of {scope}: {', '.join(endpoints)}" for (rule, scope), endpoints in by_rule.items()
    )
