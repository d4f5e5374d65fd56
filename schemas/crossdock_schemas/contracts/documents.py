"""Every generated document by its path in the repository."""

import json
from pathlib import Path

from crossdock_schemas.contracts.asyncapi import asyncapi
from crossdock_schemas.contracts.pages import tables_page, topics_page
from crossdock_schemas.contracts.parameters_page import parameters_page
from crossdock_schemas.contracts.schema import Json, contracts, json_schema

SQL = Path(__file__).parents[1] / "sql"


def documents() -> dict[str, str]:
    """Return every generated document by its path in the repository."""
    found = {f"schemas/json/{one.name}.json": _dump(json_schema(one)) for one in contracts()}
    found["schemas/json/asyncapi.json"] = _dump(asyncapi())
    found["infra/docs/topics.md"] = topics_page()
    found["infra/docs/guides/parameters.md"] = parameters_page()
    found["infra/docs/tables.md"] = tables_page(read_sql())
    return found


def read_sql() -> str:
    """Return the migrations of the tables in their order, then the views by name."""
    return "\n".join(file.read_text() for file in sorted(SQL.glob("*/*.sql")))


def _dump(document: Json) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
