"""A million calls in about 100 MB: columns of numbers, and the request ids in one array of bytes. Pure."""

from array import array
from collections.abc import Iterator
from typing import NamedTuple


class ReceivedCall(NamedTuple):
    """A call as it was received. `outcome` is ok, the fault, or the reason of the refusal."""

    request_id: bytes
    attempt: bytes
    provider: str
    model: str
    outcome: str
    status: int
    """0 where no status line is sent."""
    prompt_tokens: int
    """Prompt tokens of a valid answer, else 0; likewise the output's."""
    output_tokens: int
    started_ns: int


class CallRow(NamedTuple):
    """A call as the ledger shows it."""

    request_id: str
    attempt: str
    provider: str
    model: str
    outcome: str
    status: int
    prompt_tokens: int
    output_tokens: int
    started_ns: int
    finished_ns: int
    """0 while the call runs."""
    is_whole: bool
    """Whether the last byte of the answer went to an open connection."""


class Names:
    """Numbers for frequent strings."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._codes: dict[str, int] = {}

    def code(self, name: str) -> int:
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self.names)
            self.names.append(name)
        return code


class Columns:
    """Rows that are added, and finished once."""

    def __init__(self) -> None:
        self.names = Names()
        self._known: dict[tuple[bytes, str, str, str], array[int]] = {}
        self.words = array("I")  # four numbers of names a row: attempt, provider, model, outcome
        self.counts = array("I")  # three a row: status, prompt and output tokens
        self.times = array("Q")  # two a row: started and finished, nanoseconds
        self.whole = bytearray()
        self._ids = bytearray()
        self._id_ends = array("Q")

    def __len__(self) -> int:
        return len(self.whole)

    def add(self, entry: ReceivedCall) -> None:
        request_id, attempt, provider, model, outcome, status, prompt, output, started_ns = entry
        words = self._known.get((attempt, provider, model, outcome))
        if words is None:
            words = self._words(attempt, provider, model, outcome)
        self._ids += request_id
        self._id_ends.append(len(self._ids))
        self.words += words
        self.counts.extend((status, prompt, output))
        self.times.extend((started_ns, 0))
        self.whole.append(0)

    def _words(self, attempt: bytes, provider: str, model: str, outcome: str) -> "array[int]":
        words = (attempt.decode("latin-1"), provider, model, outcome)
        codes = array("I", map(self.names.code, words))
        self._known[attempt, provider, model, outcome] = codes
        return codes

    def finish(self, index: int, finished_ns: int, *, is_whole: bool) -> None:
        self.times[2 * index + 1] = finished_ns
        self.whole[index] = is_whole

    def request_id(self, index: int) -> bytes:
        start = self._id_ends[index - 1] if index else 0
        return bytes(self._ids[start : self._id_ends[index]])

    def row(self, index: int) -> CallRow:
        names = self.names.names
        attempt, provider, model, outcome = self.words[4 * index : 4 * index + 4]
        status, prompt, output = self.counts[3 * index : 3 * index + 3]
        started_ns, finished_ns = self.times[2 * index : 2 * index + 2]
        return CallRow(
            request_id=self.request_id(index).decode("latin-1"),
            attempt=names[attempt],
            provider=names[provider],
            model=names[model],
            outcome=names[outcome],
            status=status,
            prompt_tokens=prompt,
            output_tokens=output,
            started_ns=started_ns,
            finished_ns=finished_ns,
            is_whole=bool(self.whole[index]),
        )

    def rows(self) -> Iterator[CallRow]:
        """Yield all rows."""
        for index in range(len(self)):
            yield self.row(index)
