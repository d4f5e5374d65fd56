"""Presets: named settings of requests, kept by an organization or a project. Pure."""

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
"""The slug of the preset that all requests of its organization or project begin with."""
NO_PARAMETERS = frozenset({"messages", "input", "model", "preset", "stream", "stream_options"})
"""Fields of a body that no preset sets among its parameters."""
SLUG_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$"
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]


class Settings(Message):
    """What a preset says. A request's own fields win over it, one by one."""

    model: str | None = Field(default=None, min_length=1, max_length=256)
    parameters: dict[str, JsonValue] = Field(default_factory=dict, max_length=MAX_PARAMETERS)
    """Fields of the body, such as temperature."""
    system: str | None = Field(default=None, min_length=1, max_length=MAX_SYSTEM)
    """Comes before the messages of a request that brings no system or developer message."""
    description: str | None = Field(default=None, max_length=1024)


class Preset(Settings):
    """Settings under a name. Key in the directory: `preset_`, the slug, `_`, the scope's id."""

    account: AccountId
    scope: str
    """Id of the organization or project that it is for; a project's hides its organization's of the same slug."""
    slug: Slug
    version: int
    """Number of the change that set it, in its account's log."""
    updated_at_ms: int


class Preparation(Message):
    """What a request's body goes through before anything else is asked of it."""

    presets: tuple[Preset, ...] = ()
    """Those that the request may name."""
    defaults: tuple[Preset, ...] = ()
    """Those that it begins with: the project's before the organization's."""
    guard: GuardRules = NO_GUARD
    """What is looked for in it afterwards."""


def preparation_of(
    of_account: dict[str, Preset], of_project: dict[str, Preset], *, guard: GuardRules = NO_GUARD
) -> Preparation | None:
    """Return what a request goes through with an organization's and a project's presets, by slug; None: nothing."""
    if not (of_account or of_project or guard.detectors):
        return None
    named = of_account | of_project
    defaults = [found.get(DEFAULT) for found in (of_project, of_account)]
    return Preparation.model_construct(
        presets=tuple(named.values()),
        defaults=tuple(preset for preset in defaults if preset is not None),
        guard=guard,
    )
