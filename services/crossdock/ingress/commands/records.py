"""The records that ingress writes. Pure."""

from crossdock.ingress.http.auth import Principal
from crossdock.ingress.values.checks import RequestWish
from crossdock.kernel.process.record import Outgoing
from crossdock_schemas.accounts.control import Command
from crossdock_schemas.batches.batch import CancelAsked, Submitted
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.ids import ParcelId, RequestId
from crossdock_schemas.message import Message
from crossdock_schemas.parcel.new_parcel import new_parcel
from crossdock_schemas.parcel.parcel import BodyRef, Lane
from crossdock_schemas.pricing.worst_case import Ask
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import ACCOUNT_COMMANDS, BATCH_COMMANDS, CANCELS, FILES, REQUESTS

SOURCE = "crossdock/ingress"


def _plain(topic: Topic, key: str, message: Message | None, now_ms: int) -> Outgoing:
    headers = encode_headers(topic, SOURCE, key, now_ms, None)
    value = None if message is None else message.to_json()
    return Outgoing(topic.name, key.encode(), value, headers)


def make_file_record(file: StoredFile, now_ms: int) -> Outgoing:
    return _plain(FILES, file.file_id, file, now_ms)


def make_file_tombstone(file_id: str, now_ms: int) -> Outgoing:
    return _plain(FILES, file_id, None, now_ms)


def make_command_record(command: Submitted | CancelAsked, now_ms: int) -> Outgoing:
    # why: `input_path` has no default, so the nulls that `to_json` leaves out must be there to be read back
    headers = encode_headers(BATCH_COMMANDS, SOURCE, command.batch_id, now_ms, None)
    value = command.model_dump_json().encode()
    return Outgoing(BATCH_COMMANDS.name, command.batch_id.encode(), value, headers)


def make_cancel_record(request_id: RequestId, now_ms: int) -> Outgoing:
    """Return the record that keeps workers from calling a request whose caller is gone."""
    return _plain(CANCELS, request_id, Cancelled(id=request_id, at_ms=now_ms), now_ms)


def make_account_record(command: Command) -> Outgoing:
    return _plain(ACCOUNT_COMMANDS, command.account, command, command.at_ms)


def make_request_record(  # noqa: PLR0917  # the parcel's fields
    principal: Principal,
    request_id: RequestId,
    operation: str,
    wish: RequestWish,
    line: bytes,
    ask: Ask,
    body_ref: BodyRef | None,
    *,
    now_ms: int,
    deadline_ms: int,
) -> Outgoing:
    """Return the parcel of one request: its value is `line`, or empty if `body_ref` names an object."""
    parcel = new_parcel(
        principal,
        parcel_id=ParcelId(f"parcel_{request_id.rpartition('_')[2]}"),
        lane=Lane.REALTIME,
        operation=operation,
        model=wish.model,
        lines=(0,),
        request_id=request_id,
        asks=[ask],
        users=[wish.user],
        tags=wish.tags,
        demands=wish.demands,
        unknown=wish.unknown,
        created_at_ms=now_ms,
        deadline_ms=deadline_ms,
        input_bytes=len(line),
        body_ref=body_ref,
    )
    headers = encode_headers(REQUESTS, SOURCE, parcel.parcel_id, now_ms, parcel)
    value = line if body_ref is None else b""
    return Outgoing(REQUESTS.name, parcel.account.encode(), value, headers)
