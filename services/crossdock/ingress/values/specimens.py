"""Specimens of the refusals that operations declare, made by the functions that refuse. Pure."""

from collections.abc import Callable

from pydantic import BaseModel

from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import check_file_name, check_metadata, check_purpose
from crossdock.ingress.values.errors import STATUS, RefusedError
from crossdock.ingress.values.operations import Access, Operation
from crossdock.ingress.values.types import MAX_FILE_NAME
from crossdock_schemas.accounts.attribution import MAX_TAG_NAME, MAX_TAGS
from crossdock_schemas.accounts.demands import FIELD, NO_ENDPOINT_FOUND
from crossdock_schemas.pricing.field_types import Unsound

Specimens = tuple[RefusedError, ...]


def _caught(check: Callable[[], object]) -> RefusedError:
    """Return the refusal of `check`."""
    try:
        check()
    except RefusedError as error:
        return error
    raise AssertionError("nothing was refused")


FAILED = RefusedError(500, "The server had an error.", kind="server_error")
STORE = errors.unavailable("The object store")
KAFKA = errors.unavailable("Kafka")
KEYED: Specimens = (
    errors.bad_key(given=False),
    errors.dead_key(is_disabled=True),
    errors.not_permitted("The key may not be used from there."),
    errors.too_many_guesses(1),
)
"""Refusals of every operation that takes a key."""
VALUES: Specimens = (errors.wrong_type("x", "a string", 1), errors.wrong_value("x", 1, ""))
SENT: Specimens = (
    *VALUES,
    errors.bad_json("expected an object"),
    errors.missing("x"),
    errors.too_large(1),
    errors.too_slow("no byte in 30 s"),
    errors.too_busy(),
)
"""Refusals of every operation with a body."""
CONNECTION: Specimens = (
    errors.too_slow("10 s for the headers"),
    errors.url_too_long(1),
    errors.headers_too_large("1 byte"),
    errors.too_many_connections(1, " from your address"),
    errors.too_many_connections(1),
)
"""Refusals of every path, before its operation is known."""
STORED = errors.storage_full(1, 1, "bytes", "X")
PAIRS: Specimens = (
    _caught(lambda: check_metadata({"k" * (MAX_TAG_NAME + 1): ""})),
    _caught(lambda: check_metadata({str(n): "" for n in range(MAX_TAGS + 1)})),
)
"""Refusals of tags and metadata."""
DEMANDS = errors.unsound(Unsound("unsupported_parameter", "It is not read.", "provider.x"))
NO_ENDPOINT = RefusedError(
    404, "No endpoint is as the request demands.", param=FIELD, reason=NO_ENDPOINT_FOUND
)
UNKNOWN_FIELD = errors.unknown_parameter("x")
FILENAME = _caught(lambda: check_purpose("batch", "a.txt"))
LONG_NAME = _caught(lambda: check_file_name("a" * (MAX_FILE_NAME + 1)))
RANGE = errors.bad_range(0)
NONE_SUCH = errors.no_such("Object", "x")
NO_BATCH = errors.no_batch("x")
NO_MODEL = errors.no_model("x")
KEY_REUSED = errors.key_reused()
ENDED = errors.not_cancellable("completed")
UPLOAD_ENDED = RefusedError(400, "Upload 'x' is cancelled, not pending.")
UNPAID = RefusedError(402, "A budget is short.", kind="payment_required", reason="budget_exceeded")
NO_CREDITS = RefusedError(
    402, "Credits are short.", kind="payment_required", reason="insufficient_credits"
)
BUSY = errors.too_busy()
LATE = errors.timed_out(1)
DECIDED: Specimens = (
    *(
        RefusedError(status, "", kind=kind, reason=why.value)
        for why, (status, kind) in STATUS.items()
    ),
    KAFKA,
    errors.unconfirmed(),
)
"""Refusals of every command to the accounts shard."""
PAIR_FIELDS = frozenset({"tags", "metadata"})


def refusals_of(one: Operation) -> Specimens:
    """Return specimens of an operation's refusals: those that it declares, and those that follow from what it is."""
    found = list(one.errors)
    if one.access is not Access.NONE:
        found += [*KEYED, FAILED]
    if "{" in one.path:
        found.append(NONE_SUCH)  # or a URL that is none: with a line break in it, for one
    if one.query is not None:
        found += VALUES
    if one.body is not None:
        found += SENT + _of_body(one.body)
    if one.method != "GET" and one.access is Access.MANAGEMENT:
        found += DECIDED
    return tuple(found)


def _of_body(body: type[BaseModel]) -> Specimens:
    is_closed = body.model_config.get("extra") == "forbid"
    has_pairs = not PAIR_FIELDS.isdisjoint(body.model_fields)
    return ((UNKNOWN_FIELD,) if is_closed else ()) + (PAIRS if has_pairs else ())
