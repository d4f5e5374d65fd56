"""Views of the compacted topics of files and batches."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import ValidationError

from crossdock.ingress.views.read_your_writes import Arrivals
from crossdock.kernel.drivers.kafka.tail import pass_over
from crossdock.kernel.process.record import Record
from crossdock_schemas.batches.batch import Batch, Part, PartsPage
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.ids import AccountId

Kind = Literal["output", "error"]
MAX_SUBMITTED = (
    10_000  # batches that the directory does not show yet; a shard shows one within a second
)


class FilesView:
    """Every file that is not deleted."""

    def __init__(self) -> None:
        self._files: dict[str, StoredFile] = {}
        self._bytes: Counter[AccountId] = Counter()
        self._counts: Counter[AccountId] = Counter()
        self._outputs: dict[AccountId, dict[str, StoredFile]] = {}
        self.arrivals = Arrivals()

    def apply(self, record: Record) -> None:
        file_id = (record.key or b"").decode(errors="replace")
        try:
            file = None if record.value is None else StoredFile.from_json(record.value)
        except ValidationError as error:
            pass_over(record, error)
            return
        self._replace(file_id, file)
        self.arrivals.came(file_id)

    def _replace(self, file_id: str, new: StoredFile | None) -> None:
        old = self._files.pop(file_id, None)
        if old is not None:
            self._count(file_id, old, -1)
        if new is not None:
            self._files[file_id] = new
            self._count(file_id, new, 1)

    def _count(self, file_id: str, file: StoredFile, sign: int) -> None:
        if file.batch_id is None:
            self._bytes[file.account] += sign * file.bytes
            self._counts[file.account] += sign
        elif sign > 0:
            self._outputs.setdefault(file.account, {})[file_id] = file
        else:
            self._outputs[file.account].pop(file_id, None)

    def bytes_of(self, account: AccountId) -> int:
        """Return the bytes of an organization's files, without the outputs of batches."""
        return self._bytes[account]

    def count_of(self, account: AccountId) -> int:
        """Return the number of those files."""
        return self._counts[account]

    def outputs_of(self, account: AccountId) -> Iterable[StoredFile]:
        """Return the outputs of an organization's batches."""
        return self._outputs.get(account, {}).values()

    def find(self, file_id: str, now_ms: int) -> StoredFile | None:
        """Return the file, unless it expired."""
        file = self._files.get(file_id)
        return None if file is None or has_expired(file, now_ms) else file

    def live(self, now_ms: int) -> Iterator[StoredFile]:
        return (file for file in self._files.values() if not has_expired(file, now_ms))

    def expired(self, now_ms: int) -> list[StoredFile]:
        return [file for file in self._files.values() if has_expired(file, now_ms)]


def has_expired(file: StoredFile, now_ms: int) -> bool:
    return file.expires_at_ms is not None and file.expires_at_ms <= now_ms


class BatchesView:
    """Every batch, and the parts of its output. A batch that this process submitted is shown at once."""

    def __init__(self) -> None:
        self._batches: dict[str, Batch] = {}
        self._submitted: OrderedDict[str, Batch] = OrderedDict()
        self._pages: dict[tuple[str, str], dict[int, bytes]] = {}
        self.arrivals = Arrivals()

    def apply(self, record: Record) -> None:
        batch_id, _, page = (record.key or b"").decode(errors="replace").partition("/")
        try:
            if page:
                self._apply_page(batch_id, page, record.value)
            else:
                self._apply_batch(batch_id, record.value)
        except ValidationError as error:
            pass_over(record, error)
            return
        self.arrivals.came(batch_id)

    def _apply_batch(self, batch_id: str, value: bytes | None) -> None:
        if value is None:
            self._batches.pop(batch_id, None)
        else:
            self._batches[batch_id] = Batch.from_json(value)
        self._submitted.pop(batch_id, None)

    def _apply_page(self, batch_id: str, page: str, value: bytes | None) -> None:
        """Pages stay undecoded: there are many, and few are ever read."""
        kind, _, number = page.partition("/")
        if not number.isdigit():
            return
        pages = self._pages.setdefault((batch_id, kind), {})
        if value is None:
            pages.pop(int(number), None)
        else:
            pages[int(number)] = value

    def add_submitted(self, batch: Batch) -> None:
        if batch.batch_id in self._batches:
            return
        self._submitted[batch.batch_id] = batch
        if len(self._submitted) > MAX_SUBMITTED:
            self._submitted.popitem(last=False)

    def find(self, batch_id: str) -> Batch | None:
        return self._batches.get(batch_id) or self._submitted.get(batch_id)

    def all(self) -> Iterator[Batch]:
        yield from self._batches.values()
        yield from self._submitted.values()

    def bytes_of(self, output: StoredFile) -> int:
        """Return the bytes of a batch's output; 0 if the batch is not known."""
        batch = None if output.batch_id is None else self.find(output.batch_id)
        if batch is None:
            return 0
        return batch.output_bytes if output.part_kind == "output" else batch.error_bytes

    def parts(self, batch_id: str, kind: Kind) -> list[Part]:
        """Return the parts that are known, in their order."""
        pages = self._pages.get((batch_id, kind), {})
        return [
            part for number in sorted(pages) for part in PartsPage.from_json(pages[number]).parts
        ]
