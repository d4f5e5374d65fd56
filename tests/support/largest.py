"""The largest records of each topic within all documented limits, made by the code that makes them in the stages."""

import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from crossdock.accounts.core import AccountsCore
from crossdock.accounts.ledger.hold_attribution import HoldAttribution
from crossdock.accounts.ledger.postings import PostingPlace as Place
from crossdock.accounts.ledger.postings import both_sides, parts_of
from crossdock.accounts.outputs import (
    admitted_record,
    alert_record,
    cancel_record,
    entry_record,
    granted_record,
    returned_record,
)
from crossdock.accounts.state.attribution import HoldShare, scopes_of
from crossdock.batches.core.background_results import Validated
from crossdock.batches.core.decisions import BatchesCore
from crossdock.batches.core.state import MAX_REPEATS
from crossdock.ingress.commands.records import (
    make_account_record,
    make_command_record,
    make_file_record,
)
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.requests.results import result_records
from crossdock.kernel.runtime.dead_letters import make_dead_letter
from crossdock.provider.reroute import forward
from crossdock.router.policy import MAX_CANDIDATES
from crossdock_schemas.accounts.account import MAX_NAME
from crossdock_schemas.accounts.attribution import (
    MAX_TAG_NAME,
    MAX_TAG_VALUE,
    MAX_TAGS,
    MAX_USER,
)
from crossdock_schemas.accounts.content_filter import (
    MAX_FILTERS,
    MAX_PATTERN,
    Action,
    PatternFilter,
)
from crossdock_schemas.accounts.control import Command, KeyChange, PolicyChange, PresetChange
from crossdock_schemas.accounts.credential import CredentialRef
from crossdock_schemas.accounts.demands import MAX_DEMANDS_BYTES, Demands
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger
from crossdock_schemas.accounts.policy import MAX_PATTERNS, Rules
from crossdock_schemas.accounts.preset import (
    MAX_PARAMETERS_BYTES,
    MAX_SYSTEM,
    PresetSettings,
)
from crossdock_schemas.batches.batch import Granted, LineError, LinesReturned
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.calls.fleet import EndpointHealth
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import (
    AccountId,
    CredentialId,
    ExecutionId,
    FileId,
    HoldId,
    ProjectId,
)
from crossdock_schemas.parcel.output_line import MAX_CUSTOM_ID, completed
from crossdock_schemas.parcel.parcel import MAX_INLINE_BYTES, MAX_LINES, BodyRef, Hold, Lane, Parcel
from crossdock_schemas.parcel.plan import Candidate, Plan
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import (
    ACCOUNT_STATE,
    BATCH_STATE,
    DISPATCH,
    FLEET,
    LATER,
    REQUESTS,
    TOPICS,
)
from support.builders import (
    BATCH,
    NOW_MS,
    OWNER,
    make_alert,
    make_parcel,
    make_result,
    make_submitted,
    make_wait_reason,
)
from unit.accounts.builders import OWNER as OWNER_KEY
from unit.accounts.builders import common, make_founded

Text = Callable[[int], str]
"""Returns a text of so many characters."""
MODEL = "m" * 256
ENDPOINTS = tuple(f"provider-{number:02d}/" + "m" * 100 for number in range(64))
EXECUTION = ExecutionId("exec_" + "e" * 32)


def tags_of(text: Text, count: int) -> dict[str, str]:
    return {f"{n:02d}" + text(MAX_TAG_NAME - 2): text(MAX_TAG_VALUE) for n in range(count)}


def _demands(text: Text) -> Demands:
    """Return as many demands as one request may have."""
    size = len(Demands.model_construct(ignore=(text(256),)).to_json())
    count = min(MAX_PATTERNS, MAX_DEMANDS_BYTES // size)
    return Demands.model_construct(ignore=(text(256),) * count)


def _parcel(text: Text, **more: Any) -> Parcel:
    lines = tuple(range(10**6, 10**6 + MAX_LINES))
    counts = (10**7,) * MAX_LINES
    return make_parcel(
        model=MODEL,
        lines=lines,
        input_most=counts,
        output_most=counts,
        choices=(1024,) * MAX_LINES,
        tools=(1,) * MAX_LINES,
        users=tuple(text(MAX_USER) for _ in lines),
        repeats=dict.fromkeys(lines, EXECUTION),
        position=10**6,
    ).model_copy(update={"tags": tags_of(text, MAX_TAGS), "demands": _demands(text)} | more)


def _admitted(text: Text) -> Parcel:
    refs = tuple(
        CredentialRef(
            credential_id=CredentialId(f"byok_{number:032x}"),
            provider="provider-00",
            sort_order=10**6,
            version=10**6,
            endpoints=ENDPOINTS,
        )
        for number in range(16)
    )
    return _parcel(
        text,
        tags=tags_of(text, 3 * MAX_TAGS),
        hold=Hold(hold_id=HoldId("hold_" + "1" * 32), is_limited=True),
        permitted=ENDPOINTS,
        shared=ENDPOINTS,
        credentials=refs,
        max_tokens=10**7,
    )


def _planned(text: Text) -> Parcel:
    candidate = Candidate(
        provider="p" * 64,
        model=MODEL,
        upstream_model=MODEL,
        prices=Prices(version="v" * 64, input=Decimal("123456.123456")),
        reason="byok:fallback",
        output_limit=10**7,
        max_tokens_parameter="max_completion_tokens",
        credential_id=CredentialId("byok_" + "1" * 32),
        credential_version=10**6,
    )
    plan = Plan(candidates=(candidate,) * MAX_CANDIDATES)
    return _admitted(text).model_copy(update={"plan": plan})


def _sent(parcel: Parcel) -> Record:
    headers = encode_headers(REQUESTS, "crossdock/batches", parcel.parcel_id, NOW_MS, parcel)
    value = b"x" * MAX_INLINE_BYTES
    return Record(REQUESTS.name, 99, 10**12, NOW_MS, parcel.account.encode(), value, headers)


def parcels(text: Text) -> Iterator[Outgoing]:
    first = _sent(_parcel(text))
    yield Outgoing(first.topic, first.key, first.value, list(first.headers))
    yield admitted_record(_admitted(text), first.value, first)
    planned, value = _planned(text), first.value
    yield forward(planned, value, NOW_MS)
    for delay_ms in LATER:
        late = planned.model_copy(update={"due_ms": NOW_MS + delay_ms})
        yield forward(late, value, NOW_MS)
    kept = _sent(planned)
    yield from make_dead_letter("router", kept, text(10_000), NOW_MS)


def _rules(text: Text, turn: int) -> Rules:
    names = (f"{turn}" + text(255),) * MAX_PATTERNS
    filters = PatternFilter.model_construct(
        pattern=f"{turn}" + text(MAX_PATTERN - 1), action=Action.FLAG
    )
    return Rules.model_construct(
        allowed_models=names,
        ignored_models=names,
        allowed_providers=names,
        ignored_providers=names,
        content_filters=(filters,) * MAX_FILTERS,
    )


def _settings(text: Text, turn: int) -> PresetSettings:
    count = MAX_PARAMETERS_BYTES
    while len(json.dumps({f"{turn}": text(count)})) > MAX_PARAMETERS_BYTES:
        count -= count // 20
    return PresetSettings.model_construct(
        model=MODEL,
        parameters={f"{turn}": text(count)},
        system=f"{turn}" + text(MAX_SYSTEM - 1),
        description=text(1024),
    )


def _commands(text: Text) -> Iterator[Command]:
    yield make_founded()
    for turn in range(2):  # the second change has what was, and what is
        yield PolicyChange.model_construct(
            **common(), do="set_policy", scope="org_acme", rules=_rules(text, turn)
        )
        yield PresetChange.model_construct(
            **common(),
            do="set_preset",
            scope="org_acme",
            slug="s" * 64,
            settings=_settings(text, turn),
        )
        tags = tags_of(lambda count, turn=turn: f"{turn}" + text(count - 1), MAX_TAGS)  # type: ignore[misc]
        yield KeyChange.model_construct(
            **common(), do="change_key", key_id=OWNER_KEY, name=text(MAX_NAME), tags=tags
        )  # fmt: skip


def accounts(text: Text) -> Iterator[Outgoing]:
    """Yield commands, and what the shard makes of them: changes, entries of the directory, pages."""
    core = AccountsCore()
    for command in _commands(text):
        yield make_account_record(command)
        change = core.apply(command, NOW_MS)
        assert change.refusal is None, change
    step = core.finish()
    yield from step.outgoing
    yield from _pages(ACCOUNT_STATE.name, step.pages)
    scopes = scopes_of(tags_of(text, 3 * MAX_TAGS), "")
    attribution = HoldAttribution()
    for number in range(2):
        shares = tuple(
            HoldShare((*scopes, f"user:{n:02d}" + text(MAX_USER - 2)), 10**15, 10**15)
            for n in range(MAX_LINES)
        )
        attribution.add(AccountId("org_acme"), HoldId(f"hold_{number:032x}"), shares)
    yield from _pages(ACCOUNT_STATE.name, attribution.pages.finish())
    yield from _entries(scopes)
    yield alert_record(make_alert(scope=max(scopes, key=len)))
    yield cancel_record(Cancelled(id=BATCH, at_ms=NOW_MS))


def _pages(topic: str, pages: Iterable[Any]) -> Iterator[Outgoing]:
    return (Outgoing(topic, page.key, page.value, [], 0) for page in pages)


def _entries(scopes: tuple[str, ...]) -> Iterator[Outgoing]:
    places = {
        Place(ProjectId("proj_default"), OWNER["key_id"], "p" * 64, 20_000, scopes=(*scopes, f"{n}")): 10**14 + n
        for n in range(8)
    }  # fmt: skip
    for number, part in enumerate(
        parts_of(list(both_sides(Ledger.SPEND, Ledger.PROVIDER, places)))
    ):
        yield entry_record(
            Entry(account=AccountId("org_acme"), number=number, at_ms=NOW_MS, kind=EntryKind.HOLD, executions=10**6, postings=part)
        )  # fmt: skip


def results(text: Text) -> Iterator[Outgoing]:
    custom_id = text(MAX_CUSTOM_ID)
    path = "results/" + "r" * 100
    for batch_id in (BATCH, None):
        parcel = _parcel(
            text, batch_id=batch_id, request_id=None if batch_id else "req_" + "1" * 32
        )
        ends = []
        for line in range(700):
            result = make_result(
                line, custom_id=custom_id, model=MODEL, provider="p" * 64, error_code="e" * 100
            )
            body = b"x" * (MAX_INLINE_BYTES if line % 3 == 0 else 10)
            line_ = completed(result.request_id, custom_id, body).line[:MAX_INLINE_BYTES]
            reference = BodyRef(path=path, start=0, length=10**9)
            ends.append((result.model_copy(update={"body_ref": reference}), line_))
        yield from result_records(parcel, Lane.BATCH, ends, source="crossdock/provider", now_ms=NOW_MS)  # fmt: skip


def batches(text: Text) -> Iterator[Outgoing]:
    """Yield commands, and pages and entries of a batch in which much waits, and of one in which all is wrong."""
    submitted = make_submitted(metadata=tags_of(text, MAX_TAGS), completion_window="24h")
    yield make_command_record(submitted, NOW_MS)
    scope = max(scopes_of(tags_of(text, 1), ""), key=len)
    reason = make_wait_reason(scope=scope, message=text(MAX_NAME))
    yield granted_record(Granted(batch_id=BATCH, model=MODEL, lines=10**6), NOW_MS)
    core = BatchesCore(0, parcel_lines=MAX_LINES, window_lines=4096)
    core.submit(submitted)
    state = core.states[BATCH]
    _validate(core, 20)
    for number in range(20):
        for position in range(0, 1000, 2):
            repeats = {
                10**6 + n: EXECUTION
                for n in range(
                    number * MAX_REPEATS + position, number * MAX_REPEATS + position + 32
                )
            }
            returned = LinesReturned(
                batch_id=BATCH, model=f"{number:02d}{MODEL}"[:256], position=position, count=1, repeats=repeats, reason=reason
            )  # fmt: skip
            core.take_back(returned)
            if not number and not position:
                yield returned_record(returned)
    step = core.finish(NOW_MS)
    assert not state.status.is_final
    yield from step.outgoing
    yield from _pages(BATCH_STATE.name, step.pages)
    core.fail(BATCH, LineError(code="c", message=text(5000), param=text(5000)), NOW_MS)
    state.fail(tuple(LineError(code="c" * 64, message=text(5000), line=10**6) for _ in range(1000)), NOW_MS)  # fmt: skip
    step = core.finish(NOW_MS + 10_000)
    yield from step.outgoing
    yield from _pages(BATCH_STATE.name, step.pages)


def _validate(core: BatchesCore, models: int) -> None:
    counts = tuple((f"{number:02d}{MODEL}"[:256], 10**6) for number in range(models))
    core.learn(Validated(BATCH, counts), NOW_MS)


def others(text: Text) -> Iterator[Outgoing]:
    stored = StoredFile(
        file_id=FileId("file-" + "1" * 32),
        account=OWNER["account"],
        filename=text(512),
        purpose="batch",
        bytes=10**12,
        created_at_ms=NOW_MS,
        path="files/" + "f" * 100,
    )
    yield make_file_record(stored, NOW_MS)
    health = EndpointHealth(
        endpoint=ENDPOINTS[0], worker="w" * 100, error_rate=0.123456789, latency_ms=1e9, calls=10**9, at_ms=NOW_MS
    )  # fmt: skip
    yield Outgoing(FLEET.name, health.name.encode(), health.to_json(), [])


MAKERS: dict[str, Callable[[Text], Iterator[Outgoing]]] = {
    "parcels": parcels,
    "accounts": accounts,
    "results": results,
    "batches": batches,
    "others": others,
}
WORST = ("\U0001f600", "\0", '"', "\\", "\u2028", "a")
"""Characters that grow most, in UTF-8 or as an escape of JSON: to four bytes, six, two, three; and a plain one."""


def topic_of(name: str) -> Topic:
    """Return the declaration of a topic; `name` may be one of a provider and a lane."""
    declared = DISPATCH.name if name.startswith("dispatch.") else name
    return next(topic for topic in TOPICS if topic.name == declared)
