"""The content filter: the sensitive data that a policy looks for in requests, and the action. Pure.

Fields are OpenRouter's guardrail's: `content_filter_builtins` and `content_filters`.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import Field, StringConstraints

from crossdock_schemas.message import Message

MAX_PATTERN = 1000  # characters
MAX_FILTERS = 20  # patterns of one policy
CUSTOM = "custom"
"""Name of findings of a pattern without a label."""
LABEL_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?$"


class Action(StrEnum):
    """The action for a finding, the weakest first: count it; also remove it; refuse the request."""

    FLAG = "flag"
    REDACT = "redact"
    BLOCK = "block"

    @property
    def strength(self) -> int:
        return list(Action).index(self)


class Builtin(StrEnum):
    """A detector that every policy can use."""

    EMAIL = "email"
    CREDIT_CARD = "credit-card"
    IBAN = "iban"
    SSN = "ssn"
    ES_DNI = "es-dni"
    DE_TAX_ID = "de-tax-id"
    IT_CODICE_FISCALE = "it-codice-fiscale"
    IP_ADDRESS = "ip-address"
    PHONE = "phone"


class BuiltinFilter(Message):
    """The action of a policy for findings of a built-in detector."""

    slug: Builtin
    action: Action


class PatternFilter(Message):
    """The action of a policy for matches of a regular expression."""

    pattern: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATTERN)]
    """In RE2's syntax."""
    action: Action
    label: Annotated[str, StringConstraints(pattern=LABEL_PATTERN)] | None = None
    """Name of the findings; None: `custom`."""

    @property
    def name(self) -> str:
        return self.label or CUSTOM


BuiltinFilters = Annotated[tuple[BuiltinFilter, ...], Field(max_length=len(Builtin))]
PatternFilters = Annotated[tuple[PatternFilter, ...], Field(max_length=MAX_FILTERS)]


class Detector(Message):
    """One thing to look for."""

    name: str
    action: Action
    scope: str
    """Id of the organization, project or key whose policy demands the action."""
    pattern: str | None = None
    """Pattern of the policy; None: the built-in detector of this name."""


class GuardRules(Message):
    """All detectors for a request, built-in ones first."""

    detectors: tuple[Detector, ...] = ()


NO_GUARD = GuardRules()


class Filters(NamedTuple):
    """The filters of the policy of `scope`."""

    scope: str
    builtins: Sequence[BuiltinFilter] = ()
    patterns: Sequence[PatternFilter] = ()


def combine(filters: Iterable[Filters]) -> GuardRules:
    """Return the detectors of all policies together. The strongest action for a detector wins."""
    found: dict[tuple[str, str | None], Detector] = {}
    order = {builtin.value: place for place, builtin in enumerate(Builtin)}
    for one in filters:
        for detector in _detectors(one):
            place = (
                ("", detector.pattern) if detector.pattern is not None else (detector.name, None)
            )
            known = found.get(place)
            if known is None or detector.action.strength > known.action.strength:
                found[place] = detector
    ordered = sorted(
        found.values(), key=lambda d: len(order) if d.pattern is not None else order[d.name]
    )
    return GuardRules(detectors=tuple(ordered))


def _detectors(filters: Filters) -> Iterable[Detector]:
    scope = filters.scope
    for builtin in filters.builtins:
        yield Detector(name=builtin.slug.value, action=builtin.action, scope=scope)
    for own in filters.patterns:
        yield Detector(name=own.name, action=own.action, scope=scope, pattern=own.pattern)
