"""Refusals: every error that a caller can see, in OpenAI's envelope. Pure.

`type`, `param` and `code` are those of OpenAI's API in the same case, so that clients behave as they do there.
"""

import json
from collections.abc import Mapping

from crossdock.kernel.process.errors import CrossdockError
from crossdock.kernel.requests.exclusion import excluded_by, serving_others
from crossdock.kernel.requests.preparation import PreparationFault
from crossdock_schemas.accounts.control import Refusal
from crossdock_schemas.pricing import field_types
from crossdock_schemas.pricing.catalogue import Catalogue
from crossdock_schemas.pricing.field_types import Unsound

INVALID = "invalid_request_error"
DENIED = "permission_denied"
RETRY_AFTER_S = 1
STATUS: dict[Refusal, tuple[int, str]] = {
    Refusal.NOT_FOUND: (404, INVALID),
    Refusal.PERMISSION_DENIED: (403, DENIED),
    Refusal.CONFLICT: (409, INVALID),
    Refusal.INVALID: (400, INVALID),
}
"""Status and type of the accounts shard's refusals."""


class RefusedError(CrossdockError):
    """The API refuses a request; the message names the reason and the remedy."""

    code = "refused"

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        param: str | None = None,
        reason: str | None = None,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
        self.reason = reason
        self.headers = dict(headers or {})
        self.metadata = metadata

    @property
    def body(self) -> bytes:
        return make_envelope(str(self), self.kind, self.param, self.reason, self.metadata)


def make_envelope(
    message: str,
    kind: str,
    param: str | None,
    code: str | None,
    metadata: Mapping[str, object] | None = None,
) -> bytes:
    error: dict[str, object] = {"message": message, "type": kind, "param": param, "code": code}
    if metadata is not None:
        error["metadata"] = metadata
    return json.dumps({"error": error}, ensure_ascii=False, separators=(",", ":")).encode(
        errors="backslashreplace"
    )


def bad_key(*, given: bool) -> RefusedError:
    message = (
        "Incorrect API key provided. `crossdock env` prints the one of the installation on this machine."
        if given
        else "You didn't provide an API key. Send it as a header: Authorization: Bearer YOUR_KEY."
    )
    return RefusedError(401, message, reason="invalid_api_key")


def too_many_guesses(wait_s: int) -> RefusedError:
    return RefusedError(
        429,
        f"Too many unknown API keys came from your address. Wait {wait_s} s, and use a key that exists.",
        reason="too_many_unknown_keys",
        headers={"retry-after": str(wait_s)},
    )


def dead_key(*, is_disabled: bool) -> RefusedError:
    state = "is disabled" if is_disabled else "has expired"
    return RefusedError(401, f"The API key {state}.", reason="invalid_api_key")


def not_permitted(message: str) -> RefusedError:
    return RefusedError(403, message, kind=DENIED, reason=DENIED)


def unknown_parameter(param: str, hint: str = "") -> RefusedError:
    message = f"Unknown parameter: '{param}'.{hint}"
    return RefusedError(400, message, param=param, reason="unknown_parameter")


def unconfirmed() -> RefusedError:
    return RefusedError(
        503,
        "The accounts shard has not confirmed the change in time; it may still be made. Look before you ask again.",
        kind="server_error",
        reason="service_unavailable",
        headers={"retry-after": str(RETRY_AFTER_S), "x-should-retry": "false"},
    )


def bad_json(detail: str) -> RefusedError:
    return RefusedError(400, f"We could not parse the JSON body of your request: {detail}")


def missing(param: str) -> RefusedError:
    return RefusedError(
        400,
        f"Missing required parameter: '{param}'.",
        param=param,
        reason="missing_required_parameter",
    )


def unprepared(fault: PreparationFault, headers: Mapping[str, str] | None = None) -> RefusedError:
    return RefusedError(
        fault.status,
        fault.message,
        kind=DENIED if fault.code == DENIED else INVALID,
        param=fault.param,
        reason=fault.code,
        headers=headers,
        metadata=fault.metadata,
    )


def unsound(fault: Unsound, within: str = "") -> RefusedError:
    param = f"{within}{fault.param}"
    return RefusedError(400, fault.message, param=param, reason=fault.code)


def wrong_type(param: str, wanted: str, got: object) -> RefusedError:
    return unsound(field_types.wrong_type(param, wanted, got))


def wrong_value(param: str, got: object, rule: str) -> RefusedError:
    return unsound(field_types.wrong_value(param, got, rule))


def no_secret(field: str, rule: str) -> RefusedError:
    """Refuse a provider's key of a wrong shape; the message does not repeat it."""
    param = f"key.{field}" if field else "key"
    return RefusedError(
        400, f"Invalid value for '{param}'. {rule}", param=param, reason="invalid_value"
    )


def bad_provider_key(provider: str, status: int) -> RefusedError:
    return RefusedError(
        400,
        f"The provider {provider!r} answered {status}: it does not take this key.",
        param="key",
        reason="invalid_provider_key",
    )


def no_master_key() -> RefusedError:
    return RefusedError(
        503,
        "This installation keeps no provider keys: its operator must set CROSSDOCK_MASTER_KEY.",
        kind="server_error",
        reason="byok_not_configured",
        headers={"x-should-retry": "false"},
    )


def too_large(limit: int, param: str | None = None) -> RefusedError:
    return RefusedError(
        413,
        f"The request is too large: the limit is {limit} bytes.",
        param=param,
        reason="request_too_large",
    )


def too_many_values(limit: int) -> RefusedError:
    message = f"The request's JSON holds too many values: the limit is {limit:,}."
    return RefusedError(413, message, reason="request_too_large")


def no_such(kind: str, identifier: str) -> RefusedError:
    return RefusedError(404, f"No such {kind} object: {identifier}", param="id")


def no_batch(batch_id: str) -> RefusedError:
    return RefusedError(404, f"No batch found with id '{batch_id}'.", param="batch_id")


def no_model(model: str) -> RefusedError:
    return RefusedError(
        404,
        f"The model '{model}' does not exist or you do not have access to it.",
        param="model",
        reason="model_not_found",
    )


def not_served(model: str, operation: str, catalogue: Catalogue) -> RefusedError:
    """Return the answer for a model that the catalogue has, but not for `operation`."""
    others = ", ".join(sorted(catalogue.models[model]))
    return RefusedError(
        404,
        f"The model '{model}' is not served by {operation}, but by {others}.",
        param="model",
        reason="model_not_found",
        metadata=excluded_by(serving_others(catalogue.offering(model), operation)),
    )


def key_reused() -> RefusedError:
    return RefusedError(
        400,
        "This Idempotency-Key was used for another batch.",
        kind="idempotency_error",
        reason="idempotency_key_reused",
    )


def not_cancellable(status: str) -> RefusedError:
    # why: the SDK retries a 409 twice without this header
    return RefusedError(
        409,
        f"Cannot cancel a batch with status '{status}'.",
        headers={"x-should-retry": "false"},
    )


def too_busy() -> RefusedError:
    return RefusedError(
        429,
        "Too many requests are waiting for their answers. Please retry after a moment.",
        kind="requests",
        reason="rate_limit_exceeded",
        headers={"retry-after": str(RETRY_AFTER_S)},
    )


def not_http(detail: str = "the bytes are not a request of HTTP/1.1") -> RefusedError:
    return RefusedError(400, f"We could not read your request: {detail}.")


def url_too_long(limit: int) -> RefusedError:
    return RefusedError(
        414, f"The URL is too long: the limit is {limit} bytes.", reason="uri_too_long"
    )


def headers_too_large(limit: str) -> RefusedError:
    message = f"The headers are too large: the limit is {limit}."
    return RefusedError(431, message, reason="request_headers_too_large")


def too_slow(rule: str) -> RefusedError:
    return RefusedError(
        408, f"The request came too slowly: {rule}.", kind="timeout", reason="request_too_slow"
    )


def too_many_connections(limit: int, whose: str = "") -> RefusedError:
    return RefusedError(
        429 if whose else 503,
        f"Too many connections{whose}: the limit is {limit}. Please retry after a moment.",
        kind="requests" if whose else "server_error",
        reason="too_many_connections",
        headers={"retry-after": str(RETRY_AFTER_S)},
    )


def storage_full(used: int, limit: int, unit: str, setting: str) -> RefusedError:
    return RefusedError(
        413,
        f"The organization stores {used:,} of {limit:,} {unit}, with this one: delete files, or ask "
        f"the operator for more (CROSSDOCK_INGRESS_{setting.upper()}).",
        reason="storage_limit_exceeded",
    )


def too_many_parts(declared: int, stored: int, count: int) -> RefusedError:
    return RefusedError(
        413,
        f"The upload was created for {declared} bytes, and {count} parts with {stored} bytes are stored or on their "
        "way: complete it, or cancel it.",
        param="data",
        reason="request_too_large",
    )


def unavailable(what: str) -> RefusedError:
    return RefusedError(
        503,
        f"{what} is not available at the moment. Please retry after a moment.",
        kind="server_error",
        reason="service_unavailable",
        headers={"retry-after": str(RETRY_AFTER_S)},
    )


def bad_range(size: int) -> RefusedError:
    return RefusedError(
        416, "The range lies beyond the file.", headers={"content-range": f"bytes */{size}"}
    )


def timed_out(after_s: float) -> RefusedError:
    return RefusedError(
        504, f"No answer within {after_s:g} s.", kind="timeout", reason="request_timeout"
    )
