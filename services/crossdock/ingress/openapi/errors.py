"""Errors: specimens of every refusal, made by the functions that refuse, and what the document tells of them."""

from collections.abc import Callable

from crossdock.ingress.commands.account_commands import STATUS
from crossdock.ingress.openai.byte_ranges import parse_range
from crossdock.ingress.openapi.operation import JSON
from crossdock.ingress.openapi.schema import TEXT, Json, nullable, ref, shown, told
from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import check_metadata, check_purpose
from crossdock.ingress.values.errors import RefusedError
from crossdock_schemas.accounts.attribution import MAX_TAG_NAME, MAX_TAGS
from crossdock_schemas.accounts.demands import FIELD, NO_ENDPOINT_FOUND, Unsound

Specimens = tuple[RefusedError, ...]


def _caught(check: Callable[[], object]) -> RefusedError:
    """Return what `check` refuses with."""
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
)
VALUES: Specimens = (errors.wrong_type("x", "a string", 1), errors.wrong_value("x", 1, ""))
SENT: Specimens = (
    *VALUES,
    errors.bad_json("expected an object"),
    errors.missing("x"),
    errors.too_large(1),
)
PAIRS: Specimens = (
    _caught(lambda: check_metadata({"k" * (MAX_TAG_NAME + 1): ""})),
    _caught(lambda: check_metadata({str(n): "" for n in range(MAX_TAGS + 1)})),
)
DEMANDS = errors.unsound(Unsound("unsupported_parameter", "It is not read.", "provider.x"))
NO_ENDPOINT = RefusedError(
    404, "No endpoint is as the request demands.", param=FIELD, reason=NO_ENDPOINT_FOUND
)
UNKNOWN_FIELD = errors.unknown_parameter("x")
FILENAME = _caught(lambda: check_purpose("batch", "a.txt"))
RANGE = _caught(lambda: parse_range("bytes=1-", 0))
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
"""By the accounts shard, or because it does not answer."""
CHANGE: Specimens = (*SENT, UNKNOWN_FIELD, *DECIDED)
"""Whatever the accounts shard is asked for with a body."""

_ABOUT = {
    400: "The request is not as it should be; `param` says where.",
    401: "No key, a wrong one, a disabled one, an expired one.",
    402: "A budget, or the organization's credits, have less left than this can cost.",
    403: "The key may not do this, or not from there.",
    404: "There is no such thing, or it is another's.",
    409: "It cannot be done to what there is.",
    413: "Over a limit of bytes.",
    416: "The range lies beyond the file.",
    429: "Too many callers wait, or the key may begin no more requests in this minute.",
    500: "An error of ours.",
    503: "Kafka or the object store does not answer, or a change is not confirmed in time.",
    504: "No answer in time.",
}
_HEADERS = {
    "retry-after": "Seconds to wait before asking again.",
    "x-should-retry": "`false`: the SDK shall not ask again by itself.",
    "content-range": "How large the file is.",
}


def _schemas() -> dict[str, Json]:
    """Return the schemas of OpenAI's envelope: as we fill it, and as providers may."""
    ours = {"message": TEXT, "type": TEXT, "param": nullable(TEXT), "code": nullable(TEXT)}
    theirs = shown({name: {} for name in ours}) | {"additionalProperties": True}
    theirs["properties"]["retry_after"] = told(
        {}, "Of a key that may begin no more requests in this minute: seconds to wait."
    )
    about = "OpenAI's error envelope"
    theirs["properties"]["metadata"] = told(
        {}, "Of what policies refuse: `excluded_by`, or the `rule`, its `scope` and its `level`."
    )
    return {
        "Error": shown({"error": shown(ours)}, f"{about}."),
        "PassedError": shown({"error": theirs}, f"{about}, ours or a provider's own.")
        | {"additionalProperties": True},
    }


SCHEMAS = _schemas()


def shared_answers() -> dict[str, Json]:
    """Return the responses that many routes have in common, by name."""
    found = {
        "BadQuery": VALUES,
        "BadBody": _of(400, SENT),
        "BadChange": _of(400, CHANGE),
        "BadDecision": _of(400, DECIDED),
        "Unauthorized": _of(401, KEYED),
        "NotPermitted": _of(403, KEYED),
        "NotFound": (NONE_SUCH,),
        "NotFoundInTime": _of(404, (NONE_SUCH, *DECIDED)),
        "Conflict": _of(409, DECIDED),
        "TooLarge": _of(413, SENT),
        "Failed": (FAILED,),
        "Unavailable": (STORE,),
        "Unconfirmed": _of(503, DECIDED),
    }
    return {name: _response(specimens) for name, specimens in found.items()}


def error_answers(specimens: Specimens, *, is_open: bool = False) -> Json:
    """Return the responses for `specimens` by status; open ones may have other codes, too."""
    shared = shared_answers()
    found: Json = {}
    for status in sorted({one.status for one in specimens}):
        response = _response(_of(status, specimens), is_open=is_open)
        name = next((name for name, known in shared.items() if known == response), None)
        found[str(status)] = {"$ref": f"#/components/responses/{name}"} if name else response
    return found


def passed_on(whose: str) -> Json:
    """Return the response for errors that are somebody else's."""
    return {"default": {"description": whose, "content": {JSON: {"schema": ref("PassedError")}}}}


def _of(status: int, specimens: Specimens) -> Specimens:
    return tuple(one for one in specimens if one.status == status)


def _response(specimens: Specimens, *, is_open: bool = False) -> Json:
    codes = sorted({one.reason for one in specimens}, key=str)
    code = {"examples" if is_open else "enum": codes}
    schema = ref("PassedError" if is_open else "Error") | {
        "properties": {"error": {"properties": {"code": code}}}
    }
    names = sorted({name for one in specimens for name in one.headers})
    headers = {name: {"description": _HEADERS[name], "schema": TEXT} for name in names}
    return {
        "description": _ABOUT[specimens[0].status],
        **({"headers": headers} if headers else {}),
        "content": {JSON: {"schema": schema}},
    }
