"""Request and answer models of the routes of organizations and projects."""

from pydantic import Field

from crossdock.ingress.values import types
from crossdock.ingress.values.models import AnswerModel, Data, Listed, RequestModel
from crossdock_schemas.accounts.account import Organization

MAX_LIFE_S = 10 * 365 * 86_400


class OrganizationUpdate(RequestModel):
    name: types.Name | None = None
    max_key_life_s: types.Whole | None = Field(None, ge=0, le=MAX_LIFE_S)
    """A new inference key must expire within so many seconds; 0: it need not."""
    allowed_ips: types.Networks | None = None
    """Networks in CIDR form from which its keys may be used; empty: from everywhere."""


class OrganizationCreate(RequestModel):
    name: types.Name
    project_name: types.Name | None = None
    """The name of its first project; null: `default`."""


class OrganizationObject(AnswerModel):
    id: types.OrganizationId = Field(validation_alias="account")
    name: types.Name
    is_operator: bool
    """Its owners may create other organizations."""
    max_key_life_s: int | None = Field(ge=0)
    """A new inference key must expire within so many seconds; null or 0: it need not."""
    allowed_ips: tuple[str, ...]
    """Networks in CIDR form from which its keys may be used; empty: from everywhere."""
    is_prepaid: bool
    """It needs credits for what it spends."""
    created_at: types.Time = Field(validation_alias="created_at_ms")
    updated_at: types.Time = Field(validation_alias="updated_at_ms")


class OrganizationCreated(AnswerModel):
    data: OrganizationObject
    key: str
    """Its owner's key, this once."""


class ProjectCreate(RequestModel):
    name: types.Name
    tags: types.Tags | None = None


class ProjectUpdate(RequestModel):
    name: types.Name | None = None
    disabled: types.Flag | None = None
    """True: no key of the project works."""
    tags: types.Tags | None = None


class ProjectObject(AnswerModel):
    id: types.ProjectId = Field(validation_alias="project")
    name: types.Name
    disabled: bool
    tags: dict[str, str]
    organization_id: types.OrganizationId = Field(validation_alias="account")
    created_at: types.Time = Field(validation_alias="created_at_ms")
    updated_at: types.Time = Field(validation_alias="updated_at_ms")


OrganizationAnswer = Data[OrganizationObject]
ProjectAnswer = Data[ProjectObject]
ProjectsAnswer = Listed[ProjectObject]


def show_organization(organization: Organization) -> OrganizationObject:
    is_prepaid = organization.prepaid_from_usd is not None
    return OrganizationObject.of(organization, is_prepaid=is_prepaid)
