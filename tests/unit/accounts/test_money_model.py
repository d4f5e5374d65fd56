"""OpenHolds, calls, ends, midnights and crashes in any order, against a model that recounts everything each time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from typing_extensions import override

from crossdock.accounts.core import AccountsCore
from crossdock.accounts.ledger.ledger import LONG_STOP_MS
from crossdock.accounts.state import cost_history
from crossdock.accounts.state.cost_history import SHARES, WHOLE
from crossdock.accounts.state.token_bucket import PARTS, TokenBucket, level_of
from crossdock.kernel.process.record import Page
from crossdock_schemas.accounts.control import (
    BudgetChange,
    BudgetRemoval,
    Credited,
    KeyChange,
    PrepaymentSet,
    ProjectAsked,
)
from crossdock_schemas.accounts.credit import CreditKind, Terms
from crossdock_schemas.accounts.journal import Entry, EntryKind, Ledger
from crossdock_schemas.calls.usage import CallOutcome, Charge, ChargeGroup, HoldEnd
from crossdock_schemas.ids import HoldId, KeyId, ProjectId, derive_token, hold_id
from crossdock_schemas.money import to_usd
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.pricing.prices import Cost
from crossdock_schemas.tokens import Tokens
from crossdock_schemas.topics import ACCOUNT_JOURNAL
from crossdock_schemas.windows import Window, day_of, is_in
from support.builders import make_parcel
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
from unit.accounts.model_pace import ASKED, ModelPace
from unit.accounts.model_purse import ModelPurse

OTHER = ProjectId("proj_other")
KEYS = {KeyId("key_a"): PROJECT, KeyId("key_b"): PROJECT, KeyId("key_c"): OTHER}
MARKS = ("user:u1", "user:u2", "tag:t=1", "tag:t=2")
SCOPES = st.sampled_from([ACME, PROJECT, OTHER, *KEYS, *MARKS])
WORST = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["", "u1", "u2"])), min_size=1, max_size=4
)
"""What each line can cost at most, and the end user that it is for."""
LIFE_MS = 3_600_000
COUNTED = (Ledger.SPEND, Ledger.HELD)
FEWEST = 3
"""Calls that must be known before what is likely is less than the worst case."""


@dataclass
class Line:
    """One line under a hold: what it may cost at most, and what is known of its call."""

    worst: int
    user: str
    tag: str
    marks: frozenset[str]
    """What it counts for under its hold: the end user and the tag if they had a budget by then."""
    spent_for: frozenset[str] = frozenset()
    """What its cost counts for: the same; of what is told after the hold's end, those that have a budget by then."""
    cost: int = 0
    tokens: int = 0
    """Told of its call."""
    is_byok: bool = False
    """Whether an own provider key paid for its call."""
    day: int = 0
    """On which its cost counts: the hold's; of what is told after the hold's end, the day of the telling."""
    is_called: bool = False
    is_lost: bool = False
    is_waiting: bool = False
    """It goes on under another hold; what its lost call cost may still be told."""
    is_ended: bool = False


@dataclass
class ModelHold:
    """A hold, as anybody would keep it in a list."""

    hold: HoldId
    key: KeyId
    day: int
    stop_ms: int
    lines: list[Line]
    is_open: bool = True
    number: int = field(default=0)
    spare: dict[frozenset[str], Decimal] = field(default_factory=dict)
    """What of it is not likely to be spent, by what its lines count for."""
    is_teaching: bool = False
    """What its calls cost tells what is likely."""

    def rest(self, marks: frozenset[str] | None = None) -> int:
        """Return what it covers still, for lines that count for `marks` or for all."""
        lines = [line for line in self.lines if marks in {None, line.marks}]
        return sum(line.worst - line.cost for line in lines) if self.is_open else 0

    def settle(self) -> None:
        """What was spent was likely."""
        self.spare = {marks: min(spare, Decimal(self.rest(marks))) for marks, spare in self.spare.items()}  # fmt: skip

    def held_for(self, scope: str, *, is_fluid: bool) -> Decimal:
        """Return what it holds for one of its owners, an end user or a tag, or what fluid budgets count of it."""
        total = Decimal(0)
        for marks in {line.marks for line in self.lines}:
            if scope not in MARKS or scope in marks:
                total += self.rest(marks) - (self.spare.get(marks, 0) if is_fluid else 0)
        return total


def bound_by(scope: str, key: KeyId, lines: Sequence[Line]) -> list[Line]:
    """Return the lines of `key` that a budget of `scope` binds."""
    return [line for line in lines if scope in (ACME, KEYS[key], key) or scope in line.marks]


class Books(RuleBasedStateMachine):
    """Amounts are whole USD, so that mistakes are easy to see."""

    holds: Bundle[ModelHold] = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.fewest, cost_history.FEWEST = cost_history.FEWEST, FEWEST
        self.core, self.pages, self.entries = AccountsCore(), dict[bytes, bytes](), list[Entry]()
        self.shares: list[Decimal] = []
        """Of the worst case, of each call that taught."""
        self.now_ms = NOW_MS
        self.budgets: dict[tuple[str, Window], tuple[int, bool, int]] = {}
        """Limits, whether they count what own provider keys pay for, and by how much they may be exceeded."""
        self.purse = ModelPurse()
        self.freed = 0
        """What calls gave back since the last step, of what was held for credits to pay."""
        self.references: set[int] = set()
        self.pace = ModelPace()
        self.all: list[ModelHold] = []
        self.declared: set[str] = set()
        """End users and tags that ever had a budget."""
        self.core.apply(make_founded(), NOW_MS)
        project = make_founded().project.model_copy(update={"project": OTHER, "name": "other"})
        self.core.apply(ProjectAsked(**common(), project=project), NOW_MS)
        for key, of_project in KEYS.items():
            self.core.apply(ask_key(make_key(key, project=of_project)), NOW_MS)
        self._commit()

    @override
    def teardown(self) -> None:
        cost_history.FEWEST = self.fewest

    def _commit(self) -> None:
        held = sum(held.rest() for held in self.all)
        self.purse.settle(self.now_ms, self.paid(), held, self.freed)
        self.freed = 0
        self.core.ledger.expire(self.now_ms)
        self.core.ledger.grant(self.now_ms)
        step = self.core.finish()
        for page in step.pages:
            self.pages.pop(page.key, None)
            if page.value is not None:
                self.pages[page.key] = page.value
        found = [r.value or b"" for r in step.outgoing if r.topic == ACCOUNT_JOURNAL.name]
        self.entries += [Entry.from_json(value) for value in found]

    # what anybody would reckon

    def used(
        self,
        scope: str,
        window: Window,
        *,
        include_byok: bool = True,
        is_fluid: bool = False,
    ) -> Decimal:
        """Only what is spent is left out: what is held counts whole, whoever will pay."""
        today, total = day_of(self.now_ms), Decimal(0)
        for held in self.all:
            owners = (ACME, KEYS[held.key], held.key)
            if scope in owners or scope in MARKS:
                is_now = is_in(window, held.day, today)
                total += held.held_for(scope, is_fluid=is_fluid) if is_now else 0
                mine = [x for x in held.lines if scope in owners or scope in x.spent_for]
                counted = [x for x in mine if include_byok or not x.is_byok]
                total += sum(x.cost for x in counted if is_in(window, x.day, today))
        return total

    def attribution_of(self, user: str, tag: str) -> frozenset[str]:
        """Return what a line counts for that is admitted now."""
        return frozenset({f"user:{user}", f"tag:t={tag}"} & self.declared)

    def share(self) -> Decimal:
        """Return the least class that 95 of 100 of the calls that taught lie within."""
        count = len(self.shares)
        if count < FEWEST:
            return Decimal(1)
        bounds = (Decimal(share) / WHOLE for share in SHARES)
        return next(b for b in bounds if sum(s <= b for s in self.shares) * 100 >= count * 95)

    def is_fluid(self, key: KeyId, lines: Sequence[Line]) -> bool:
        return any(
            overshoot and bound_by(scope, key, lines)
            for (scope, _), (_, _, overshoot) in self.budgets.items()
        )

    def fitting(self, key: KeyId, lines: Sequence[Line]) -> int:
        return next(n for n in range(len(lines), -1, -1) if not n or self.fits(key, lines[:n]))

    def fits(self, key: KeyId, lines: Sequence[Line]) -> bool:
        """Say whether every budget has room for all of these."""
        for (scope, window), (limit, byok, overshoot) in self.budgets.items():
            bound = bound_by(scope, key, lines)
            if bound:
                worst = sum(line.worst for line in bound)
                used = self.used(scope, window, include_byok=byok)
                if used + worst > limit + overshoot:
                    return False
                used = self.used(scope, window, include_byok=byok, is_fluid=True)
                if overshoot and used + worst * self.share() > limit:
                    return False
        if self.purse.prepaid_from is None:
            return True
        used = self.used(ACME, Window.TOTAL, include_byok=False) + self.purse.backs
        worst = sum(line.worst for line in lines)
        return used + worst <= self.purse.credits + self.purse.prepaid_from

    def paid(self) -> int:
        """Return what was spent, without what own provider keys paid for."""
        return sum(x.cost for held in self.all for x in held.lines if not x.is_byok)

    # what happens

    @initialize(declared=st.sets(st.sampled_from(MARKS)))
    def declare(self, declared: set[str]) -> None:
        """Some end users and tags are counted from the beginning, with room for some lines."""
        for scope in sorted(declared):
            self.set_budget(scope, Window.TOTAL, 12, byok=False, overshoot=0)

    @rule(
        scope=SCOPES,
        window=st.sampled_from(Window),
        limit=st.integers(0, 12),
        byok=st.booleans(),
        overshoot=st.sampled_from([0, 0, 1, 9]),
    )
    def set_budget(
        self, scope: str, window: Window, limit: int, byok: bool, overshoot: int
    ) -> None:
        command = BudgetChange(
            **common(),
            scope=scope,
            window=window,
            limit_usd=Decimal(limit),
            include_byok=byok,
            overshoot_usd=Decimal(overshoot),
        )
        assert self.core.apply(command, self.now_ms).refusal is None
        self.budgets[scope, window] = (limit, byok, overshoot)
        self.declared |= {scope} & set(MARKS)
        self._commit()

    @rule(scope=SCOPES, window=st.sampled_from(Window))
    def clear_budget(self, scope: str, window: Window) -> None:
        command = BudgetRemoval(**common(), scope=scope, window=window)
        is_there = self.budgets.pop((scope, window), None) is not None
        assert (self.core.apply(command, self.now_ms).refusal is None) == is_there
        self._commit()

    @rule(amount=st.integers(-5, 15).filter(bool), number=st.integers(0, 20))
    def adjust_credits(self, amount: int, number: int) -> None:
        command = Credited(**common(), kind=CreditKind.ADJUSTMENT, amount_usd=amount, reference=f"ref {number}")  # fmt: skip
        is_new = self.core.apply(command, self.now_ms).refusal is None
        assert is_new == (number not in self.references)
        self.references.add(number)
        if is_new:
            self.purse.add(amount, None, self.paid())
        self._commit()

    @rule(amount=st.integers(1, 9), hours=st.sampled_from([1, 1, 2, 40]))
    def grant_for_a_time(self, amount: int, hours: int) -> None:
        """Often for the same time."""
        end_ms = (self.now_ms // LIFE_MS + hours) * LIFE_MS
        name = f"grant {len(self.purse.came)} {sum(self.purse.came.values())}"
        command = Credited(**common(), kind=CreditKind.GRANT, amount_usd=amount, reference=name, expires_at_ms=end_ms)  # fmt: skip
        assert self.core.apply(command, self.now_ms).refusal is None
        self.purse.add(amount, end_ms, self.paid())
        self._commit()

    @rule(is_prepaid=st.booleans())
    def prepay(self, is_prepaid: bool) -> None:
        self.core.apply(PrepaymentSet(**common(), is_prepaid=is_prepaid), self.now_ms)
        if is_prepaid != (self.purse.prepaid_from is not None):
            self.purse.prepaid_from = self.paid() if is_prepaid else None
        self._commit()

    @rule(
        target=holds,
        key=st.sampled_from(sorted(KEYS)),
        wanted=WORST,
        tag=st.sampled_from(["1", "2", "3"]),
        is_batch=st.booleans(),
    )
    def admit(
        self, key: KeyId, wanted: list[tuple[int, str]], tag: str, is_batch: bool
    ) -> ModelHold:
        number = len(self.all) + 1
        asked = [Line(worst, user, tag, self.attribution_of(user, tag)) for worst, user in wanted]
        asked = asked if is_batch else asked[:1]
        parcel = self._parcel(number, key, asked, is_batch=is_batch)
        worst = [units(line.worst) for line in asked]
        said = self.core.ledger.admit(parcel, worst, self.now_ms)

        is_fluid, share = self.is_fluid(key, asked), self.share()
        paced = self.pace.fitting(key, len(asked), self.now_ms)
        assert said.count == min(self.fitting(key, asked), paced)
        assert (said.wait_reason is None) == (said.count == len(asked))
        assert said.hold is None or said.hold.is_limited == self.is_limited(key, asked)
        lines = asked[: said.count]
        stop_ms = parcel.deadline_ms + LONG_STOP_MS
        held = ModelHold(hold_id(parcel.parcel_id), key, day_of(self.now_ms), stop_ms, lines, bool(lines), number)  # fmt: skip
        if is_fluid:
            held.spare = {line.marks: held.rest(line.marks) * (1 - share) for line in lines}
            held.is_teaching = held.rest() > 0
        self.pace.admit(key, held.hold, len(lines), self.now_ms)
        self.all.append(held)
        self._commit()
        return held

    def is_limited(self, key: KeyId, lines: Sequence[Line]) -> bool:
        is_bound = any(bound_by(scope, key, lines) for scope, _ in self.budgets)
        return is_bound or self.purse.prepaid_from is not None

    def _parcel(self, number: int, key: KeyId, lines: Sequence[Line], *, is_batch: bool) -> Parcel:
        fields: dict[str, Any] = (
            {"position": 0} if is_batch else {"batch_id": None, "request_id": "req_1"}
        )
        return make_parcel(
            parcel_id=f"parcel_{number:032x}",
            account=ACME,
            project=KEYS[key],
            key_id=key,
            lines=tuple(range(len(lines))),
            users=tuple(line.user for line in lines),
            tags={"t": lines[0].tag},
            deadline_ms=self.now_ms + LIFE_MS,
            input_bytes=ASKED["input_bytes"],
            output_most=(ASKED["output_most"],) * len(lines),
            **fields,
        )

    @rule(held=holds)
    def admit_again(self, held: ModelHold) -> None:
        """A copy of what is on its way."""
        if held.is_open:
            parcel = self._parcel(held.number, held.key, held.lines, is_batch=True)
            assert self.core.ledger.admit(parcel, [0] * len(held.lines), self.now_ms).is_repeated  # fmt: skip

    @rule(
        held=holds,
        place=st.integers(0, 3),
        part=st.integers(0, 5),
        is_known=st.booleans(),
        is_byok=st.booleans(),
        tokens=st.sampled_from([0, 30, 100, 170]),
    )
    def call(  # noqa: PLR0917  # what hypothesis draws
        self, held: ModelHold, place: int, part: int, is_known: bool, is_byok: bool, tokens: int
    ) -> None:
        """A call costs no more than what is held; its worker tells of it, or dies. It is told twice."""
        if place >= len(held.lines) or held.lines[place].is_called:
            return
        line = held.lines[place]
        line.is_called, line.is_lost, line.cost = True, not is_known, min(part, line.worst)
        line.day = held.day if held.is_open else day_of(self.now_ms)
        line.is_byok = is_byok
        line.spent_for = line.marks if held.is_open else self.attribution_of(line.user, line.tag)
        self._use(held, line, tokens)
        self.freed += line.cost if held.is_open and is_byok else 0
        if is_known and held.is_teaching and held.is_open:
            average = Decimal(sum(one.worst for one in held.lines)) / len(held.lines)
            self.shares.append(min(line.cost / average, Decimal(1)))
        self._tell(held, place, is_known=is_known)
        self._tell(held, place, is_known=is_known)

    def _use(self, held: ModelHold, line: Line, tokens: int) -> None:
        self.pace.use(held.key, held.hold, tokens - line.tokens, self.now_ms)
        line.tokens = tokens

    @rule(
        held=holds,
        place=st.integers(0, 3),
        part=st.integers(0, 5),
        tokens=st.sampled_from([0, 30, 170]),
    )
    def come_back(self, held: ModelHold, place: int, part: int, tokens: int) -> None:
        """Who was taken for dead tells what his call cost in truth."""
        if place >= len(held.lines) or not held.lines[place].is_lost:
            return
        line = held.lines[place]
        before = line.cost
        line.is_lost, line.cost = False, min(part, line.worst)
        self.freed += max(0, line.cost - before) if held.is_open and line.is_byok else 0
        self._use(held, line, tokens)
        self._tell(held, place, is_known=True)

    def _tell(self, held: ModelHold, place: int, *, is_known: bool) -> None:
        held.settle()
        row = Charge(
            execution_id=f"exec_{derive_token(held.hold, place)}",
            account=ACME,
            project=KEYS[held.key],
            key_id=held.key,
            provider="atlas",
            outcome=CallOutcome.OK if is_known else CallOutcome.UNKNOWN,
            cost=Cost(output=Decimal(held.lines[place].cost)),
            tokens=Tokens(input=10, output=held.lines[place].tokens - 10)
            if held.lines[place].tokens
            else Tokens(),
            claim="life-1",
            hold_id=held.hold,
            is_byok=held.lines[place].is_byok,
            user=held.lines[place].user,
            tags={"t": held.lines[place].tag},
        )
        self.core.ledger.book(ChargeGroup(executions=(row,)), self.now_ms)
        self._commit()

    @rule(held=holds, places=st.sets(st.integers(0, 3), min_size=1))
    def end(self, held: ModelHold, places: set[int]) -> None:
        slots = tuple(p for p in places if p < len(held.lines))
        unknown = tuple(p for p in slots if held.lines[p].is_lost)
        self._end(held, tuple(p for p in slots if p not in unknown), is_unknown=False)
        self._end(held, unknown, is_unknown=True)

    def _end(self, held: ModelHold, slots: tuple[int, ...], *, is_unknown: bool) -> None:
        end = HoldEnd(hold_id=held.hold, account=ACME, key_id=held.key, slots=slots, is_unknown=is_unknown)  # fmt: skip
        self.core.ledger.book(ChargeGroup(executions=(), ended=(end,)), self.now_ms)
        self._commit()
        for place in slots:
            held.lines[place].is_waiting |= is_unknown
            held.lines[place].is_ended |= not is_unknown
        still = [line for line in held.lines if not line.is_ended]
        if held.is_open:
            self.pace.end(held.key, held.hold, len(still), self.now_ms)
        if not still:
            self.freed += held.rest()
            held.is_open = False
        elif all(line.is_waiting for line in still):
            held.stop_ms = min(held.stop_ms, (self.now_ms // 1000 + Terms().unknown_s) * 1000)

    @rule(key=st.sampled_from(sorted(KEYS)), tpm=st.sampled_from([0, 50, 150, 370]))
    def limit_tokens(self, key: KeyId, tpm: int) -> None:
        self.core.apply(KeyChange(**common(), key_id=key, tpm=tpm), self.now_ms)
        self.pace.tpm.pop(key, None)
        if tpm:
            self.pace.tpm[key] = tpm
        self._commit()

    @rule(seconds=st.sampled_from([0, 1, 7, 59]))
    def wait_a_little(self, seconds: int) -> None:
        self._wait(seconds * 1000)

    @rule(hours=st.sampled_from([0, 1, 2, 30, 200, 900]))
    def wait(self, hours: int) -> None:
        self._wait(hours * 3_600_000)

    def _wait(self, ms: int) -> None:
        self.now_ms += ms
        for held in self.all:
            if self.now_ms // 1000 >= held.stop_ms // 1000:
                self.freed += held.rest()
                held.is_open = False
                self.pace.end(held.key, held.hold, 0, self.now_ms)
        self.core.ledger.expire(self.now_ms)
        for state in self.core.states.values():
            state.go_on(self.now_ms)
        self._commit()

    @rule()
    def crash(self) -> None:
        for held in self.all:
            held.is_teaching = False
        self.core = AccountsCore()
        self.core.restore([Page(key, value) for key, value in self.pages.items()])
        for state in self.core.states.values():
            state.go_on(self.now_ms)

    # what must hold

    @invariant()
    def sums_are_the_models(self) -> None:
        state = self.core.states[ACME]
        assert state.attributed == self.declared
        for scope in (ACME, PROJECT, OTHER, *KEYS, *self.declared):
            for byok in (True, False):
                totals = state.totals_of(scope)
                for w in Window:
                    used = self.used(scope, w, include_byok=byok)
                    expected = self.used(scope, w, include_byok=byok, is_fluid=True)
                    assert to_usd(totals.used(w, include_byok=byok)) == used
                    assert to_usd(totals.expected(w, include_byok=byok)) == expected

    @invariant()
    def credits_that_expire_are_the_models(self) -> None:
        state = self.core.states[ACME]
        lots = () if state.lots is None else state.lots.lots
        found: list[Any] = [(x.expires_at_ms, x.left_usd, x.lapsing_usd) for x in lots]
        assert found == self.purse.left
        used = self.used(ACME, Window.TOTAL, include_byok=False) + self.purse.backs
        left = self.purse.credits + (self.purse.prepaid_from or 0) - used
        assert to_usd(state.credits_left()) == left

    @invariant()
    def nothing_lapses_early_or_twice(self) -> None:
        lapses = [entry for entry in self.entries if entry.kind is EntryKind.LAPSE]
        for end_ms, came in self.purse.came.items():
            of_it = [(e.at_ms, -e.postings[0].amount_usd) for e in lapses if e.postings[0].expires_at_ms == end_ms]  # fmt: skip
            assert len(of_it) <= 2
            assert all(at_ms >= end_ms and amount > 0 for at_ms, amount in of_it)
            assert sum(amount for _, amount in of_it) <= came

    @invariant()
    def buckets_are_the_models(self) -> None:
        buckets = self.core.states[ACME].buckets
        for key, tpm in self.pace.tpm.items():
            level = level_of(buckets.get(key, TokenBucket()), tpm, self.now_ms)
            assert Fraction(level, PARTS) == self.pace.level(key, self.now_ms)

    @invariant()
    def the_journal_adds_up(self) -> None:
        assert [entry.number for entry in self.entries] == list(range(1, len(self.entries) + 1))
        for entry in self.entries:
            assert sum(posting.amount_usd for posting in entry.postings) == 0
        assert self._posted(Ledger.CREDITS, "") == self.purse.credits
        for key in KEYS:
            mine = [held for held in self.all if held.key == key]
            assert self._posted(Ledger.SPEND, key) == sum(x.cost for h in mine for x in h.lines)
            assert self._posted(Ledger.HELD, key) == sum(held.rest() for held in mine)
            own = sum(x.cost for h in mine for x in h.lines if x.is_byok)
            assert self._posted(Ledger.SPEND, key, is_byok=True) == own

    def _posted(self, ledger: Ledger, key: str, *, is_byok: bool = False) -> Decimal:
        """Return what was posted; of own provider keys alone if it `is_byok`."""
        postings = (p for entry in self.entries for p in entry.postings if p.is_byok or not is_byok)
        return sum((p.amount_usd for p in postings if (p.ledger, p.key_id) == (ledger, key)), Decimal(0))  # fmt: skip

    @invariant()
    def the_journal_tells_what_counts_for_end_users_and_tags(self) -> None:
        """Whoever replays it knows what was used of each budget at each moment."""
        postings = [posting for entry in self.entries for posting in entry.postings]
        for scope in self.declared:
            counted = [p for p in postings if scope in p.marks]
            used = sum((p.amount_usd for p in counted if p.ledger in COUNTED), Decimal(0))
            assert used == self.used(scope, Window.TOTAL)

    @invariant()
    def open_holds_are_the_models(self) -> None:
        assert len(self.core.ledger.books.holds) == sum(held.is_open for held in self.all)
        for held in self.all:
            shares = self.core.ledger.books.attribution.find(ACME, held.hold)
            marked = {line.marks for line in held.lines if held.is_open}
            assert {frozenset(share.scopes) for share in shares} == (marked if any(marked) else set())  # fmt: skip


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
