"""The views, as the topics tell them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.openai.batch_models import BatchCreate, make_submitted
from crossdock.ingress.views.files_and_batches import MAX_SUBMITTED, BatchesView, FilesView
from crossdock.kernel.process.record import Record
from crossdock_schemas.batches.batch import Batch, BatchStatus, Part, PartsPage
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.ids import AccountId, BatchId, FileId
from crossdock_schemas.message import Message
from support.accounts import LOCAL

WISH = BatchCreate(input_file_id="file-1", endpoint="/v1/embeddings", completion_window="24h")


def make_batch(name: str = "batch_1") -> Batch:
    return Batch.begun(make_submitted(LOCAL, BatchId(name), WISH, None, 1000))


def make_file(expires_at_ms: int | None = None) -> StoredFile:
    return StoredFile(
        file_id=FileId("file-1"),
        account=AccountId("a"),
        filename="a",
        purpose="batch",
        bytes=1,
        created_at_ms=1,
        expires_at_ms=expires_at_ms,
    )


def make_page(number: int, *paths: str) -> PartsPage:
    parts = tuple(Part(path=path, bytes=1, lines=1) for path in paths)
    return PartsPage(batch_id=BatchId("batch_1"), kind="output", page=number, parts=parts)


def record_of(key: str, message: Message | bytes | None) -> Record:
    value = message.to_json() if isinstance(message, Message) else message
    return Record("t", 0, 0, 0, key.encode(), value, ())


def test_a_file_is_there_until_its_tombstone() -> None:
    view = FilesView()

    view.apply(record_of("file-1", make_file()))
    found = view.find("file-1", 0)
    view.apply(record_of("file-1", None))

    assert found == make_file()
    assert view.find("file-1", 0) is None


def test_a_file_is_there_until_it_expires() -> None:
    view = FilesView()

    view.apply(record_of("file-1", make_file(expires_at_ms=10)))

    assert view.find("file-1", 9) is not None
    assert view.find("file-1", 10) is None
    assert list(view.live(10)) == []
    assert len(view.expired(10)) == 1


@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.none() | st.integers(0, 9))
    )
)
def test_the_bytes_of_an_organization_are_those_of_its_files(
    steps: list[tuple[str, str, int | None]],
) -> None:
    view, stored = FilesView(), dict[str, StoredFile]()
    for name, account, size in steps:
        if size is None:
            stored.pop(name, None)
            view.apply(record_of(name, None))
        else:
            changes = {"file_id": name, "account": AccountId(account), "bytes": size}
            stored[name] = make_file().model_copy(update=changes)
            view.apply(record_of(name, stored[name]))

    for account in (AccountId("x"), AccountId("y")):
        own = [file for file in stored.values() if file.account == account]
        assert view.bytes_of(account) == sum(file.bytes for file in own)
        assert view.count_of(account) == len(own)


@pytest.mark.parametrize("value", [b"", b"{}", b"nonsense"])
def test_what_cannot_be_read_is_passed_over(value: bytes) -> None:
    files, batches = FilesView(), BatchesView()

    files.apply(record_of("file-1", value))
    batches.apply(record_of("batch_1", value))
    batches.apply(record_of("batch_1/output/x", value))

    assert list(files.live(0)) == []
    assert list(batches.all()) == []


def test_the_directory_wins_over_what_was_submitted() -> None:
    view = BatchesView()
    view.add_submitted(make_batch())
    shown = make_batch().model_copy(update={"status": BatchStatus.FAILED})

    view.apply(record_of("batch_1", shown))
    view.add_submitted(make_batch())

    assert view.find("batch_1") == shown
    assert list(view.all()) == [shown]


def test_what_was_submitted_is_bounded() -> None:
    view = BatchesView()
    for number in range(MAX_SUBMITTED + 1):
        view.add_submitted(make_batch(f"batch_{number}"))

    assert view.find("batch_0") is None
    assert len(list(view.all())) == MAX_SUBMITTED


def test_parts_come_in_the_order_of_their_pages() -> None:
    view = BatchesView()
    for number, paths in ((10, ("c",)), (2, ("b",)), (0, ("a",)), (0, ("a", "aa"))):
        page = make_page(number, *paths)
        view.apply(record_of(f"batch_1/output/{number}", page))

    assert [part.path for part in view.parts("batch_1", "output")] == ["a", "aa", "b", "c"]
    assert view.parts("batch_1", "error") == []


def test_deleted_batches_and_pages_are_gone() -> None:
    view = BatchesView()
    view.apply(record_of("batch_1", make_batch()))
    view.apply(record_of("batch_1/output/0", make_page(0, "a")))

    view.apply(record_of("batch_1", None))
    view.apply(record_of("batch_1/output/0", None))

    assert view.find("batch_1") is None
    assert view.parts("batch_1", "output") == []
