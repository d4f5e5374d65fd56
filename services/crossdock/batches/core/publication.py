"""Publication of a batch's state: its pages, its directory entry, its files. Pure."""

from collections.abc import Mapping

from crossdock.batches.core.line_feeder import SOURCE, make_cancel
from crossdock.batches.core.state import MAX_ENTRY_BYTES, BatchState, parts_key
from crossdock.kernel.process.record import Outgoing, Page
from crossdock.kernel.runtime.shard.step_builder import StepBuilder
from crossdock.kernel.runtime.shard.throttle import Throttle
from crossdock_schemas.batches.batch import LineError
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import error_file_id, output_file_id
from crossdock_schemas.message import Message
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import BATCH_DIRECTORY, FILES

PROGRESS_MS = 250  # between two directory entries of a batch that only counts up
TOO_MANY_RETURNS = LineError(
    code="batch_not_processed",
    message="Too many lines wait for money, one by one: raise the budget, and submit the open lines as a new batch.",
)
FILE_LIFE_S = 30 * 86_400  # OpenAI's default for a batch's output


class Publication:
    """Writes changes into the step. The directory shows a new status at once, and counts every PROGRESS_MS."""

    def __init__(self, partition: int, step: StepBuilder) -> None:
        self._partition = partition
        self._step = step
        self._shown = Throttle[str](PROGRESS_MS)

    def publish(self, states: Mapping[str, BatchState], now_ms: int) -> None:
        """Write the changes of `states`, by batch id, since the last call."""
        for batch_id, state in states.items():
            self._step.keep(*state.done.pages.finish())
            self._publish_parts(state, now_ms)
            if state.changed:
                self._step.keep(Page(batch_id.encode(), self._entry(state, now_ms)))
                self._shown.note(batch_id, at_once=state.moved)
                state.changed = state.moved = False
        for batch_id in self._shown.due(now_ms):
            self._show(batch_id.encode(), states[batch_id].to_batch(), now_ms)

    def _entry(self, state: BatchState, now_ms: int) -> bytes:
        """Return the page of a batch. One that no record takes fails the batch."""
        raw = state.to_batch().to_json()
        if len(raw) <= MAX_ENTRY_BYTES:
            return raw
        state.fail((TOO_MANY_RETURNS,), now_ms)
        self._step.send(make_cancel(state.head.batch_id, now_ms))
        return state.to_batch().to_json()

    def _publish_parts(self, state: BatchState, now_ms: int) -> None:
        for page in state.take_parts_pages():
            key = parts_key(page.batch_id, page.kind, page.page)
            self._step.keep(Page(key, page.to_json()))
            self._show(key, page, now_ms)
            if page.kind not in state.announced:
                state.announced.add(page.kind)
                self._step.send(_file_entry(state, page.kind, now_ms))

    def _show(self, key: bytes, message: Message, now_ms: int) -> None:
        self._step.send(_record(BATCH_DIRECTORY, key, message, self._partition, now_ms))


def _record(topic: Topic, key: bytes, message: Message, partition: int, now_ms: int) -> Outgoing:
    headers = encode_headers(topic, SOURCE, key.decode(), now_ms, None)
    return Outgoing(topic.name, key, message.to_json(), headers, partition)


def _file_entry(state: BatchState, kind: str, now_ms: int) -> Outgoing:
    head = state.head
    file_id = output_file_id(head.batch_id) if kind == "output" else error_file_id(head.batch_id)
    life_s = head.output_expires_after_s or FILE_LIFE_S
    entry = StoredFile(
        file_id=file_id,
        account=head.account,
        project=head.project,
        filename=f"{head.batch_id}_{kind}.jsonl",
        purpose="batch_output",
        bytes=0,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + life_s * 1000,
        batch_id=head.batch_id,
        part_kind="output" if kind == "output" else "error",
    )
    return _record(FILES, file_id.encode(), entry, 0, now_ms)
