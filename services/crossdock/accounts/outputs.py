"""The records that accounts writes. Pure."""

from crossdock.kernel.process.record import Outgoing, Record
from crossdock_schemas.accounts.alert import Alert
from crossdock_schemas.accounts.control import Change, Credited, Founded, PrepaymentSet
from crossdock_schemas.accounts.directory import Entity
from crossdock_schemas.accounts.journal import Entry
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.batches.batch import Granted, LinesReturned
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.codec import ENVELOPE, encode_headers
from crossdock_schemas.ids import CredentialId
from crossdock_schemas.message import Message
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import (
    ACCOUNT_ALERTS,
    ACCOUNT_CHANGES,
    ACCOUNT_COMMANDS,
    ACCOUNT_DIRECTORY,
    ACCOUNT_JOURNAL,
    ACCOUNT_SECRETS,
    ADMITTED,
    BATCH_COMMANDS,
    CANCELS,
)

SOURCE = "crossdock/accounts"
_ADMITTED = {"ce_type": ADMITTED.ce_type.encode(), "ce_source": SOURCE.encode()}


def _record(
    topic: Topic, key: str, identifier: str, message: Message | None, at_ms: int
) -> Outgoing:
    headers = encode_headers(topic, SOURCE, identifier, at_ms, None)
    value = None if message is None else message.to_json()
    return Outgoing(topic.name, key.encode(), value, headers)


def change_record(change: Change) -> Outgoing:
    return _record(ACCOUNT_CHANGES, change.account, change.change_id, change, change.at_ms)


def entry_record(entry: Entry) -> Outgoing:
    identifier = f"{entry.account}/{entry.number}"
    return _record(ACCOUNT_JOURNAL, entry.account, identifier, entry, entry.at_ms)


def alert_record(alert: Alert) -> Outgoing:
    return _record(ACCOUNT_ALERTS, alert.account, alert.alert_id, alert, alert.at_ms)


def directory_record(identifier: str, entity: Entity | None, at_ms: int) -> Outgoing:
    """Return an entry of the directory; without an entity, its removal."""
    return _record(ACCOUNT_DIRECTORY, identifier, identifier, entity, at_ms)


def secret_record(identifier: CredentialId, sealed: SealedSecret | None, at_ms: int) -> Outgoing:
    """Return a sealed secret for the workers; without one, its removal."""
    return _record(ACCOUNT_SECRETS, identifier, identifier, sealed, at_ms)


def cancel_record(cancelled: Cancelled) -> Outgoing:
    return _record(CANCELS, cancelled.id, cancelled.id, cancelled, cancelled.at_ms)


def admitted_record(parcel: Parcel, value: bytes | None, record: Record) -> Outgoing:
    """Return `parcel` for the router, with the headers of the `record` that it came in."""
    identifier = parcel.parcel_id.encode()
    changed = {ENVELOPE: parcel.to_json(), "ce_id": identifier, **_ADMITTED}
    headers = [(name, changed.get(name, old)) for name, old in record.headers]
    return Outgoing(ADMITTED.name, identifier, value, headers)


def returned_record(returned: LinesReturned) -> Outgoing:
    at_ms = returned.reason.since_ms
    return _record(BATCH_COMMANDS, returned.batch_id, returned.batch_id, returned, at_ms)


def granted_record(granted: Granted, at_ms: int) -> Outgoing:
    return _record(BATCH_COMMANDS, granted.batch_id, granted.batch_id, granted, at_ms)


def forwarded_record(command: Founded | Credited | PrepaymentSet) -> Outgoing:
    return _record(ACCOUNT_COMMANDS, command.account, command.change_id, command, command.at_ms)
