"""JSON Schemas of the messages, with the strings below their fields as descriptions."""

import ast
import inspect
import textwrap
from typing import NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import override

from crossdock_schemas.message import Message
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import TOPICS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Json = dict[str, object]


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """Return the string below each field of `model` itself, as one line."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{model.__name__!r} is not a class")
    docs: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                docs[name] = " ".join(text.split())
            case _:
                pass
    return docs


class _WithFieldDocs(GenerateJsonSchema):
    """Adds the strings below the fields as descriptions."""

    @override
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        for name, text in field_docs(schema["cls"]).items():
            found["properties"][name].setdefault("description", text)
        return found


class Contract(NamedTuple):
    """A message in its version."""

    model: type[Message]
    version: int

    @property
    def name(self) -> str:
        return f"{self.model.__name__}.v{self.version}"


def contracts_of(topic: Topic) -> tuple[Contract, ...]:
    """Return the envelope of `topic`, or the messages that its values are; empty where both are opaque."""
    if topic.header is not None:
        return (Contract(topic.header, topic.version),)
    models = () if isinstance(topic.value, str) else topic.value
    return tuple(Contract(model, topic.version) for model in models)


def contracts() -> tuple[Contract, ...]:
    """Return every message, once."""
    return tuple(dict.fromkeys(one for topic in TOPICS for one in contracts_of(topic)))


def json_schema(contract: Contract) -> Json:
    # why: validation mode describes the input of a reader; writers omit None, so a missing field means None
    schema = contract.model.model_json_schema(schema_generator=_WithFieldDocs)
    return {"$schema": DIALECT, **schema}
