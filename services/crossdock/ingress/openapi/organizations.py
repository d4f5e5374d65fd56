"""/v1/organization, /v1/organizations and /v1/projects."""

from crossdock.ingress.management.organizations import CREATED, MAX_LIFE_S
from crossdock.ingress.openapi import names
from crossdock.ingress.openapi.batches import METADATA
from crossdock.ingress.openapi.operation import ADMINS, OWNERS, Body, Operation, answer
from crossdock.ingress.openapi.schema import (
    FLAG,
    PAIRS,
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
from crossdock.ingress.values.management_bodies import MAX_NETWORKS
from crossdock_schemas.accounts.account import MAX_NAME

TAG = "organizations"
NAME: Json = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
NETWORKS: Json = {
    "type": "array",
    "items": TEXT,
    "description": "Networks in CIDR form; none: from everywhere.",
}
WISHED_NETWORKS = nullable(NETWORKS | {"maxItems": MAX_NETWORKS})
PLAIN = told(TEXT, "The key itself, this once.")
_LIFE: Json = {
    "type": ["integer", "null"],
    "minimum": 0,
    "description": "A new inference key must expire within so many seconds.",
}

SCHEMAS: dict[str, Json] = {
    "Organization": shown(
        {
            "id": names.ORGANIZATION,
            "name": NAME,
            "is_operator": told(FLAG, "Its owners may make other organizations."),
            "max_key_life_s": _LIFE,
            "allowed_ips": NETWORKS,
            "is_prepaid": told(FLAG, "It needs credits for what it spends."),
            "created_at": TIME,
            "updated_at": TIME,
        }
    ),
    "Project": shown(
        {
            "id": names.PROJECT,
            "name": NAME,
            "disabled": FLAG,
            "tags": PAIRS,
            "organization_id": names.ORGANIZATION,
            "created_at": TIME,
            "updated_at": TIME,
        }
    ),
    "OrganizationChange": wish(
        {
            "name": nullable(NAME),
            "max_key_life_s": _LIFE | {"maximum": MAX_LIFE_S},
            "allowed_ips": WISHED_NETWORKS,
        }
    ),
    "OrganizationRequest": wish(
        {"name": NAME, "project_name": nullable(NAME)},
        required=("name",),
    ),
    "ProjectRequest": wish({"name": NAME, "tags": nullable(METADATA)}, required=("name",)),
    "ProjectChange": wish(
        {"name": nullable(NAME), "disabled": nullable(FLAG), "tags": nullable(METADATA)}
    ),
}

_ID = {"id": names.PROJECT}

OPERATIONS = (
    Operation(
        "GET", "/v1/organization", "get_organization", "Show the key's organization",
        tag=TAG,
        answers=answer(data(ref("Organization"))),
        errors=(errors.NONE_SUCH,),
    ),
    Operation(
        "PATCH", "/v1/organization", "change_organization", "Change the key's organization",
        tag=TAG,
        roles=OWNERS,
        body=Body(ref("OrganizationChange"), {"name": "Acme"}),
        answers=answer(data(ref("Organization"))),
        errors=(*errors.CHANGE, errors.NONE_SUCH),
    ),
    Operation(
        "POST", "/v1/organizations", "create_organization", "Make an organization",
        tag=TAG,
        text="For owners of the installation's first organization.",
        roles=OWNERS,
        body=Body(ref("OrganizationRequest"), {"name": "Globex"}),
        answers=answer(data(ref("Organization"), key=PLAIN), status=CREATED),
        errors=errors.CHANGE,
    ),
    Operation(
        "GET", "/v1/projects", "list_projects", "List projects",
        tag=TAG,
        text="A member sees its own.",
        answers=answer(data(array(ref("Project")))),
    ),
    Operation(
        "POST", "/v1/projects", "create_project", "Make a project",
        tag=TAG,
        roles=ADMINS,
        body=Body(ref("ProjectRequest"), {"name": "staging"}),
        answers=answer(data(ref("Project")), status=CREATED),
        errors=(*errors.CHANGE, *errors.PAIRS),
    ),
    Operation(
        "GET", "/v1/projects/{id}", "get_project", "Show a project",
        tag=TAG,
        names=_ID,
        answers=answer(data(ref("Project"))),
        errors=(errors.NONE_SUCH,),
    ),
    Operation(
        "PATCH", "/v1/projects/{id}", "change_project", "Change a project",
        tag=TAG,
        names=_ID,
        roles=ADMINS,
        body=Body(ref("ProjectChange"), {"name": "production"}),
        answers=answer(data(ref("Project"))),
        errors=(*errors.CHANGE, *errors.PAIRS, errors.NONE_SUCH),
    ),
)  # fmt: skip
