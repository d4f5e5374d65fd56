"""/v1/byok."""

from crossdock.ingress.management.byok import CREATED
from crossdock.ingress.openapi import names
from crossdock.ingress.openapi.operation import ADMINS, OWNERS, Body, Operation, answer
from crossdock.ingress.openapi.organizations import NAME
from crossdock.ingress.openapi.policies import DELETED, VERSION
from crossdock.ingress.openapi.schema import (
    FLAG,
    TEXT,
    TIME,
    Json,
    array,
    choice,
    data,
    nullable,
    ref,
    shown,
    some_of,
    told,
    wish,
)
from crossdock.ingress.values import specimens as errors
from crossdock.ingress.values.errors import bad_provider_key, no_master_key, no_secret
from crossdock.kernel.requests.provider_keys import EXPECTED, MAX_BYTES
from crossdock_schemas.accounts.attribution import MAX_USER
from crossdock_schemas.accounts.credential import MAX_SORT_ORDER
from crossdock_schemas.accounts.policy import MAX_PATTERNS, Rules
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.pricing.catalogue import REGIONS

TAG = "own provider keys"
_SECRET: Json = {
    "anyOf": [
        {"type": "string", "minLength": 8, "maxLength": MAX_BYTES},
        {"type": "object", "additionalProperties": True},
    ],
    "writeOnly": True,
    "description": "The provider's key, in its own shape: "
    + "; ".join(f"{auth}: {shape}" for auth, shape in EXPECTED.items())
    + ". It is sealed at once and never shown.",
}
_MODELS: Json = {
    name: value
    for name, value in Rules.model_json_schema()["properties"]["allowed_models"].items()
    if name not in {"default", "title"}
}
_REGION = told(nullable(choice(REGIONS)), "As its owner declares.")
_ORDER: Json = {"type": "integer", "minimum": 0, "maximum": MAX_SORT_ORDER}
_USER_ID: Json = {"type": "string", "minLength": 1, "maxLength": MAX_USER}
_FOR_USERS = (
    "Only requests whose `safety_identifier` or `user` is one of these; to all others the key is not there, "
    "also to those that name nobody. Null: of everybody."
)
_FLAGS = {
    "disabled": "Out of use.",
    "is_fallback": "Tried after the installation's own capacity; else before.",
    "is_required": "The models that it covers are never called at its provider with the installation's key.",
    "is_byok_only": "Nothing is called at its provider with the installation's key. Not with `is_fallback`.",
    "declared_zdr": "Its owner declares that the provider keeps nothing.",
}
_WISHED: dict[str, Json] = {
    "name": nullable(NAME),
    **{name: nullable(told(FLAG, text)) for name, text in _FLAGS.items()},
    "sort_order": nullable(told(_ORDER, "Of several keys the lowest is tried first.")),
    "allowed_models": _MODELS,
    "allowed_api_key_hashes": some_of(names.KEY_HASH, MAX_PATTERNS),
    "allowed_user_ids": told(some_of(_USER_ID, MAX_PATTERNS), _FOR_USERS),
    "declared_region": _REGION,
}

SCHEMAS: dict[str, Json] = {
    "Byok": shown(
        {
            "id": names.BYOK,
            "organization_id": names.ORGANIZATION,
            "project_id": nullable(told(names.PROJECT, "Null: the whole organization's.")),
            "provider": TEXT,
            "name": NAME,
            "label": told(TEXT, "The key's last characters, to be recognized by."),
            **{name: told(FLAG, text) for name, text in _FLAGS.items()},
            "sort_order": _ORDER,
            "allowed_models": nullable(array(TEXT)),
            "allowed_api_key_hashes": nullable(array(names.KEY_HASH)),
            "allowed_user_ids": told(nullable(array(_USER_ID)), _FOR_USERS),
            "declared_region": _REGION,
            "secret_version": told(VERSION, "Each new key raises it by one."),
            "version": VERSION,
            "created_at": TIME,
            "updated_at": TIME,
        }
    ),
    "ByokRequest": wish(
        {
            "provider": told(TEXT, "Its name in the catalogue."),
            "key": _SECRET,
            "project_id": nullable(names.PROJECT),
            "test": nullable(told(FLAG, "Ask the provider for its models with it first.")),
            **_WISHED,
        },
        required=("provider", "key"),
    ),
    "ByokChange": wish({"key": nullable(_SECRET), **_WISHED}),
    "SealedSecret": wish(
        {
            name: {key: value for key, value in field.items() if key != "title"}
            for name, field in SealedSecret.model_json_schema()["properties"].items()
        }
        | {"account": names.ORGANIZATION, "credential_id": names.BYOK},
        required=tuple(SealedSecret.model_fields),
        is_closed=False,
    ),
}

_ID = {"id": names.BYOK}
_EXAMPLE_SEALED = {
    "account": "org_local",
    "credential_id": "byok_" + "0" * 32,
    "version": 1,
    "master_key_id": "0" * 8,
    **dict.fromkeys(("wrap_nonce", "wrapped_key", "nonce", "ciphertext"), "AAAA"),
}
_TESTED = choice(("ok", "unclear", "unreachable"))
_MADE = data(ref("Byok")) | {
    "properties": {
        "data": ref("Byok"),
        "test": told(_TESTED, "If it was asked for: what the provider's answer says of the key."),
    }
}

OPERATIONS = (
    Operation(
        "GET", "/v1/byok", "list_byok", "List own provider keys, the oldest first",
        tag=TAG,
        answers=answer(data(array(ref("Byok")))),
    ),
    Operation(
        "POST", "/v1/byok", "create_byok", "Hand in an own provider key",
        tag=TAG,
        roles=ADMINS,
        body=Body(ref("ByokRequest"), {"provider": "atlas", "key": "sk-of-your-own-account"}),
        answers=answer(_MADE, status=CREATED),
        errors=(
            *errors.CHANGE, errors.NONE_SUCH, no_secret("resource_name", "Field required."), no_master_key(),
            bad_provider_key("atlas", 401),
        ),
    ),
    Operation(
        "GET", "/v1/byok/{id}", "get_byok", "Show an own provider key, without the key",
        tag=TAG,
        names=_ID,
        answers=answer(data(ref("Byok"))),
        errors=(errors.NONE_SUCH,),
    ),
    Operation(
        "PATCH", "/v1/byok/{id}", "change_byok", "Change an own provider key, or put another in its place",
        tag=TAG,
        text="A null takes away what `allowed_models`, `allowed_api_key_hashes`, `allowed_user_ids` or `declared_region` demand.",
        names=_ID,
        roles=ADMINS,
        body=Body(ref("ByokChange"), {"is_fallback": True}),
        answers=answer(data(ref("Byok"))),
        errors=(*errors.CHANGE, errors.NONE_SUCH, no_secret("resource_name", "Field required."), no_master_key()),
    ),
    Operation(
        "DELETE", "/v1/byok/{id}", "delete_byok", "Delete an own provider key",
        tag=TAG,
        names=_ID,
        roles=ADMINS,
        answers=answer(DELETED),
        errors=(*errors.DECIDED, errors.NONE_SUCH),
    ),
    Operation(
        "POST", "/v1/byok/{id}/rewrap", "rewrap_byok", "Put a key under the first master key",
        tag=TAG,
        text="`crossdock secrets rotate` does. For owners of the installation's first organization.",
        names=_ID,
        roles=OWNERS,
        body=Body(ref("SealedSecret"), _EXAMPLE_SEALED),
        answers=answer(data(shown({"id": names.BYOK, "master_key_id": TEXT}))),
        errors=(*errors.SENT, *errors.DECIDED, errors.NONE_SUCH, no_master_key()),
    ),
)  # fmt: skip
