"""The guard of sensitive data: what a policy looks for in requests, and what then happens. Pure.

Fields are OpenRouter's guardrail's: `content_filter_builtins` and `content_filters`.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import Field, StringConstraints

from crossdock_schemas.message import Message

MAX_PATTERN = 1000  # characters
MAX_FILTERS = 20  # own patterns of one policy
CUSTOM = "custom"
"""What findings of an own pattern without a label are called."""
LABEL_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?$"


class Action(StrEnum):
    """What happens where something is found, the weakest first: it is counted; also taken out; the request refused."""

    FLAG = "flag"
    REDACT = "redact"
    BLOCK = "block"

    @property
    def strength(self) -> int:
        return list(Action).index(self)


class Builtin(StrEnum):
    """A detector that is there for everybody."""

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
    """What a policy does where one of our detectors finds something."""

    slug: Builtin
    action: Action


class PatternFilter(Message):
    """What a policy does where a regular expression of its own matches."""

    pattern: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATTERN)]
    """In RE2's syntax."""
    action: Action
    label: Annotated[str, StringConstraints(pattern=LABEL_PATTERN)] | None = None
    """What findings are called; None: `custom`."""

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
    """Of an own one; None: the built-in one of this name."""


class GuardRules(Message):
    """All that is to be looked for in a request, built-in detectors first."""

    detectors: tuple[Detector, ...] = ()


NO_GUARD = GuardRules()


class Filters(NamedTuple):
    """What the policy of `scope` looks for."""

    scope: str
    builtins: Sequence[BuiltinFilter] = ()
    patterns: Sequence[PatternFilter] = ()


def combine(filters: Iterable[Filters]) -> GuardRules:
    """Return what all policies together look for. Of several actions for one thing the strongest wins."""
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
