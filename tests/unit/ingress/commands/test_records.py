"""The records that ingress writes."""

import pytest

from crossdock.ingress.commands.records import (
    make_command_record,
    make_file_tombstone,
    make_request_record,
)
from crossdock.ingress.openai.batch_models import BatchCreate, make_submitted
from crossdock.ingress.openai.file_models import Expiry
from crossdock.ingress.values.checks import RequestWish
from crossdock_schemas.accounts.demands import Demands
from crossdock_schemas.batches.batch import Batch, batch_command
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.ids import BatchId, make_request_id
from crossdock_schemas.parcel.parcel import BodyRef, Lane, Parcel
from crossdock_schemas.pricing.worst_case import Ask
from support.accounts import LOCAL

WISH = BatchCreate(
    input_file_id="file-1",
    endpoint="/v1/embeddings",
    completion_window="2h",
    output_expires_after=Expiry(anchor="created_at", seconds=3600),
)


def test_a_command_without_a_file_can_be_read_back() -> None:
    """A missing input is a null that has to travel: validation fails the batch for it."""
    asked = make_submitted(LOCAL, BatchId("batch_1"), WISH, None, 1000)

    record = make_command_record(asked, 1000)

    assert batch_command.validate_json(record.value or b"") == asked
    assert (record.topic, record.key) == ("batches.commands", b"batch_1")


def test_the_preview_is_what_was_asked_for() -> None:
    batch = Batch.begun(make_submitted(LOCAL, BatchId("batch_1"), WISH, None, 1000))

    assert batch.expires_at_ms == 1000 + 7_200_000
    assert batch.output_expires_after_s == 3600


def test_a_request_is_a_parcel_of_one() -> None:
    request_id = make_request_id(1000)

    record = make_request_record(
        LOCAL,
        request_id,
        "/v1/embeddings",
        RequestWish("m", "alice", {"team": "search"}, Demands(zdr=True)),
        b"{line}",
        Ask(6, 0, 0),
        None,
        now_ms=1000,
        deadline_ms=2000,
    )

    parcel = decode_envelope(record.headers, Parcel)
    assert record.value == b"{line}"
    assert record.key == LOCAL.account.encode()
    assert (parcel.lane, parcel.lines, parcel.attempt) == (Lane.REALTIME, (0,), 1)
    assert parcel.request_id_of(0) == request_id
    assert parcel.asks() == [Ask(6, 0, 0)]
    assert (parcel.user_of(0), parcel.tags) == ("alice", {"team": "search"})
    assert parcel.demands == Demands(zdr=True)
    assert (parcel.created_at_ms, parcel.deadline_ms, parcel.input_bytes) == (1000, 2000, 6)


@pytest.mark.parametrize(("ask", "tools"), [(Ask(6), ()), (Ask(6, tools=1), (1,))])
def test_a_request_says_whether_it_may_call_tools(ask: Ask, tools: tuple[int, ...]) -> None:
    record = make_request_record(
        LOCAL, make_request_id(1), "/v1/chat/completions", RequestWish("m", "", {}), b"{}", ask, None, now_ms=1, deadline_ms=2
    )  # fmt: skip

    parcel = decode_envelope(record.headers, Parcel)
    assert (parcel.tools, parcel.asks()) == (tools, [ask])


def test_a_large_request_leaves_its_line_behind() -> None:
    reference = BodyRef(path="bodies/x", start=0, length=6)

    record = make_request_record(
        LOCAL,
        make_request_id(1),
        "/v1/embeddings",
        RequestWish("m", "", {}),
        b"{line}",
        Ask(6, 0, 0),
        reference,
        now_ms=1,
        deadline_ms=2,
    )

    assert record.value == b""
    parcel = decode_envelope(record.headers, Parcel)
    assert (parcel.body_ref, parcel.users) == (reference, ())


def test_a_deleted_file_is_a_tombstone() -> None:
    record = make_file_tombstone("file-1", 1000)

    assert (record.topic, record.key, record.value) == ("files", b"file-1", None)
