"""What of a batch's state becomes visible: its page, its directory entry, its files. Pure."""

from crossdock.batches.core.state import BatchState, parts_key
from crossdock.kernel.process.record import Outgoing, Page, Step
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import error_file_id, output_file_id
from crossdock_schemas.message import Message
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import BATCH_DIRECTORY, FILES

SOURCE = "crossdock/batches"
PROGRESS_MS = 250  # between two directory entries of a batch that only counts up
FILE_LIFE_S = 30 * 86_400  # OpenAI's default for a batch's output


def publish(state: BatchState, partition: int, now_ms: int, step: Step) -> None:
    """Add to `step` what of `state` changed."""
    batch = state.to_batch()
    for page in state.take_parts_pages():
        key = parts_key(page.batch_id, page.kind, page.page)
        step.pages.append(Page(key, page.to_json()))
        step.outgoing.append(_record(BATCH_DIRECTORY, key, page, partition, now_ms))
        if page.kind not in state.announced:
            state.announced.add(page.kind)
            step.outgoing.append(_file_entry(state, page.kind, now_ms))
    key = batch.batch_id.encode()
    if state.changed:
        step.pages.append(Page(key, batch.to_json()))
        state.changed, state.is_news = False, True
    if not state.is_news:
        return
    if batch.status.is_final or now_ms - state.published_ms >= PROGRESS_MS or _moved(state):
        step.outgoing.append(_record(BATCH_DIRECTORY, key, batch, partition, now_ms))
        state.published_ms = now_ms
        state.published_status = batch.status
        state.is_news = False


def _moved(state: BatchState) -> bool:
    return state.published_status is not state.status


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
