"""Policy check: may a parcel's lines run, and at which endpoints? Pure.

Ingress checks once whether the key has expired: a batch that was accepted before continues, and so outlives the overlap
of a rotation. Whether the key was deleted, and what policies permit now, is checked here for each parcel, by the stage
that deletes keys. Lines of one parcel differ only where BYOK keys serve some end users only.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crossdock.accounts.admission.byok_selection import concerned_lines, select_byok_keys
from crossdock.accounts.state.account import AccountState
from crossdock.kernel.requests.exclusion import CATALOGUE, excluded_by
from crossdock.kernel.requests.rejection import LineRefusal
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.accounts.credential import Credential, CredentialRef
from crossdock_schemas.accounts.demands import (
    FIELD,
    NO_ENDPOINT_FOUND,
    REQUEST,
    Demands,
    in_its_words,
)
from crossdock_schemas.accounts.directory import in_words, level_of, policy_id
from crossdock_schemas.accounts.policy import Bounds, Broken, Excluded, Policy, bounds_of, permit
from crossdock_schemas.batches.batch import WaitReason
from crossdock_schemas.ids import AccountId, KeyId
from crossdock_schemas.money import Units
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.pricing.catalogue import Catalogue, Endpoint
from crossdock_schemas.pricing.worst_case import Ask, Rates, rates_of, worst_case

DENIED = "permission_denied"
GONE = LineRefusal(401, "invalid_api_key", "The API key that asked for this was deleted.")
DISABLED = LineRefusal(401, "invalid_api_key", "The API key that asked for this is disabled.")
STOPPED = LineRefusal(403, DENIED, "The project of the API key is disabled.", DENIED)
MAX_NAMED = 8  # excluded endpoints that a refusal's text names
MAX_KNOWN = 10_000
UNKNOWN_RULE = "unknown_parameters"
NO_BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Permit:
    """The endpoints that may be called."""

    rates: tuple[Rates, ...]
    """The endpoints' highest charges."""
    names: tuple[str, ...] | None = None
    """None: all that serve the model."""
    shared: tuple[str, ...] | None = None
    """Those that the installation key may be used at; None: all."""
    credentials: tuple[CredentialRef, ...] | None = None
    """BYOK keys that may be used."""
    bounds: Bounds = NO_BOUNDS
    """Limits for the lines."""


class LinesVerdict(NamedTuple):
    """The verdict on the lines at some places of a parcel."""

    places: Sequence[int]
    verdict: Permit | LineRefusal

    def refusals(self, asks: Sequence[Ask]) -> dict[int, LineRefusal]:
        """Return the refused lines, by place, with the reason; `asks`: what each line of the parcel asks for."""
        verdict = self.verdict
        if isinstance(verdict, LineRefusal):
            return dict.fromkeys(self.places, verdict)
        bounds = verdict.bounds
        if bounds == NO_BOUNDS:
            return {}
        broken = ((place, bounds.broken_by(asks[place])) for place in self.places)
        return {place: _out_of(bounds, rule) for place, rule in broken if rule is not None}


class PolicyQuestion(NamedTuple):
    """All that the verdicts on a parcel depend on."""

    account: AccountId
    change: int
    """Number of the account's last change, of keys, projects, policies or BYOK keys."""
    key_id: KeyId
    model: str
    operation: str
    demands: Demands | None
    unknown: tuple[str, ...]
    is_limited: bool
    """A budget or credits bind it; asked only if it has unknown fields."""
    lines: int
    users: tuple[str, ...]


class PolicyCheck:
    """Checks parcels, and remembers its verdicts until the account changes."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[PolicyQuestion, Sequence[LinesVerdict]] = {}

    def use(self, catalogue: Catalogue) -> None:
        """Judge by `catalogue` from now on."""
        self._catalogue = catalogue
        self._known.clear()

    def check(
        self, state: AccountState | None, parcel: Parcel, *, is_limited: bool = False
    ) -> Sequence[LinesVerdict]:
        """Return why lines of `parcel` are refused, or the endpoints that they may use: one verdict for each line.

        `is_limited`: a budget or credits bind it, which matters only if it has unknown fields.
        """
        if state is None:
            return _to_all(parcel, GONE)
        question = PolicyQuestion(
            state.account,
            state.number,
            parcel.key_id,
            parcel.model,
            parcel.operation,
            parcel.demands,
            parcel.unknown,
            is_limited,
            len(parcel.lines),
            parcel.users if state.credentials else (),
        )
        known = self._known.get(question)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[question] = self._verdicts(state, parcel, is_limited=is_limited)
        return known

    def _verdicts(
        self, state: AccountState, parcel: Parcel, *, is_limited: bool
    ) -> list[LinesVerdict]:
        key = state.keys.get(parcel.key_id)
        if key is None:
            return _to_all(parcel, GONE)
        if key.disabled:
            return _to_all(parcel, DISABLED)
        if state.projects[key.project].disabled:
            return _to_all(parcel, STOPPED)
        policies = applying(state, key)
        serving = self._catalogue.serving(parcel.model, parcel.operation)
        endpoints = [
            one for one in serving if not parcel.unknown or one.takes_unknown(is_limited=is_limited)
        ]
        if serving and not endpoints:
            return _to_all(parcel, _unpriced(parcel, is_limited=is_limited))
        return [
            LinesVerdict(places, self._permit(policies, byok, parcel, endpoints))
            for byok, places in concerned_lines(state, key, parcel, serving)
        ]

    def _permit(
        self,
        policies: Sequence[Policy],
        byok: Sequence[Credential],
        parcel: Parcel,
        endpoints: Sequence[Endpoint],
    ) -> Permit | LineRefusal:
        """`endpoints`: those that take its fields."""
        model = parcel.model
        serving = self._catalogue.serving(model, parcel.operation)
        rules = [*policies, *_of_the_request(parcel)]
        permission = permit(endpoints, rules)
        untaken = _untaken(serving, endpoints)
        found = select_byok_keys(byok, endpoints, permission.permitted, rules, model)
        if endpoints and not found.endpoints:
            left = [one for one in endpoints if one.name in permission.permitted]
            if not left:
                return _refused(model, (*permission.excluded, *untaken))
            excluded = (*permission.excluded, *untaken)
            return _closed(model, excluded, _closed_by(byok, left, model))
        is_all = len(found.endpoints) == len(serving)
        names = None if is_all else tuple(one.name for one in found.endpoints)
        bounds = bounds_of(rules)
        rates = tuple(rates_of(one, bounds.max_tokens) for one in found.endpoints)
        return Permit(rates, names, found.shared, found.credentials, bounds)


def _untaken(serving: Sequence[Endpoint], taking: Sequence[Endpoint]) -> tuple[Excluded, ...]:
    """Return the endpoints that do not take unknown fields."""
    if len(serving) == len(taking):
        return ()
    names = {one.name for one in taking}
    return tuple(
        Excluded(endpoint=one.name, scope=CATALOGUE, rule=UNKNOWN_RULE)
        for one in serving
        if one.name not in names
    )


def _unpriced(parcel: Parcel, *, is_limited: bool) -> LineRefusal:
    """Return the refusal of lines with an unknown field, at a model without an endpoint that takes it."""
    name = parcel.unknown[0]
    why = "A budget or prepaid credits bind this request, and its cost is not known" if is_limited else "No endpoint of the model takes it"  # fmt: skip
    message = (
        f"Unknown parameter: {name!r}. {why}: remove it. If it costs nothing, the operator can set "
        f'{UNKNOWN_RULE} = "pass" in the catalogue.'
    )
    return LineRefusal(400, "unknown_parameter", message, param=name)


def _of_the_request(parcel: Parcel) -> list[Policy]:
    """Return the demands of its lines as the last policy: an endpoint that another policy excludes names that one."""
    if parcel.demands is None:
        return []
    return [
        Policy(
            account=parcel.account,
            scope=REQUEST,
            rules=parcel.demands.rules(),
            version=0,
            updated_at_ms=parcel.created_at_ms,
        )
    ]


def _to_all(parcel: Parcel, why: LineRefusal) -> list[LinesVerdict]:
    return [LinesVerdict(range(len(parcel.lines)), why)]


def refusals(verdicts: Sequence[LinesVerdict], asks: Sequence[Ask]) -> dict[int, LineRefusal]:
    """Return why lines are refused, by place, in the parcel's order."""
    found: dict[int, LineRefusal] = {}
    for verdict in verdicts:
        found |= verdict.refusals(asks)
    return dict(sorted(found.items())) if len(verdicts) > 1 else found


def worst_cases(
    verdicts: Iterable[LinesVerdict], asks: Sequence[Ask], denied: Collection[int]
) -> list[Units]:
    """Return the worst case of each line, by the endpoints that it may use; 0 for those at `denied`."""
    found = [0] * len(asks)
    for places, verdict in verdicts:
        if isinstance(verdict, Permit):
            for place in places:
                if place not in denied:
                    found[place] = worst_case(asks[place], verdict.rates)
    return found


def not_now(why: WaitReason, unit: str) -> LineRefusal:
    """Return the refusal of a single request that may not start now; `unit`: what the rate limit counts."""
    if why.code == "rate_limit_exceeded":
        wait_ms = (why.until_ms or why.since_ms) - why.since_ms
        return LineRefusal(429, why.code, why.message, unit, retry_after_s=-(-wait_ms // 1000))
    return LineRefusal(402, why.code, why.message, "payment_required")


def applying(state: AccountState, key: ApiKey) -> list[Policy]:
    """Return the policies that bind `key`: its organization's, its project's and its own."""
    scopes = (state.account, key.project, key.key_id)
    found = (state.policies.get(policy_id(scope)) for scope in scopes)
    return [policy for policy in found if policy is not None]


def _refused(model: str, broken: tuple[Excluded, ...]) -> LineRefusal:
    """Return 403 where policies alone exclude every endpoint, 404 where the request excludes the rest."""
    excluded = [in_its_words(one) for one in broken]
    named = [
        f"{one.endpoint} by {one.rule} of {in_words(one.scope)}" for one in excluded[:MAX_NAMED]
    ]
    more = len(excluded) - MAX_NAMED
    rest = f"; and {more} more" if more > 0 else ""
    why = f"Excluded: {'; '.join(named)}{rest}."
    metadata = excluded_by(excluded)
    if any(one.scope == REQUEST for one in excluded):
        message = f"No endpoint of {model!r} is left for what the request asks of one. {why}"
        return LineRefusal(404, NO_ENDPOINT_FOUND, message, param=FIELD, metadata=metadata)
    message = f"Policies permit no endpoint of {model!r}. {why}"
    return LineRefusal(403, DENIED, message, DENIED, "model", metadata=metadata)


def _closed(
    model: str, excluded: tuple[Excluded, ...], closed: tuple[Excluded, ...]
) -> LineRefusal:
    rules = ", ".join(sorted({one.rule for one in closed}))
    message = (
        f"BYOK keys close every endpoint of {model!r} to the installation key ({rules}), "
        "and none of them may be used for the model."
    )
    metadata = excluded_by([in_its_words(one) for one in (*excluded, *closed)])
    return LineRefusal(403, DENIED, message, DENIED, "model", metadata=metadata)


def _closed_by(
    byok: Iterable[Credential], endpoints: Iterable[Endpoint], model: str
) -> tuple[Excluded, ...]:
    """Return which BYOK key closes each of `endpoints` to the installation key."""
    closing: dict[str, tuple[str, str]] = {}
    for one in byok:
        if one.is_byok_only or (one.is_required and one.covers(model)):
            rule = "is_byok_only" if one.is_byok_only else "is_required"
            closing.setdefault(one.provider, (one.credential_id, rule))
    found = ((endpoint.name, closing[endpoint.provider]) for endpoint in endpoints)
    return tuple(Excluded(endpoint=name, scope=id_, rule=rule) for name, (id_, rule) in found)


def _out_of(bounds: Bounds, broken: Broken) -> LineRefusal:
    level = level_of(broken.scope)
    of = f"{broken.rule} of {in_words(broken.scope)}"
    if broken.rule == "max_tokens":
        message = f"A policy permits {bounds.max_tokens} output tokens for one answer at most, and this asks for more: {of}."
    elif broken.rule == "zdr":
        message = f"Data must not be kept, and this asks the provider to keep it: {of}. Remove 'store' and 'prompt_cache_retention'."
    else:
        message = f"A policy permits no tools, and this gives the model some: {of}."
    metadata = {"rule": broken.rule, "scope": broken.scope, "level": level}
    param = "store" if broken.rule == "zdr" else broken.rule
    return LineRefusal(403, DENIED, message, DENIED, param, metadata=metadata)
