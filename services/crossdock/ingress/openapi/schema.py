"""Words to write JSON Schemas in."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

Json = dict[str, Any]
Properties = Mapping[str, Json]

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
COUNT: Json = {"type": "integer", "minimum": 0}
SECONDS: Json = {"type": "integer", "description": "Unix time in seconds."}
TIME: Json = {"type": "string", "format": "date-time"}
EXACT_USD: Json = {
    "type": "string",
    "pattern": r"^[0-9]+(\.[0-9]+)?$",
    "description": "USD, exactly.",
}
SIGNED_USD: Json = EXACT_USD | {
    "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
    "description": "USD, exactly; may be below 0.",
}
DOUBLE_USD: Json = {"type": "number", "description": "USD, as a double."}
BYTES: Json = {"type": "string", "contentMediaType": "application/octet-stream"}
PAIRS: Json = {"type": "object", "additionalProperties": TEXT}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def told(schema: Json, text: str) -> Json:
    """Return `schema` with a description."""
    return schema | {"description": text}


def nullable(schema: Json) -> Json:
    if isinstance(schema.get("type"), str):
        enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
        return schema | {"type": [schema["type"], "null"]} | enum
    return {"anyOf": [schema, {"type": "null"}]}


def choice(values: Iterable[str]) -> Json:
    return {"type": "string", "enum": list(values)}


def array(items: Json, **limits: int) -> Json:
    return {"type": "array", "items": items, **limits}


def some_of(items: Json, most: int) -> Json:
    """Return the schema of an array that is not empty, or null."""
    return nullable(array(items, minItems=1, maxItems=most))


def shown(properties: Properties, text: str = "") -> Json:
    """Return the schema of an object that we show: every field is there, unset ones are null."""
    about = {"description": text} if text else {}
    return {
        "type": "object",
        **about,
        "required": list(properties),
        "properties": dict(properties),
    }


def data(schema: Json, **more: Json) -> Json:
    """Return the schema of OpenRouter's envelope."""
    return shown({"data": schema, **more})


def page(schema: Json) -> Json:
    """Return the schema of a page of OpenAI's lists."""
    return shown(
        {
            "object": {"const": "list"},
            "data": array(schema),
            "first_id": nullable(TEXT),
            "last_id": nullable(TEXT),
            "has_more": FLAG,
        }
    )


def wish(properties: Properties, *, required: Collection[str] = (), is_closed: bool = True) -> Json:
    """Return the schema of an object that we are sent; of a closed one an unknown field is an error."""
    known = {"additionalProperties": False} if is_closed else {}
    needed = {"required": list(required)} if required else {}
    return {"type": "object", **needed, "properties": dict(properties), **known}


def exactly(pattern: str) -> str:
    """Return the regular expression that matches nothing but the whole."""
    return f"^(?:{pattern})$"
