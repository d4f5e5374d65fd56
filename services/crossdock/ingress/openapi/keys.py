"""/v1/key and /v1/keys."""

from crossdock.ingress.management.keys import CREATED, DAY_S
from crossdock.ingress.openapi import errors, names
from crossdock.ingress.openapi.batches import METADATA
from crossdock.ingress.openapi.budgets import AMOUNT
from crossdock.ingress.openapi.operation import MEMBERS, Body, Operation, Parameter, answer
from crossdock.ingress.openapi.organizations import NAME, NETWORKS, PLAIN, WISHED_NETWORKS
from crossdock.ingress.openapi.policies import DELETED
from crossdock.ingress.openapi.schema import (
    COUNT,
    DOUBLE_USD,
    FLAG,
    PAIRS,
    TEXT,
    TIME,
    Json,
    array,
    choice,
    data,
    nullable,
    ref,
    shown,
    told,
    wish,
)
from crossdock.ingress.values.management_bodies import RESETS
from crossdock.ingress.values.management_objects import WINDOWS
from crossdock_schemas.accounts.account import MAX_RPM, MAX_TPM, Role

TAG = "keys"
_ROLE = told(nullable(choice(Role)), "Of a management key; null: an inference key.")
_RESET = told(nullable(choice(RESETS)), "When the limit begins anew; null: never.")
_LIMIT = {
    "limit": nullable(AMOUNT),
    "limit_reset": _RESET,
    "include_byok_in_limit": nullable(FLAG),
}
_RPM: Json = {"type": ["integer", "null"], "maximum": MAX_RPM}
_TPM: Json = {"type": ["integer", "null"], "maximum": MAX_TPM}
_WISHED_TPM = told(_TPM | {"minimum": 0}, "Tokens a minute at most, input and output; 0: no limit.")
_WISHED_RPM = told(_RPM | {"minimum": 0}, "Requests a minute at most; 0: no limit.")
_KEY = {
    "id": names.KEY,
    "hash": names.KEY_HASH,
    "name": NAME,
    "label": told(TEXT, "The key's beginning and end, to be recognized by."),
    "disabled": FLAG,
    "role": _ROLE,
    "organization_id": names.ORGANIZATION,
    "project_id": names.PROJECT,
    "tags": PAIRS,
    "allowed_ips": NETWORKS,
    **{f"{of}usage{window}": DOUBLE_USD for of in ("", "byok_") for window in WINDOWS},
    "rpm": told(_RPM | {"minimum": 1}, "Requests a minute at most; null: no limit."),
    "tpm": told(_TPM | {"minimum": 1}, "Tokens a minute at most; null: no limit."),
    "limit": nullable(told(DOUBLE_USD, "Of its own budgets, the one with the least left.")),
    "limit_reset": _RESET,
    "limit_remaining": nullable(DOUBLE_USD),
    "include_byok_in_limit": FLAG,
    "creator_key_id": nullable(names.KEY),
    "rotated_from": nullable(names.KEY),
    "created_at": TIME,
    "updated_at": TIME,
    "expires_at": nullable(TIME),
}

SCHEMAS: dict[str, Json] = {
    "Key": shown(_KEY),
    "OwnKey": shown(
        {
            **_KEY,
            "is_management_key": FLAG,
            "budgets": told(array(ref("Balance")), "All that bind it."),
        }
    ),
    "KeyRequest": wish(
        {
            "name": NAME,
            "project_id": told(nullable(names.PROJECT), "Null: the asking key's own."),
            "role": _ROLE,
            "expires_at": nullable(TIME),
            "tags": nullable(METADATA),
            "allowed_ips": WISHED_NETWORKS,
            "rpm": _WISHED_RPM,
            "tpm": _WISHED_TPM,
            **_LIMIT,
        },
        required=("name",),
    ),
    "KeyChange": wish(
        {
            "name": nullable(NAME),
            "disabled": nullable(FLAG),
            "tags": nullable(METADATA),
            "allowed_ips": WISHED_NETWORKS,
            "rpm": _WISHED_RPM,
            "tpm": _WISHED_TPM,
            **_LIMIT,
        }
    ),
    "KeyRotation": wish(
        {
            "overlap_s": {
                "type": ["integer", "null"],
                "minimum": 0,
                "maximum": 365 * DAY_S,
                "default": DAY_S,
                "description": "The old key lives on for so many seconds.",
            }
        }
    ),
}

_ID = {"id": names.KEY_NAME}
_MADE = data(ref("Key"), key=PLAIN)
_TRUE: Json = choice(("true", "false"))

OPERATIONS = (
    Operation(
        "GET", "/v1/key", "get_own_key", "Show the key that asks",
        tag=TAG,
        answers=answer(data(ref("OwnKey"))),
    ),
    Operation(
        "GET", "/v1/keys", "list_keys", "List keys, the oldest first",
        tag=TAG,
        text="100 a page. A member sees those of its own project.",
        parameters=(
            Parameter("offset", COUNT),
            Parameter("project_id", names.PROJECT, "Only of this project."),
            Parameter("include_disabled", _TRUE),
            Parameter("include_expired", _TRUE),
        ),
        answers=answer(data(array(ref("Key")))),
        errors=(*errors.VALUES, errors.NONE_SUCH),
    ),
    Operation(
        "POST", "/v1/keys", "create_key", "Make a key",
        tag=TAG,
        text="A member makes inference keys of its own project; an admin makes all but owners' keys.",
        roles=MEMBERS,
        body=Body(ref("KeyRequest"), {"name": "batch jobs", "limit": 12.5, "limit_reset": "monthly"}),
        answers=answer(_MADE, status=CREATED),
        errors=(*errors.CHANGE, *errors.PAIRS),
    ),
    Operation(
        "GET", "/v1/keys/{id}", "get_key", "Show a key",
        tag=TAG,
        names=_ID,
        answers=answer(data(ref("Key"))),
        errors=(errors.NONE_SUCH,),
    ),
    Operation(
        "PATCH", "/v1/keys/{id}", "change_key", "Change a key",
        tag=TAG,
        text="An amount alone keeps the window, a window alone the amount; the budget so made is the key's only one.",
        names=_ID,
        roles=MEMBERS,
        body=Body(ref("KeyChange"), {"name": "nightly jobs"}),
        answers=answer(data(ref("Key"))),
        errors=(*errors.CHANGE, *errors.PAIRS, errors.NONE_SUCH),
    ),
    Operation(
        "DELETE", "/v1/keys/{id}", "delete_key", "Delete a key",
        tag=TAG,
        names=_ID,
        roles=MEMBERS,
        answers=answer(DELETED),
        errors=(*errors.DECIDED, errors.NONE_SUCH),
    ),
    Operation(
        "POST", "/v1/keys/{id}/rotate", "rotate_key", "Make a key's successor",
        tag=TAG,
        names=_ID,
        roles=MEMBERS,
        body=Body(ref("KeyRotation"), {"overlap_s": 3600}, is_required=False),
        answers=answer(_MADE, status=CREATED),
        errors=(*errors.CHANGE, errors.NONE_SUCH),
    ),
)  # fmt: skip
