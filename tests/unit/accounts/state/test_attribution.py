"""Budgets of end users and tags: what they leave, from when on they count, and what they count."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from crossdock.accounts.commands.budgets import MAX_ATTRIBUTED
from crossdock.accounts.core import AccountsCore
from crossdock.accounts.ledger.hold_attribution import HoldAttribution
from crossdock.accounts.ledger.ledger import SHOW_MS, Admitted
from crossdock.accounts.ledger.postings import MAX_ENTRY_BYTES
from crossdock.accounts.state.attribution import HoldShare, share_of
from crossdock.kernel.process.record import Page, Step
from crossdock_schemas.accounts.account import Role
from crossdock_schemas.accounts.alert import Alert, AlertKind
from crossdock_schemas.accounts.attribution import MAX_USER, tag_scope
from crossdock_schemas.accounts.control import (
    BudgetChange,
    BudgetRemoval,
    Change,
    PolicyChange,
    Refusal,
)
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger, MarkSpend
from crossdock_schemas.accounts.policy import Rules
from crossdock_schemas.batches.batch import Granted
from crossdock_schemas.calls.usage import CallOutcome, Charge, ChargeGroup, HoldEnd
from crossdock_schemas.ids import AccountId, HoldId, KeyId, derive_token, hold_id
from crossdock_schemas.parcel.parcel import MAX_LINES
from crossdock_schemas.pricing.prices import Cost
from crossdock_schemas.topics import (
    ACCOUNT_ALERTS,
    ACCOUNT_DIRECTORY,
    ACCOUNT_JOURNAL,
    BATCH_COMMANDS,
)
from crossdock_schemas.windows import Window
from support.builders import BATCH, make_parcel
from unit.accounts.builders import (
    ACME,
    NOW_MS,
    PROJECT,
    ask_key,
    common,
    make_founded,
    make_key,
    units,
)

APP = KeyId("key_app")
ALICE, BOB, SEARCH = "user:alice", "user:bob", "tag:team=search"
TEAM = {"team": "search"}


@pytest.fixture
def core() -> AccountsCore:
    made = AccountsCore()
    made.apply(make_founded(), NOW_MS)
    for key in (make_key(APP), make_key("key_member", role=Role.MEMBER)):
        made.apply(ask_key(key), NOW_MS)
    made.finish()
    return made


def limit(core: AccountsCore, scope: str, usd: int, actor: str = "key_owner", **fields: Any) -> Change:  # fmt: skip
    values = {"window": Window.TOTAL, "limit_usd": Decimal(usd)} | fields
    return core.apply(BudgetChange(**common(actor), scope=scope, **values), NOW_MS)


def admit(
    core: AccountsCore,
    number: int,
    *lines: tuple[int, str],
    tags: dict[str, str] | None = None,
    is_single: bool = False,
    behind: int = 0,
) -> Admitted:
    """Ask for lines, each with what it can cost at most and the end user that it is for."""
    one: dict[str, Any] = {"batch_id": None, "request_id": "req_1"}
    parcel = make_parcel(
        parcel_id=f"parcel_{number:032x}",
        account=ACME,
        project=PROJECT,
        key_id=APP,
        lines=tuple(range(len(lines))),
        users=tuple(user for _, user in lines),
        tags=tags or {},
        deadline_ms=NOW_MS + 60_000,
        behind=behind,
        **(one if is_single else {"position": 0}),
    )
    return core.ledger.admit(parcel, [units(worst) for worst, _ in lines], NOW_MS)


def cost(
    core: AccountsCore,
    number: int,
    usd: int,
    user: str = "",
    *,
    tags: dict[str, str] | None = None,
    line: int = 0,
    outcome: CallOutcome = CallOutcome.OK,
) -> None:
    hold = hold_id(make_parcel(parcel_id=f"parcel_{number:032x}").parcel_id)
    row = Charge(
        execution_id=f"exec_{derive_token(hold, line)}",
        account=ACME,
        project=PROJECT,
        key_id=APP,
        provider="atlas",
        outcome=outcome,
        cost=Cost(output=Decimal(usd)),
        claim="life-1",
        hold_id=hold,
        user=user,
        tags=tags or {},
    )
    core.ledger.book(ChargeGroup(executions=(row,)), NOW_MS)


def end(core: AccountsCore, number: int, *lines: int) -> None:
    hold = hold_id(make_parcel(parcel_id=f"parcel_{number:032x}").parcel_id)
    ended = HoldEnd(hold_id=hold, account=ACME, key_id=APP, slots=lines)
    core.ledger.book(ChargeGroup(executions=(), ended=(ended,)), NOW_MS)


def sums(core: AccountsCore, scope: str) -> tuple[int, int]:
    """Return what was spent and what is held."""
    spend = core.states[ACME].mark_spend(scope)
    return int(spend.total_usd), int(spend.held_usd)


def restarted(pages: Sequence[Page]) -> AccountsCore:
    again = AccountsCore()
    again.restore(pages)
    return again


def test_an_end_user_over_its_budget_is_told_the_numbers_and_others_go_on(
    core: AccountsCore,
) -> None:
    limit(core, ALICE, 5)

    first = admit(core, 1, (3, "alice"), is_single=True)
    refused = admit(core, 2, (3, "alice"), is_single=True)
    other = admit(core, 3, (3, "bob"), is_single=True)

    assert (first.count, refused.count, other.count) == (1, 0, 1)
    assert refused.wait_reason is not None
    assert (refused.wait_reason.code, refused.wait_reason.scope) == ("budget_exceeded", ALICE)
    assert refused.wait_reason.message == (
        "The total budget of user:alice leaves 2 USD of 5 USD; this can cost up to 3 USD."
    )
    assert [said.hold and said.hold.is_limited for said in (first, other)] == [True, False]


def test_a_tag_binds_all_lines_and_an_end_user_its_own(core: AccountsCore) -> None:
    """The first line that finds no room ends it, whoever those behind it are for."""
    limit(core, SEARCH, 6)
    limit(core, ALICE, 2)
    lines = [(1, "alice"), (1, "bob"), (1, "alice"), (1, ""), (1, "alice"), (1, "bob")]

    by_user = admit(core, 1, *lines, tags=TEAM)
    by_tag = admit(core, 2, (1, ""), (1, "bob"), (1, "bob"), tags=TEAM)
    untagged = admit(core, 3, *[(1, "bob")] * 4)

    assert (by_user.count, by_tag.count, untagged.count) == (4, 2, 4)
    assert [said.wait_reason and said.wait_reason.scope for said in (by_user, by_tag)] == [
        ALICE,
        SEARCH,
    ]
    assert (sums(core, ALICE), sums(core, SEARCH)) == ((0, 2), (0, 6))


def test_a_fluid_budget_of_an_end_user_holds_what_is_likely(core: AccountsCore) -> None:
    limit(core, ALICE, 5, overshoot_usd=Decimal(3))

    said = [admit(core, number, (4, "alice")).count for number in (1, 2)]

    assert said == [1, 0]
    assert sums(core, ALICE) == (0, 4)


def test_counting_begins_with_the_first_budget(core: AccountsCore) -> None:
    """What was held before it is neither counted nor taken off when it ends, and its calls do not count either."""
    admit(core, 1, (5, "alice"), (5, "alice"))
    cost(core, 1, 2, "alice")

    limit(core, ALICE, 9)
    cost(core, 1, 3, "alice", line=1)
    end(core, 1, 0, 1)

    assert sums(core, ALICE) == (0, 0)


def test_counting_goes_on_when_the_budget_ends(core: AccountsCore) -> None:
    """So a budget that is set again knows what was spent meanwhile, and no hold of old times can confuse it."""
    limit(core, ALICE, 9)
    admit(core, 1, (4, "alice"))
    core.apply(BudgetRemoval(**common(), scope=ALICE), NOW_MS)
    admit(core, 2, (20, "alice"))
    cost(core, 2, 1, "alice")
    end(core, 2, 0)

    limit(core, ALICE, 9)

    assert sums(core, ALICE) == (1, 4)
    assert [admit(core, n, (worst, "alice")).count for n, worst in ((3, 5), (4, 4))] == [0, 1]


def test_a_call_takes_its_cost_out_of_its_own_end_users_share(core: AccountsCore) -> None:
    for scope in (ALICE, BOB):
        limit(core, scope, 9)
    admit(core, 1, (4, "alice"), (5, "bob"), (2, ""))

    cost(core, 1, 3, "alice")
    cost(core, 1, 2, line=2)
    between = [sums(core, scope) for scope in (ALICE, BOB)]
    pages = core.finish().pages
    end(core, 1, 0, 1)
    half = [sums(core, scope) for scope in (ALICE, BOB)]
    end(core, 1, 2)

    assert between == half == [(3, 1), (0, 5)]
    assert [sums(core, scope) for scope in (ALICE, BOB)] == [(3, 0), (0, 0)]
    again = restarted([page for page in pages if page.value is not None])
    assert [sums(again, scope) for scope in (ALICE, BOB)] == between


def test_the_pages_of_a_hold_that_ended_are_gone(core: AccountsCore) -> None:
    limit(core, ALICE, 9)
    admit(core, 1, (4, "alice"))
    admit(core, 2, (4, "bob"))
    held = [page for page in core.finish().pages if page.key.startswith(b"marked/")]

    end(core, 1, 0)
    end(core, 2, 0)
    ended = [page for page in core.finish().pages if page.key.startswith(b"marked/")]

    assert [page.value is None for page in (*held, *ended)] == [False, True]


def test_holds_of_many_end_users_lie_in_pages_of_a_bounded_size(core: AccountsCore) -> None:
    users = [f"{number:0{MAX_USER}d}" for number in range(32)]
    for user in users:
        limit(core, f"user:{user}", 9)
    for number in range(1, 8):
        admit(core, number, *((0, user) for user in users))
    pages = [page for page in core.finish().pages if page.key.startswith(b"marked/")]

    again = restarted(pages)
    again.ledger.books.attribution.add(
        ACME, hold_id(make_parcel().parcel_id), (HoldShare((ALICE,), 1, 0),)
    )

    assert [len(page.value or b"") // 8192 for page in pages] == [1, 1, 1, 1]
    assert [page.key for page in again.ledger.books.attribution.pages.finish()] == [pages[-1].key]


def test_a_hold_for_many_end_users_with_the_longest_tags_fits_into_a_record() -> None:
    """Its shares have the same tags: written in each share, they took 5 MB."""
    tags = tuple(tag_scope("\0" * 62 + f"{number:02d}", "\0" * 512) for number in range(48))
    shares = tuple(
        HoldShare((*tags, f"user:{number:02d}" + "\0" * (MAX_USER - 2)), 10**15, 10**14)
        for number in range(MAX_LINES)
    )
    written, read = HoldAttribution(), HoldAttribution()
    first = hold_id(make_parcel().parcel_id)
    written.add(ACME, first, (HoldShare((ALICE,), 1, 0),))
    written.put(ACME, first, HoldShare((ALICE,), 1, 0))
    second = HoldId("hold_" + "2" * 32)
    written.add(ACME, second, shares)
    (page,) = written.pages.finish()

    read.restore([page])

    assert len(page.value or b"") < 300_000
    assert (read.find(ACME, first), read.find(ACME, second)) == (
        (HoldShare((ALICE,), 1, 0),),
        shares,
    )


def test_pages_of_an_older_version_are_read() -> None:
    first = hold_id(make_parcel().parcel_id)
    value = json.dumps({first: [[["tag:a=b", ALICE], 7, 3]]}).encode()
    read = HoldAttribution()

    read.restore([Page(b"marked/org_acme/0", value)])

    assert read.find(ACME, first) == (HoldShare(("tag:a=b", ALICE), 7, 3),)


def test_pages_come_in_any_order_and_some_were_taken_away() -> None:
    first, second = (hold_id(make_parcel(parcel_id=f"parcel_{n:032x}").parcel_id) for n in (1, 2))
    large, small = (HoldShare(("user:" + "x" * 20_000,), 1, 0),), (HoldShare((ALICE,), 2, 0),)
    written, read = HoldAttribution(), HoldAttribution()
    written.add(ACME, first, large)
    written.add(ACME, second, small)
    pages = written.pages.finish()

    read.restore([pages[1], Page(b"marked/org_acme/7", None), pages[0]])
    read.add(ACME, hold_id(make_parcel().parcel_id), small)

    assert [read.find(ACME, one) for one in (first, second)] == [large, small]
    assert [page.key for page in read.pages.finish()] == [b"marked/org_acme/1"]


def test_what_nobody_ended_is_free_for_its_end_user_too(core: AccountsCore) -> None:
    limit(core, ALICE, 9)
    admit(core, 1, (4, "alice"))

    core.ledger.expire(NOW_MS + 24 * 3_600_000)

    assert sums(core, ALICE) == (0, 0)


def test_the_truth_about_a_supposed_call_counts_where_the_guess_did(core: AccountsCore) -> None:
    """Also after its hold is gone, a restart, and a budget that was set meanwhile."""
    limit(core, ALICE, 9)
    admit(core, 1, (4, "alice"), tags=TEAM)
    cost(core, 1, 4, "alice", tags=TEAM, outcome=CallOutcome.UNKNOWN)
    end(core, 1, 0)
    limit(core, SEARCH, 9)
    again = restarted([page for page in core.finish().pages if page.value is not None])

    cost(again, 1, 1, "alice", tags=TEAM)

    assert (sums(again, ALICE), sums(again, SEARCH)) == ((1, 0), (0, 0))


def test_a_call_without_a_hold_counts_for_what_its_row_names(core: AccountsCore) -> None:
    limit(core, ALICE, 9)
    limit(core, SEARCH, 9)

    cost(core, 1, 1, "alice", tags={"team": "ads"})
    cost(core, 2, 2, "bob", tags=TEAM)

    assert (sums(core, ALICE), sums(core, SEARCH)) == ((1, 0), (2, 0))


@pytest.mark.parametrize(
    ("user", "held"), [("alice", 1), ("bob", 2), ("", 2)], ids=["its own", "another", "none"]
)
def test_an_end_user_without_a_share_has_that_of_the_others(user: str, held: int) -> None:
    shares = (HoldShare((SEARCH, ALICE), 1, 0), HoldShare((SEARCH,), 2, 0))

    assert share_of(shares, user).held == held
    assert share_of(shares[:1], user).held == 1


def test_where_only_lines_without_a_budget_of_their_own_begin_the_hold_counts_for_its_key_alone(
    core: AccountsCore,
) -> None:
    limit(core, ALICE, 3)

    begun = admit(core, 1, (3, "bob"), (4, "alice"))

    assert begun.count == 1
    assert sums(core, ALICE) == (0, 0)
    assert core.ledger.books.attribution.pages.finish() == []


def directory(step: Step) -> dict[bytes, bytes | None]:
    return {r.key or b"": r.value for r in step.outgoing if r.topic == ACCOUNT_DIRECTORY.name}


def test_the_directory_names_the_organization_whose_end_user_it_is(core: AccountsCore) -> None:
    """Two organizations may know an end user by the same id."""
    limit(core, ALICE, 9)
    set_ = directory(core.finish())
    admit(core, 1, (4, "alice"))
    core.ledger.show(NOW_MS + SHOW_MS)
    told = directory(core.finish())
    core.apply(BudgetRemoval(**common(), scope=ALICE, window=Window.TOTAL), NOW_MS)
    cleared = directory(core.finish())

    names = {b"budget_total_user:alice@org_acme", b"marked_user:alice@org_acme"}
    assert set(set_) == names
    spend = MarkSpend.from_json(told[b"marked_user:alice@org_acme"] or b"")
    assert (spend.account, spend.scope, int(spend.held_usd)) == (ACME, ALICE, 4)
    assert cleared == {b"budget_total_user:alice@org_acme": None}


def test_after_a_restart_the_directory_is_told_again(core: AccountsCore) -> None:
    limit(core, ALICE, 9)
    again = restarted(core.finish().pages)

    again.ledger.show(NOW_MS)

    assert b"marked_user:alice@org_acme" in directory(again.finish())
    entities = again.states[ACME].entities()
    assert [one for one in entities if isinstance(one, MarkSpend)] == [again.states[ACME].mark_spend(ALICE)]  # fmt: skip


def entries(step: Step) -> list[Entry]:
    found = [r.value or b"" for r in step.outgoing if r.topic == ACCOUNT_JOURNAL.name]
    return [Entry.from_json(value) for value in found]


def test_the_journal_says_what_counts_for_whom(core: AccountsCore) -> None:
    limit(core, ALICE, 9)
    limit(core, SEARCH, 9)
    admit(core, 1, (4, "alice"), (5, "bob"), tags=TEAM)
    cost(core, 1, 1, "alice", tags=TEAM)

    held, captured = entries(core.finish())

    def said(entry: Entry) -> list[tuple[Ledger, tuple[str, ...], int]]:
        sides = (Ledger.HELD, Ledger.SPEND)
        found = [p for p in entry.postings if p.ledger in sides]
        return [(p.ledger, p.marks, int(p.amount_usd)) for p in found]

    assert said(held) == [(Ledger.HELD, (SEARCH, ALICE), 4), (Ledger.HELD, (SEARCH,), 5)]
    assert said(captured) == [
        (Ledger.SPEND, (SEARCH, ALICE), 1),
        (Ledger.HELD, (SEARCH, ALICE), -1),
    ]
    assert (held.executions, captured.executions) == (2, 1)


def test_an_entry_for_very_many_is_cut_into_some_that_add_up_to_nothing(
    core: AccountsCore,
) -> None:
    """A record has 1 MiB at most."""
    users = ["\U0001f600" * (MAX_USER - 3) + f"{number:03d}" for number in range(400)]
    for user in users:
        limit(core, f"user:{user}", 9)
    for number, user in enumerate(users):
        admit(core, number, (1, user), is_single=True)

    found = entries(core.finish())

    assert len(found) == 3
    assert [entry.number for entry in found] == [1, 2, 3]
    assert [entry.executions for entry in found] == [400, 0, 0]
    assert {entry.kind for entry in found} == {EntryKind.HOLD}
    for entry in found:
        assert sum(posting.amount_usd for posting in entry.postings) == 0
        assert len(entry.to_json()) < MAX_ENTRY_BYTES + 1000


def granted(core: AccountsCore) -> list[int | None]:
    core.ledger.grant(NOW_MS)
    found = [r for r in core.finish().outgoing if r.topic == BATCH_COMMANDS.name]
    return [Granted.from_json(record.value or b"").lines for record in found]


def test_lines_wait_for_their_first_ones_end_user_and_tags(core: AccountsCore) -> None:
    limit(core, ALICE, 5)
    limit(core, SEARCH, 8)
    admit(core, 1, (4, "alice"), (4, "alice"), tags=TEAM)
    short = granted(core)

    limit(core, ALICE, 9)
    raised, other = granted(core), admit(core, 2, (4, "bob"), (4, "bob"), tags=TEAM)
    full = granted(core)
    end(core, 1, 0)

    assert (short, raised, other.count, full, granted(core)) == ([], [None], 1, [], [None])


def test_of_a_line_behind_them_nobody_knows_yet_whom_it_is_for(core: AccountsCore) -> None:
    """So the last line's end user, whose budget is used up by it, holds nobody up."""
    limit(core, ALICE, 4)

    said = admit(core, 1, (4, "alice"), behind=3)

    assert said.count == 1
    waiting = core.states[ACME].waiting[BATCH, "tern"]
    assert (waiting.lines, waiting.marks) == (3, ())
    assert granted(core) == [None]


def test_a_budget_that_nearly_is_used_is_told_once_for_each_organization(
    core: AccountsCore,
) -> None:
    limit(core, ALICE, 10)
    admit(core, 1, (9, "alice"))
    cost(core, 1, 8, "alice")
    refused = admit(core, 2, (5, "alice"))

    found = [r.value or b"" for r in core.finish().outgoing if r.topic == ACCOUNT_ALERTS.name]

    nearly, other = map(Alert.from_json, found)
    assert refused.count == 0
    assert (nearly.kind, nearly.scope, int(nearly.spent_usd)) == (AlertKind.BUDGET_NEARLY_USED, ALICE, 8)  # fmt: skip
    assert (other.kind, other.scope, int(other.spent_usd)) == (AlertKind.BUDGET_REFUSED, ALICE, 8)


def test_two_organizations_alerts_are_two(core: AccountsCore) -> None:
    """Though both set the same budget for an end user of the same id, by a change of the same number."""
    other = AccountId("org_other")
    core.apply(make_founded(other), NOW_MS)
    for key in (APP, "key_member"):  # as many changes as the first one had
        asked = ask_key(make_key(key, account=other))
        core.apply(asked.model_copy(update={"account": other}), NOW_MS)
    ids = set()
    for account in (ACME, other):
        command = BudgetChange(**(common() | {"account": account}), scope=ALICE, window=Window.TOTAL, limit_usd=Decimal(1))  # fmt: skip
        core.apply(command, NOW_MS)
        parcel = make_parcel(account=account, project=PROJECT, key_id=APP, users=("alice",), position=0)  # fmt: skip
        core.ledger.admit(parcel, [units(2)], NOW_MS)
        found = [r.value or b"" for r in core.finish().outgoing if r.topic == ACCOUNT_ALERTS.name]
        ids |= {Alert.from_json(value).alert_id for value in found}

    assert len(ids) == 2


@pytest.mark.parametrize(
    "scope",
    [ALICE, "user:a/b c?%", "tag:team=", tag_scope("a=b", "x"), "user:budget_daily_user:x"],
)
def test_any_end_user_and_any_tag_that_a_request_may_bring_may_have_a_budget(
    core: AccountsCore, scope: str
) -> None:
    change = limit(core, scope, 5)
    again = restarted(core.finish().pages)

    assert (change.refusal, change.target) == (None, f"budget_total_{scope}")
    assert again.states[ACME].budgets[scope][Window.TOTAL].limit_usd == 5
    assert again.states[ACME].attributed == {scope}


@pytest.mark.parametrize("scope", ["user:", "tag:team", "tag:a%b=c", "user:" + "x" * 257])
def test_what_no_request_may_bring_has_none(core: AccountsCore, scope: str) -> None:
    assert limit(core, scope, 5).refusal is Refusal.NOT_FOUND


def test_there_is_an_end_to_how_many_are_counted(core: AccountsCore) -> None:
    limit(core, ALICE, 5)
    core.states[ACME].attributed |= {f"user:{number}" for number in range(MAX_ATTRIBUTED - 1)}

    said = [limit(core, BOB, 5).refusal, limit(core, ALICE, 6).refusal, limit(core, APP, 6).refusal]

    assert said == [Refusal.CONFLICT, None, None]


def test_end_users_are_the_whole_organizations_and_have_no_policy(core: AccountsCore) -> None:
    policy = PolicyChange(**common(), scope=ALICE, rules=Rules())

    assert limit(core, ALICE, 5, "key_member").refusal is Refusal.PERMISSION_DENIED
    assert core.apply(policy, NOW_MS).refusal is Refusal.NOT_FOUND
