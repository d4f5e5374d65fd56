"""Which rows a record holds."""

import pytest

from crossdock.kernel.process.errors import UndecodableError
from crossdock.kernel.process.record import Record
from crossdock.metering.decode import decode
from crossdock_schemas.batches.batch import PartsPage
from crossdock_schemas.calls.usage import HoldEnd, UsageGroup
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import HoldId
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import (
    ACCOUNT_ALERTS,
    ACCOUNT_CHANGES,
    ACCOUNT_JOURNAL,
    BATCH_DIRECTORY,
    BATCH_RESULTS,
    RESULTS,
    USAGE,
)
from support.builders import (
    BATCH,
    OWNER,
    make_alert,
    make_batch,
    make_change,
    make_entry,
    make_group,
    make_result,
    make_usage,
)


def make_record(topic: Topic, value: bytes | None, key: bytes = b"key") -> Record:
    return Record(topic.name, 0, 7, 0, key, value, [])


def counted(record: Record) -> dict[str, int]:
    return {table: len(rows) for table, rows in decode(record)}


def test_a_group_of_calls_is_rows_of_attempts() -> None:
    group = UsageGroup(executions=(make_usage(), make_usage(call=2)))

    assert counted(make_record(USAGE, group.to_json())) == {"attempts": 2}


def test_the_end_of_a_hold_is_no_row() -> None:
    end = HoldEnd(
        hold_id=HoldId("hold_" + "1" * 32),
        account=OWNER["account"],
        key_id=OWNER["key_id"],
        slots=(0,),
    )
    group = UsageGroup(executions=(), ended=(end,))

    assert counted(make_record(USAGE, group.to_json())) == {"attempts": 0}


@pytest.mark.parametrize("topic", [RESULTS, BATCH_RESULTS])
def test_a_group_of_results_is_rows_of_requests(topic: Topic) -> None:
    group = make_group([make_result(0), make_result(1)])
    headers = encode_headers(topic, "test", "id", 0, group)

    record = Record(topic.name, 0, 7, 0, b"key", b"", headers)

    assert counted(record) == {"requests": 2}


def test_a_directory_entry_is_a_row_of_batches() -> None:
    assert counted(make_record(BATCH_DIRECTORY, make_batch().to_json())) == {"batches": 1}


def test_a_change_of_an_account_is_a_row_of_the_control_log() -> None:
    assert counted(make_record(ACCOUNT_CHANGES, make_change().to_json())) == {"control_log": 1}


def test_an_entry_of_the_journal_is_a_row_for_each_posting() -> None:
    assert counted(make_record(ACCOUNT_JOURNAL, make_entry().to_json())) == {"journal": 2}


def test_an_alert_is_a_row() -> None:
    assert counted(make_record(ACCOUNT_ALERTS, make_alert().to_json())) == {"alerts": 1}


def test_pages_of_parts_and_tombstones_are_no_rows() -> None:
    page = PartsPage(batch_id=BATCH, kind="output", page=0, parts=())

    assert counted(make_record(BATCH_DIRECTORY, page.to_json(), b"batch_1/output/0")) == {}
    assert counted(make_record(BATCH_DIRECTORY, None)) == {}


@pytest.mark.parametrize(
    "topic",
    [USAGE, RESULTS, BATCH_DIRECTORY, ACCOUNT_CHANGES, ACCOUNT_JOURNAL, ACCOUNT_ALERTS],
)
def test_what_cannot_be_read_says_where_it_lies(topic: Topic) -> None:
    with pytest.raises(UndecodableError) as raised:
        counted(make_record(topic, b"{"))

    assert (raised.value.topic, raised.value.offset) == (topic.name, 7)
