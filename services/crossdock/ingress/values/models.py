"""Base classes of request and answer models. Pure.

A request model checks what is sent; an answer model reads its fields from the domain object that it shows. The API's
document is generated from both, so a field is declared here once: name, type, bounds and description.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

T = TypeVar("T")


class RequestModel(BaseModel):
    """A body or a query. An unknown field is refused: a limit that is silently ignored costs money."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        from_attributes=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, data: Any) -> Any:
        if isinstance(data, dict) and cls.model_config.get("extra") == "forbid":
            for name in data:
                if name not in cls.model_fields:
                    raise unknown_field(name, cls.model_fields)
        return data

    def given(self) -> dict[str, Any]:
        """Return the fields that were sent and are not null."""
        sent = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value for name, value in sent.items() if value is not None}


class OpenRequestModel(RequestModel):
    """A body of another API, whose other fields are ignored."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"additionalProperties": True})


class QueryModel(RequestModel):
    """The query of an operation, whose other parameters are ignored."""

    model_config = ConfigDict(extra="ignore")


LOCK_OUT = "lock_out"


def _forced(given: str) -> str:
    if given != LOCK_OUT:
        raise fault(f"Expected {LOCK_OUT!r}.")
    return given


class ForceQuery(QueryModel):
    """The query of an operation that can lock keys out."""

    force: Annotated[str, AfterValidator(_forced), WithJsonSchema({"type": "string"})] | None = None
    """`lock_out`: do it even if the key that asks, or every owner's key, does not work afterwards. The way back then is
    `crossdock recover` at the machine."""

    @property
    def is_forced(self) -> bool:
        return self.force is not None


class AnswerModel(BaseModel):
    """An object of an answer. Every field is there; a field that is not set is null."""

    model_config = ConfigDict(
        frozen=True,
        from_attributes=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )

    @classmethod
    def of(cls, source: object, **more: Any) -> Self:
        """Return the answer for `source`; `more`: values that `source` does not have."""
        return cls.model_validate(_Source(source, more))


class _Source:
    """An object with more attributes."""

    def __init__(self, source: object, more: Mapping[str, Any]) -> None:
        self._source = source
        self._more = more

    def __getattr__(self, name: str) -> Any:
        return self._more[name] if name in self._more else getattr(self._source, name)


class Data(AnswerModel, Generic[T]):
    """OpenRouter's envelope."""

    data: T


class Listed(AnswerModel, Generic[T]):
    """OpenRouter's envelope of a list."""

    data: tuple[T, ...]


class Counted(AnswerModel, Generic[T]):
    """OpenRouter's envelope of a list with its length."""

    data: tuple[T, ...]
    total_count: int
    """Number of objects, on all pages together."""


class Deleted(AnswerModel):
    """The object is gone."""

    deleted: Literal[True] = True


def unknown_field(name: str, known: Mapping[str, Any]) -> PydanticCustomError:
    names = ", ".join(sorted(known))
    return PydanticCustomError(
        "unknown_parameter", "Known fields are: {names}.", {"field": name, "names": names}
    )


def fault(rule: str, **context: Any) -> PydanticCustomError:
    """Return the error of a value that breaks `rule`: what is expected instead, in a sentence."""
    return PydanticCustomError("invalid_value", "{rule}", {"rule": rule, **context})
