"""The parcel: 1 to 32 requests of one account and key with one model wish, one routing wish and one lane.

The record's value is the callers' lines as JSONL, in OpenAI's batch input form
(`{"custom_id", "method", "url", "body"}`); a single request is such a line too. Stages in between forward the bytes.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TypeVar

from pydantic import Field
from typing_extensions import override

from crossdock_schemas.accounts.credential import CredentialRef
from crossdock_schemas.accounts.demands import Demands
from crossdock_schemas.ids import (
    AccountId,
    BatchId,
    ExecutionId,
    HoldId,
    KeyId,
    ParcelId,
    ProjectId,
    RequestId,
    line_request_id,
)
from crossdock_schemas.message import Message
from crossdock_schemas.parcel.plan import Candidate, Plan
from crossdock_schemas.pricing.worst_case import Ask

Value = TypeVar("Value")

MAX_LINES = 32
MAX_INLINE_BYTES = 262_144  # 256 KiB; a longer value goes by reference, Kafka's own limit is 1 MiB


class Lane(StrEnum):
    REALTIME = "realtime"
    BATCH = "batch"


class BodyRef(Message):
    """Where a value lies that is too large for a topic: bytes [start, start + length) of an object."""

    path: str
    start: int
    length: int


class Hold(Message):
    """The money that was set aside for a parcel's calls."""

    hold_id: HoldId
    slots: tuple[int, ...] = ()
    """The lines' places under the hold; empty: as in the parcel."""
    is_limited: bool = False
    """Budgets bind it: no answer may be longer than what the hold covers."""


class Parcel(Message):
    """The envelope: what every stage must know of a parcel without reading its value."""

    parcel_id: ParcelId
    account: AccountId
    project: ProjectId
    key_id: KeyId
    lane: Lane
    operation: str
    """The endpoint's path, such as /v1/chat/completions."""
    model: str
    """The model wish."""
    lines: tuple[int, ...] = Field(min_length=1, max_length=MAX_LINES)
    """0-based numbers of the lines in the batch's input; (0,) for a single request."""
    batch_id: BatchId | None = None
    request_id: RequestId | None = None
    """Of a single request; a line's is derived from batch and line."""
    created_at_ms: int
    deadline_ms: int
    """What has not ended by then ends as expired."""
    start_before_ms: int | None = None
    """No call begins at or after this time; None: the deadline alone counts."""
    due_ms: int | None = None
    """It came through a topic of delayed retries, which held it until then."""
    input_bytes: int
    input_most: tuple[int, ...] = ()
    """Input tokens of each line at most; empty: as many as all have bytes."""
    output_most: tuple[int, ...] = ()
    """Output tokens that each line allows for one answer; 0, and where empty: it sets no limit."""
    choices: tuple[int, ...] = ()
    """Answers that each line asks for; empty: one."""
    tools: tuple[int, ...] = ()
    """1 for each line that may call tools, 0 for the others; empty: none may."""
    users: tuple[str, ...] = ()
    """The end user that each line is for, empty where it names none; empty: none does."""
    tags: dict[str, str] = Field(default_factory=dict)
    """What all its calls are booked under: the request's own; once admitted, the project's and the key's too."""
    demands: Demands | None = None
    """What all its lines demand of endpoints, as `provider` in their bodies says; None: nothing."""
    position: int | None = None
    """Of a batch's parcel: its first line's place among the batch's lines of this model; the others follow."""
    behind: int = 0
    """Lines of the batch and the model that wait for this parcel to be admitted."""
    hold: Hold | None = None
    attempt: int = 1
    """1 at the first candidate; the n-th candidate is attempt n."""
    calls_made: int = 0
    """Calls that each of its lines has had at this candidate already, in the hands of a worker that gave it back."""
    calls_lost: int = 0
    """Those of them that a worker's death cut off; they count for no limit."""
    repeats: dict[int, ExecutionId] = Field(default_factory=dict)
    """By line, the call of unknown end that every further call of it repeats."""
    body_ref: BodyRef | None = None
    permitted: tuple[str, ...] | None = None
    """Names of the endpoints that policies leave; None: all that serve the model."""
    max_tokens: int | None = None
    """Output tokens of one answer at most, by policies; told where a line sets no limit. None: they say nothing."""
    shared: tuple[str, ...] | None = None
    """Names of those that may be called with the installation's key; None: all that are permitted."""
    credentials: tuple[CredentialRef, ...] | None = None
    """Own provider keys that it may use; None: none."""
    plan: Plan | None = None

    @override
    def to_json(self) -> bytes:
        """Return it without the fields at their defaults, as most are. So no default may ever change."""
        return self.__pydantic_serializer__.to_json(self, exclude_defaults=True)

    def request_id_of(self, line: int) -> RequestId:
        if self.request_id is not None:
            return self.request_id
        if self.batch_id is None:
            raise ValueError(f"parcel {self.parcel_id!r} has neither a request id nor a batch id")
        return line_request_id(self.batch_id, line)

    def asks(self) -> list[Ask]:
        """Return what each line asks for at most."""
        count = len(self.lines)
        of_lines = zip(
            self.input_most or (self.input_bytes,) * count,
            self.output_most or (0,) * count,
            self.choices or (1,) * count,
            self.tools or (0,) * count,
            strict=True,
        )
        return list(map(Ask._make, of_lines))

    def slot_of(self, line: int) -> int:
        """Return the place of `line` under the parcel's hold; of a batch's it is counted from `position`."""
        place = self.lines.index(line)
        return self.hold.slots[place] if self.hold is not None and self.hold.slots else place

    def user_of(self, line: int) -> str:
        """Return the end user that `line` is for; empty: it names none."""
        return self.users[self.lines.index(line)] if self.users else ""

    def part(self, lines: Sequence[int], **changes: object) -> "Parcel":
        """Return the parcel of some of its lines, under the same hold, with other `changes`."""
        places = [self.lines.index(line) for line in lines]

        def of(values: tuple[Value, ...]) -> tuple[Value, ...]:
            return tuple(values[place] for place in places) if values else ()

        hold = self.hold
        if hold is not None:
            hold = hold.model_copy(
                update={"slots": of(hold.slots or tuple(range(len(self.lines))))}
            )
        cut = {
            "lines": tuple(lines),
            "input_most": of(self.input_most),
            "output_most": of(self.output_most),
            "choices": of(self.choices),
            "tools": of(self.tools),
            "users": of(self.users),
            "hold": hold,
        }
        return self.model_copy(update=cut | changes)

    @property
    def candidate(self) -> Candidate:
        """The endpoint of this attempt."""
        if self.plan is None:
            raise ValueError(f"parcel {self.parcel_id!r} has no plan yet")
        return self.plan.candidates[self.attempt - 1]

    @property
    def has_next_candidate(self) -> bool:
        return self.plan is not None and self.attempt < len(self.plan.candidates)


def join_lines(lines: Iterable[bytes]) -> bytes:
    return b"\n".join(lines)


def split_lines(value: bytes) -> list[bytes]:
    return value.split(b"\n")
