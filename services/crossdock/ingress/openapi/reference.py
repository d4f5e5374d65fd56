"""The reference page of the API, generated from the OpenAPI document. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]
MAX_CELL = 200  # characters of a table's cell
HEAD = """# API reference

Generated from the routes and their models: `python -m crossdock.ingress.openapi write`. The guides show how to use it; the same
as an OpenAPI 3.1 document is [openapi.json](openapi.json), which every ingress serves at `GET /openapi.json`.

A field that is not marked *required* may be left out; a field of an answer is always there. Errors: see the
[guide](guides/errors.md).
"""
_BOUNDS = (("minLength", "at least {} characters"), ("maxLength", "at most {} characters"), ("minimum", "at least {}"),
           ("maximum", "at most {}"), ("minItems", "at least {} entries"), ("maxItems", "at most {} entries"),
           ("maxProperties", "at most {} fields"), ("default", "default `{}`"))  # fmt: skip


def reference(document: Json) -> str:
    """Return the page."""
    parts = [HEAD]
    for tag in (one["name"] for one in document["tags"]):
        parts.append(f"## {tag[0].upper()}{tag[1:]}\n")
        parts += (
            _operation(method, path, one)
            for path, methods in document["paths"].items()
            for method, one in methods.items()
            if tag in one["tags"]
        )
    parts.append("## Objects\n")
    parts += (_object(name, one) for name, one in document["components"]["schemas"].items())
    return "\n".join(parts)


def _operation(method: str, path: str, one: Json) -> str:
    rows = [
        (p["name"], f"{p['in']}: {_kind(p['schema'])}", p.get("description", ""), p.get("required"))
        for p in one.get("parameters", ())
    ]
    text = one.get("description")
    return "\n".join((
        f"### {one['summary']}\n",
        f"`{method.upper()} {path}` · {_access(one)}\n",
        *([f"{text}\n"] if text else []),
        *([f"{_body(one)}\n"] if "requestBody" in one else []),
        f"Answer: {_answers(one)}. Errors: {_errors(one)}.\n",
        _table(rows),
    ))  # fmt: skip


def _access(one: Json) -> str:
    kinds = [kind for each in one["security"] for kind in each]
    roles = [role for each in one["security"] for role in each.get("managementKey", ())]
    inference = ["inference key"] if "inferenceKey" in kinds else []
    management = [f"management key ({', '.join(roles)})"] if roles else []
    return " or ".join(inference + management) or "no key"


def _body(one: Json) -> str:
    body = one["requestBody"]
    ((media, content),) = body["content"].items()
    needed = "" if body["required"] else ", optional"
    return f"Body ({media}{needed}): {_kind(content['schema'])}"


def _answers(one: Json) -> str:
    found = {
        f"{status} {_kind(content['schema']) if media.endswith('json') else media}"
        for status, response in one["responses"].items()
        if status < "3"
        for media, content in response["content"].items()
    }
    return ", ".join(sorted(found))


def _errors(one: Json) -> str:
    return ", ".join(status for status in one["responses"] if "4" <= status < "6")


def _object(name: str, one: Json) -> str:
    required = one.get("required", ())
    rows = [
        (field, _kind(schema), schema.get("description", ""), field in required)
        for field, schema in one.get("properties", {}).items()
    ]
    about = one.get("description", "" if rows else _kind(one))
    return "\n".join((f"### {name}\n", *([f"{about}\n"] if about else []), _table(rows)))


def _table(rows: Iterable[tuple[str, str, str, Any]]) -> str:
    lines = [
        f"| `{name}`{'*' if needed else ''} | {_cell(kind)} | {_cell(text)} |"
        for name, kind, text, needed in rows
    ]
    return "\n".join(["| field | type | |", "| --- | --- | --- |", *lines, ""]) if lines else ""


def _cell(text: str) -> str:
    flat = " ".join(text.split()).replace("|", "\\|")
    return flat if len(flat) <= MAX_CELL else f"{flat[: MAX_CELL - 3].rsplit(' ', 1)[0]}..."


def _kind(schema: Mapping[str, Any]) -> str:
    """Return a schema in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema and "type" not in schema:
        return " or ".join(dict.fromkeys(map(_kind, schema["anyOf"])))
    for name in ("const", "enum"):
        if name in schema:
            values = [schema[name]] if name == "const" else schema[name]
            return ", ".join(f"`{value}`" for value in values)
    kind = schema.get("type", "any")
    words = kind if isinstance(kind, str) else " or ".join(kind)
    if "items" in schema:
        words = f"array of {_kind(schema['items'])}"
    bounds = (text.format(schema[name]) for name, text in _BOUNDS if name in schema)
    return ", ".join((schema.get("format", words), *bounds))
