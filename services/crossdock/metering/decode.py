"""Decodes records into rows."""

from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from crossdock.kernel.process.errors import UndecodableError
from crossdock.kernel.process.record import Record, Row
from crossdock.metering.rows import (
    alert_row,
    attempt_row,
    batch_row,
    change_row,
    posting_rows,
    request_row,
)
from crossdock_schemas.accounts.alert import Alert
from crossdock_schemas.accounts.control import Change
from crossdock_schemas.accounts.journal import Entry
from crossdock_schemas.batches.batch import Batch
from crossdock_schemas.calls.usage import UsageGroup
from crossdock_schemas.codec import MissingEnvelopeError, decode_envelope
from crossdock_schemas.parcel.result import ResultGroup
from crossdock_schemas.topics import (
    ACCOUNT_ALERTS,
    ACCOUNT_CHANGES,
    ACCOUNT_JOURNAL,
    BATCH_DIRECTORY,
    BATCH_RESULTS,
    RESULTS,
    USAGE,
)

SOURCES = (
    USAGE,
    RESULTS,
    BATCH_RESULTS,
    BATCH_DIRECTORY,
    ACCOUNT_CHANGES,
    ACCOUNT_JOURNAL,
    ACCOUNT_ALERTS,
)
Decoded = Iterable[tuple[str, Sequence[Row]]]


def decode(record: Record) -> Decoded:
    """Return the rows of `record` by table.

    Raises:
        UndecodableError: if Crossdock did not write it.
    """
    try:
        return _decode(record)
    except (ValidationError, MissingEnvelopeError) as error:
        raise UndecodableError(
            record.topic, record.partition, record.offset, str(error)[:500]
        ) from error


def _decode(record: Record) -> Decoded:
    if record.topic == USAGE.name:
        group = UsageGroup.from_json(record.value or b"")
        return (("attempts", [attempt_row(usage) for usage in group.executions]),)
    if record.topic == BATCH_DIRECTORY.name:
        if record.value is None or b"/" in (record.key or b""):
            return ()  # a page of output parts, not a batch
        return (("batches", [batch_row(Batch.from_json(record.value), record.offset)]),)
    if record.topic == ACCOUNT_CHANGES.name:
        return (("control_log", [change_row(Change.from_json(record.value or b""))]),)
    if record.topic == ACCOUNT_JOURNAL.name:
        return (("journal", posting_rows(Entry.from_json(record.value or b""))),)
    if record.topic == ACCOUNT_ALERTS.name:
        return (("alerts", [alert_row(Alert.from_json(record.value or b""))]),)
    results = decode_envelope(record.headers, ResultGroup)
    return (("requests", [request_row(results, r, record.offset) for r in results.results]),)
