"""The responses of refusals: status, headers and codes, read off their specimens. Pure."""

from typing import Any

from crossdock.ingress.values import specimens
from crossdock.ingress.values.operations import JSON
from crossdock.ingress.values.specimens import Specimens

Json = dict[str, Any]

_ABOUT = {
    400: "The request is invalid; `param` names the field.",
    401: "No key, a wrong one, a disabled one, an expired one.",
    402: "A budget, or the organization's credits, have less left than this can cost.",
    403: "The key may not do this, or not from there.",
    404: "There is no such thing, or it is another's.",
    408: "The headers or the body came too slowly.",
    409: "It cannot be done to what there is.",
    413: "Over a limit of bytes.",
    414: "The URL is too long.",
    416: "The range lies beyond the file.",
    429: "Too many callers wait, the key may begin no more requests in this minute, or too many connections or unknown keys came.",
    431: "Too many headers, or too many bytes of them.",
    500: "An error of ours.",
    503: "Kafka or the object store does not answer, or a change is not confirmed in time.",
    504: "No answer in time.",
}
_HEADERS = {
    "retry-after": "Seconds to wait before asking again.",
    "x-should-retry": "`false`: the SDK shall not ask again by itself.",
    "content-range": "How large the file is.",
}


_TEXT: Json = {"type": "string"}
_MAYBE: Json = {"type": ["string", "null"]}
_OURS = {"message": _TEXT, "type": _TEXT, "param": _MAYBE, "code": _MAYBE}
_MORE = {
    "retry_after": {"description": "With a 429 of a key's limit a minute: seconds to wait."},
    "metadata": {
        "description": "With a refusal of policies: `excluded_by`, or the `rule`, its `scope` and its `level`."
    },
}


def _envelope(text: str, fields: Json, *, is_open: bool) -> Json:
    more = {"additionalProperties": True} if is_open else {}
    error = {"type": "object", "required": list(_OURS), "properties": fields, **more}
    return {
        "type": "object",
        "description": text,
        "required": ["error"],
        "properties": {"error": error},
        **more,
    }


SCHEMAS: Json = {
    "Error": _envelope("OpenAI's error envelope.", _OURS, is_open=False),
    "PassedError": _envelope(
        "OpenAI's error envelope, ours or a provider's own.",
        {name: {} for name in _OURS} | _MORE,
        is_open=True,
    ),
}


def shared_answers() -> dict[str, Json]:
    """Return the responses that many routes have in common, by name."""
    found = {
        "BadQuery": specimens.VALUES,
        "BadBody": _of(400, specimens.SENT),
        "BadChange": _of(400, (*specimens.SENT, specimens.UNKNOWN_FIELD, *specimens.DECIDED)),
        "BadDecision": _of(400, specimens.DECIDED),
        "Unauthorized": _of(401, specimens.KEYED),
        "NotPermitted": _of(403, specimens.KEYED),
        "NotFound": (specimens.NONE_SUCH,),
        "NotFoundInTime": _of(404, (specimens.NONE_SUCH, *specimens.DECIDED)),
        "Conflict": _of(409, specimens.DECIDED),
        "Guessed": _of(429, specimens.KEYED),
        "TooSlow": _of(408, specimens.SENT),
        "TooLarge": _of(413, specimens.SENT),
        "TooBusy": _of(429, specimens.SENT),
        "Failed": (specimens.FAILED,),
        "Unavailable": (specimens.STORE,),
        "Unconfirmed": _of(503, specimens.DECIDED),
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
    """Return the response for errors of another component."""
    return {"default": {"description": whose, "content": {JSON: {"schema": _ref("PassedError")}}}}


def _of(status: int, specimens: Specimens) -> Specimens:
    return tuple(one for one in specimens if one.status == status)


def _response(specimens: Specimens, *, is_open: bool = False) -> Json:
    codes = sorted({one.reason for one in specimens}, key=str)
    code = {"examples" if is_open else "enum": codes}
    schema = _ref("PassedError" if is_open else "Error") | {
        "properties": {"error": {"properties": {"code": code}}}
    }
    names = sorted({name for one in specimens for name in one.headers})
    headers = {name: {"description": _HEADERS[name], "schema": _TEXT} for name in names}
    return {
        "description": _ABOUT[specimens[0].status],
        **({"headers": headers} if headers else {}),
        "content": {JSON: {"schema": schema}},
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
