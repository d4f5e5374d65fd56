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
from crossdock_schemas.money import Units
from crossdock_schemas.parcel.plan import Candidate, Plan
from crossdock_schemas.pricing.worst_case import Ask

Value = TypeVar("Value")

MAX_LINES = 32
MAX_INLINE_BYTES = 262_144  # 256 KiB; a longer value goes by reference, Kafka's own limit is 1 MiB


class Lane(StrEnum):
    REALTIME = "realtime"
    BATCH = "batch"


class BodyRef(Message):
    """The place of a value that is too large for a topic: bytes [start, start + length) of an object."""

    path: str
    start: int
    length: int


class Hold(Message):
    """The money that is held for the calls of a parcel."""

    hold_id: HoldId
    slots: tuple[int, ...] = ()
    """The place of each line under the hold; empty: as in the parcel."""
    is_limited: bool = False
    """A budget applies: no answer may be longer than the hold covers."""


class Parcel(Message):
    """The envelope: the facts that stages need without reading the value."""

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
    """0-based line numbers in the input of the batch; (0,) for a single request."""
    batch_id: BatchId | None = None
    request_id: RequestId | None = None
    """The id of a single request; the id of a line follows from batch and line number."""
    created_at_ms: int
    deadline_ms: int
    """Lines that have not ended by then end as expired."""
    start_before_ms: int | None = None
    """No call begins at or after this time; None: the deadline alone counts."""
    due_ms: int | None = None
    """The end of its wait in a topic of delayed retries."""
    input_bytes: int
    input_most: tuple[int, ...] = ()
    """Input tokens of each line at most; empty: the bytes of the parcel."""
    output_most: tuple[int, ...] = ()
    """Output tokens that each line allows for an answer; 0 or empty: no limit."""
    choices: tuple[int, ...] = ()
    """Answers that each line asks for; empty: one."""
    tools: tuple[int, ...] = ()
    """1 for each line that may call tools, else 0; empty: no line may."""
    output_extra: tuple[int, ...] = ()
    """Output tokens of an answer of each line beyond its limit; empty: no line has any."""
    kept: tuple[int, ...] = ()
    """1 for each line that asks the provider to keep data, else 0; empty: no line does."""
    unknown: tuple[str, ...] = ()
    """Names of fields in the bodies of all its lines that are not in the table of parameters."""
    users: tuple[str, ...] = ()
    """The end user of each line, empty if it names none; empty: no line names one."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Attribution of all its calls: the tags of the request; after admission, of project and key too."""
    demands: Demands | None = None
    """The demands of all its lines on endpoints, from `provider` in their bodies; None: no demands."""
    position: int | None = None
    """In a batch: the place of its first line among the lines of this model; the others follow it."""
    behind: int = 0
    """Lines of the same batch and model that wait for the admission of this parcel."""
    hold: Hold | None = None
    held: tuple[Units, ...] = ()
    """The amount held for each line, where a budget applies: no call is booked at more. Empty: none applies."""
    attempt: int = 1
    """1 at the first candidate; the n-th candidate is attempt n."""
    calls_made: int = 0
    """Calls of each line at this candidate before a worker gave the parcel back."""
    calls_lost: int = 0
    """Those of them that ended with their worker; they count for no limit."""
    repeats: dict[int, ExecutionId] = Field(default_factory=dict)
    """By line, the call of unknown outcome that every further call of it repeats."""
    body_ref: BodyRef | None = None
    permitted: tuple[str, ...] | None = None
    """Names of the endpoints that policies permit; None: all that serve the model."""
    max_tokens: int | None = None
    """Output tokens of an answer at most, by policies; for lines without a limit. None: no policy limits it."""
    shared: tuple[str, ...] | None = None
    """Names of the endpoints that may be called with the installation key; None: all permitted ones."""
    credentials: tuple[CredentialRef, ...] | None = None
    """BYOK keys that it may use; None: no BYOK key."""
    plan: Plan | None = None

    @override
    def to_json(self) -> bytes:
        """Return it without the fields at their defaults, as most are: a default must never change."""
        return self.__pydantic_serializer__.to_json(self, exclude_defaults=True)

    def request_id_of(self, line: int) -> RequestId:
        if self.request_id is not None:
            return self.request_id
        if self.batch_id is None:
            raise ValueError(f"parcel {self.parcel_id!r} has neither a request id nor a batch id")
        return line_request_id(self.batch_id, line)

    def asks(self) -> list[Ask]:
        """Return the tokens and answers that each line asks for at most."""
        count = len(self.lines)
        none = (0,) * count
        of_lines = zip(
            self.input_most or (self.input_bytes,) * count,
            self.output_most or none,
            self.choices or (1,) * count,
            self.tools or none,
            self.output_extra or none,
            self.kept or none,
            strict=True,
        )
        return list(map(Ask._make, of_lines))

    def ask_of(self, line: int) -> Ask:
        """Return the tokens and answers that `line` asks for at most."""
        place = self.lines.index(line)
        return Ask(
            self.input_most[place] if self.input_most else self.input_bytes,
            self.output_most[place] if self.output_most else 0,
            self.choices[place] if self.choices else 1,
            self.tools[place] if self.tools else 0,
            self.output_extra[place] if self.output_extra else 0,
            self.kept[place] if self.kept else 0,
        )

    def slot_of(self, line: int) -> int:
        """Return the place of `line` under the hold of the parcel."""
        place = self.lines.index(line)
        return self.hold.slots[place] if self.hold is not None and self.hold.slots else place

    def user_of(self, line: int) -> str:
        """Return the end user of `line`; empty: it names none."""
        return self.users[self.lines.index(line)] if self.users else ""

    def part(self, lines: Sequence[int], **changes: object) -> "Parcel":
        """Return a parcel of some of the lines, under the same hold, with `changes`."""
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
            "output_extra": of(self.output_extra),
            "kept": of(self.kept),
            "held": of(self.held),
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
