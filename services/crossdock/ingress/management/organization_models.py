"""What the routes of organizations and projects take and show."""

from pydantic import Field

from crossdock.ingress.values.models import AnswerModel, Data, Listed, RequestModel
from crossdock.ingress.values.types import (
    Flag,
    Name,
    Networks,
    OrganizationId,
    ProjectId,
    Tags,
    Time,
    Whole,
)
from crossdock_schemas.accounts.account import Organization

MAX_LIFE_S = 10 * 365 * 86_400


class OrganizationUpdate(RequestModel):
    name: Name | None = None
    max_key_life_s: Whole | None = Field(None, ge=0, le=MAX_LIFE_S)
    """A new inference key must expire within so many seconds; 0: it need not."""
    allowed_ips: Networks | None = None
    """Networks in CIDR form from which its keys may be used; empty: from everywhere."""


class OrganizationCreate(RequestModel):
    name: Name
    project_name: Name | None = None
    """Of its first project; null: `default`."""


class OrganizationObject(AnswerModel):
    id: OrganizationId = Field(validation_alias="account")
    name: Name
    is_operator: bool
    """Its owners may create other organizations."""
    max_key_life_s: int | None = Field(ge=0)
    """A new inference key must expire within so many seconds; null or 0: it need not."""
    allowed_ips: tuple[str, ...]
    """Networks in CIDR form from which its keys may be used; empty: from everywhere."""
    is_prepaid: bool
    """It needs credits for what it spends."""
    created_at: Time = Field(validation_alias="created_at_ms")
    updated_at: Time = Field(validation_alias="updated_at_ms")


class OrganizationCreated(AnswerModel):
    data: OrganizationObject
    key: str
    """Its owner's key, this once."""


class ProjectCreate(RequestModel):
    name: Name
    tags: Tags | None = None


class ProjectUpdate(RequestModel):
    name: Name | None = None
    disabled: Flag | None = None
    """True: no key of the project works."""
    tags: Tags | None = None


class ProjectObject(AnswerModel):
    id: ProjectId = Field(validation_alias="project")
    name: Name
    disabled: bool
    tags: dict[str, str]
    organization_id: OrganizationId = Field(validation_alias="account")
    created_at: Time = Field(validation_alias="created_at_ms")
    updated_at: Time = Field(validation_alias="updated_at_ms")


OrganizationAnswer = Data[OrganizationObject]
ProjectAnswer = Data[ProjectObject]
ProjectsAnswer = Listed[ProjectObject]


def show_organization(organization: Organization) -> OrganizationObject:
    is_prepaid = organization.prepaid_from_usd is not None
    return OrganizationObject.of(organization, is_prepaid=is_prepaid)
