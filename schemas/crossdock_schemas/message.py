"""The base of every message: frozen. Writers set known fields only; readers accept newer ones."""

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A value on a topic. Readers ignore unknown fields, so that a newer writer may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")

    def to_json(self) -> bytes:
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Parse `raw`.

        Raises:
            pydantic.ValidationError: if `raw` is not such a message.
        """
        message: Self = cls.__pydantic_validator__.validate_json(raw)
        return message


def fill_last(empty: bytes, items: Iterable[bytes]) -> bytes:
    """Return the JSON of a message whose last field is an empty list, with encoded `items` in that list."""
    return b"".join((empty.removesuffix(b"]}"), b",".join(items), b"]}"))
