"""Presets: named settings of requests, of an organization or a project. Pure."""

from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints

from crossdock_schemas.accounts.content_filter import NO_GUARD, GuardRules
from crossdock_schemas.ids import AccountId
from crossdock_schemas.message import Message

MAX_SLUG = 64
MAX_SYSTEM = 32_768
MAX_PARAMETERS = 64
MAX_PARAMETERS_BYTES = 32_768
MAX_PRESETS = 200
DEFAULT = "default"
"""Slug of the preset that applies to all requests of its organization or project."""
NO_PARAMETERS = frozenset({"messages", "input", "model", "preset", "stream", "stream_options"})
"""Fields of a body that no preset sets among its parameters."""
SLUG_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$"
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]


class PresetSettings(Message):
    """The content of a preset. Fields of the request win over it, one by one."""

    model: str | None = Field(default=None, min_length=1, max_length=256)
    parameters: dict[str, JsonValue] = Field(default_factory=dict, max_length=MAX_PARAMETERS)
    """Fields of the body, such as temperature."""
    system: str | None = Field(default=None, min_length=1, max_length=MAX_SYSTEM)
    """Inserted before the messages of a request without a system or developer message."""
    description: str | None = Field(default=None, max_length=1024)


class Preset(PresetSettings):
    """Settings under a name. Key in the directory: `preset_`, the slug, `_`, the scope's id."""

    account: AccountId
    scope: str
    """Id of the organization or project that it is for; a project's hides its organization's of the same slug."""
    slug: Slug
    version: int
    """Number of the change that set it, in its account's log."""
    updated_at_ms: int


class Preparation(Message):
    """The preparation of a request's body before any check."""

    presets: tuple[Preset, ...] = ()
    """Presets that the request may name."""
    defaults: tuple[Preset, ...] = ()
    """Presets that always apply: the project's before the organization's."""
    guard: GuardRules = NO_GUARD
    """The content filter that runs afterwards."""


def preparation_of(
    of_account: dict[str, Preset], of_project: dict[str, Preset], *, guard: GuardRules = NO_GUARD
) -> Preparation | None:
    """Return the preparation with an organization's and a project's presets, by slug; None if it does nothing."""
    if not (of_account or of_project or guard.detectors):
        return None
    named = of_account | of_project
    defaults = [found.get(DEFAULT) for found in (of_project, of_account)]
    return Preparation.model_construct(
        presets=tuple(named.values()),
        defaults=tuple(preset for preset in defaults if preset is not None),
        guard=guard,
    )
