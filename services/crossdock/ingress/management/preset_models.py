"""Request and answer models of the preset routes."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasPath, Field, JsonValue, WithJsonSchema

from crossdock.ingress.management.policy_models import Level
from crossdock.ingress.values import types
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.models import AnswerModel, Counted, Data, RequestModel, fault
from crossdock.kernel.requests.preparation import MARK
from crossdock_schemas.accounts.demands import read_demands
from crossdock_schemas.accounts.directory import level_of, preset_id
from crossdock_schemas.accounts.preset import (
    MAX_PARAMETERS,
    MAX_PARAMETERS_BYTES,
    MAX_SYSTEM,
    NO_PARAMETERS,
    Preset,
    PresetSettings,
    Slug,
)
from crossdock_schemas.pricing.field_types import Unsound

PresetSlug = Annotated[Slug, Field(examples=["brief"])]


def _names_no_preset(model: str) -> str:
    if MARK in model:
        raise fault("A preset names no other preset.")
    return model


def _check_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    for name in parameters:
        if name in NO_PARAMETERS:
            rule = f"A preset sets none of {', '.join(sorted(NO_PARAMETERS))} among its parameters."
            raise fault(rule, shown=name)
    demands = read_demands(parameters)
    if isinstance(demands, Unsound):
        param = f"parameters.{demands.param}"
        raise RefusedError(400, demands.message, param=param, reason=demands.code)
    try:
        size = len(json.dumps(parameters, allow_nan=False))
    except ValueError:  # a number such as 1e999
        raise fault("A number in it is too large for JSON.", shown="...") from None
    if size > MAX_PARAMETERS_BYTES:
        rule = f"Expected at most {MAX_PARAMETERS_BYTES} bytes of JSON."
        raise fault(rule, shown=f"{size} bytes")
    return parameters


Parameters = Annotated[
    dict[str, JsonValue],
    Field(max_length=MAX_PARAMETERS),
    AfterValidator(_check_parameters),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_PARAMETERS,
            "propertyNames": {"not": {"enum": sorted(NO_PARAMETERS)}},
            "additionalProperties": True,
        }
    ),
]


ModelName = Annotated[
    str,
    Field(min_length=1, max_length=256, json_schema_extra={"not": {"pattern": MARK}}),
    AfterValidator(_names_no_preset),
]


class PresetSet(RequestModel):
    """The settings of a preset, as a whole."""

    model: ModelName | None = None
    """For requests that name no model."""
    parameters: Parameters | None = None
    """Fields of a request's body, such as temperature; a field of the request itself goes first."""
    system: Annotated[str, Field(min_length=1, max_length=MAX_SYSTEM)] | None = None
    """Comes before the messages of a request that has no system or developer message."""
    description: Annotated[str, Field(max_length=1024)] | None = None

    def settings(self) -> PresetSettings:
        return PresetSettings(**self.given())


class PresetUpdate(PresetSet):
    """Settings of a preset; one that is not sent stays as it is, one that is null ends, and so does a parameter."""

    def kept(self) -> tuple[str, ...]:
        """Return the settings that a change leaves as they are: those that were not sent."""
        return tuple(n for n in PresetSettings.model_fields if n not in self.model_fields_set)


class PresetVersion(AnswerModel):
    """The present version of a preset, as OpenRouter shows it."""

    id: str
    preset_id: str
    version: types.Version
    config: dict[str, JsonValue]
    """`model`, if there is one, and the parameters."""
    system_prompt: str | None = Field(validation_alias="system")
    creator_id: str = Field(validation_alias="account")
    """The organization."""
    created_at: types.Time = Field(validation_alias="updated_at_ms")
    updated_at: types.Time = Field(validation_alias=AliasPath("updated_at_ms"))


class PresetObject(AnswerModel):
    """Settings under a name. Every request of its organization or project begins with the one named `default`."""

    id: str
    slug: PresetSlug
    name: str = Field(validation_alias=AliasPath("slug"))
    scope: types.PresetScopeId
    level: Level
    organization_id: types.OrganizationId = Field(validation_alias="account")
    workspace_id: types.ProjectId | None
    """The project; null: the organization's."""
    model: str | None
    parameters: dict[str, JsonValue]
    system: str | None
    description: str | None
    status: Literal["active"] = "active"
    status_updated_at: None = None
    creator_user_id: None = None
    designated_version_id: str
    designated_version: PresetVersion
    version: types.Version
    created_at: types.Time = Field(validation_alias="updated_at_ms")
    """The time of the present version."""
    updated_at: types.Time = Field(validation_alias=AliasPath("updated_at_ms"))


PresetAnswer = Data[PresetObject]
PresetsAnswer = Counted[PresetObject]


def show_preset(preset: Preset) -> PresetObject:
    identifier = preset_id(preset.scope, preset.slug)
    version_id = f"{identifier}@{preset.version}"
    level = level_of(preset.scope)
    config = ({"model": preset.model} if preset.model else {}) | preset.parameters
    return PresetObject.of(
        preset,
        id=identifier,
        level=level,
        workspace_id=preset.scope if level == "project" else None,
        designated_version_id=version_id,
        designated_version=PresetVersion.of(
            preset, id=version_id, preset_id=identifier, config=config
        ),
    )
