"""/v1/presets."""

from crossdock.ingress.openapi import names
from crossdock.ingress.openapi.operation import ADMINS, Body, Operation, answer
from crossdock.ingress.openapi.policies import DELETED, LEVEL, VERSION
from crossdock.ingress.openapi.schema import (
    TEXT,
    TIME,
    Json,
    array,
    data,
    nullable,
    ref,
    shown,
    told,
    wish,
)
from crossdock.ingress.values import specimens as errors
from crossdock_schemas.accounts.preset import MAX_SYSTEM, SLUG_PATTERN

TAG = "presets"
SLUG: Json = {"type": "string", "pattern": SLUG_PATTERN, "examples": ["brief"]}
_SYSTEM = "Comes before the messages of a request that brings no system or developer message."
_PARAMETERS: Json = {
    "type": "object",
    "description": "Fields of a request's body, such as temperature; what a request says itself wins.",
}
_SETTINGS = {
    "model": nullable(told(TEXT, "For requests that name none.")),
    "parameters": _PARAMETERS,
    "system": nullable(told(TEXT | {"maxLength": MAX_SYSTEM}, _SYSTEM)),
    "description": nullable(TEXT),
}

SCHEMAS: dict[str, Json] = {
    "Preset": shown(
        {
            "slug": SLUG,
            "scope": names.PRESET_SCOPE,
            "level": LEVEL,
            "organization_id": names.ORGANIZATION,
            **_SETTINGS,
            "version": VERSION,
            "updated_at": TIME,
        },
        "Settings under a name. All requests of its organization or project begin with the one named `default`.",
    ),
    "PresetRequest": wish(_SETTINGS | {"parameters": nullable(_PARAMETERS)}),
}

_IDS = {"id": names.PRESET_SCOPE, "slug": SLUG}
_PATH = "/v1/presets/{id}/{slug}"

OPERATIONS = (
    Operation(
        "GET", "/v1/presets", "list_presets", "List the presets that the key may see",
        tag=TAG,
        answers=answer(data(array(ref("Preset")))),
    ),
    Operation(
        "GET", _PATH, "get_preset", "Show a preset",
        tag=TAG,
        names=_IDS,
        answers=answer(data(ref("Preset"))),
        errors=(errors.NONE_SUCH,),
    ),
    Operation(
        "PUT", _PATH, "set_preset", "Set a preset of an organization or a project, as a whole",
        tag=TAG,
        names=_IDS,
        roles=ADMINS,
        body=Body(ref("PresetRequest"), {"model": "tern-mini", "parameters": {"temperature": 0}}),
        answers=answer(data(ref("Preset"))),
        errors=(*errors.CHANGE, errors.DEMANDS, errors.NONE_SUCH),
    ),
    Operation(
        "DELETE", _PATH, "clear_preset", "Take a preset away",
        tag=TAG,
        names=_IDS,
        roles=ADMINS,
        answers=answer(DELETED),
        errors=(*errors.DECIDED, errors.NONE_SUCH),
    ),
)  # fmt: skip
