"""Topics, tables and views as Markdown."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from crossdock_schemas.stages import PROVISION, STAGES, Guarantee
from crossdock_schemas.topic import DAY_MS, HOUR_MS, Topic
from crossdock_schemas.topics import TOPICS, topics_in, topics_out

DO_NOT_EDIT = "<!-- Written by `python -m crossdock_schemas.contracts write`. -->"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def topics_page() -> str:
    head = ["topic", "key", "header", "value", "from", "to", "partitions", "kept", "largest"]
    rows = [
        [
            f"`{topic.name}`",
            topic.key,
            "" if topic.header is None else f"`{topic.header.__name__}`",
            _value_of(topic),
            ", ".join(topic.producers),
            ", ".join(topic.consumers),
            "`CROSSDOCK_PARTITIONS`" if topic.partitions is None else str(topic.partitions),
            _kept(topic),
            f"{topic.largest / 1000:g} kB",
        ]
        for topic in TOPICS
    ]
    parts = (DO_NOT_EDIT, "# Topics", _TOPICS_INTRO, markdown_table(head, rows), *_stages())
    return "\n\n".join(parts) + "\n"


def _stages() -> tuple[str, ...]:
    head = ["stage", "shape", "reads", "writes", "guarantee"]
    rows = [
        [
            f"`{stage.name}`",
            stage.shape.value,
            _names(topics_in(stage.name)),
            _names(topics_out(stage.name)),
            f"`{stage.guarantee.name}`",
        ]
        for stage in (PROVISION, *STAGES)
    ]
    meanings = [[f"`{one.name}`", one.value] for one in Guarantee]
    return (
        "## Stages",
        markdown_table(head, rows),
        "## Guarantees",
        markdown_table(["guarantee", "meaning"], meanings),
    )


def _names(topics: Sequence[Topic]) -> str:
    return ", ".join(f"`{topic.name}`" for topic in topics)


_TOPICS_INTRO = (
    "The header `crossdock` contains the envelope, beside CloudEvents' `ce_*` headers. Every consumer reads only "
    "committed records. The schemas are in [schemas/json](../../schemas/json/asyncapi.json). The last column is the "
    "largest record within all documented limits, whatever characters its texts have; no producer writes more than 1 MB "
    "([why](../decisions/0033-no-record-ends-a-stage.md))."
)


def _value_of(topic: Topic) -> str:
    if isinstance(topic.value, str):
        return topic.value
    return ", ".join(f"`{model.__name__}`" for model in topic.value)


def _kept(topic: Topic) -> str:
    if topic.cleanup == "compact" or topic.retention_ms is None:
        return "newest per key"
    days, rest = divmod(topic.retention_ms, DAY_MS)
    return f"{days} d" if not rest else f"{topic.retention_ms // HOUR_MS} h"


_CREATE_TABLE = re.compile(
    r"CREATE TABLE IF NOT EXISTS crossdock\.(\w+)\n\(\n(.*?)\n\)\nENGINE = (.*?)\n.*?"
    r"ORDER BY (.*?)\nCOMMENT '((?:[^']|'')*)';",
    re.DOTALL,
)
_COLUMN = re.compile(r"^\s*(\w+) (.+?) COMMENT '((?:[^']|'')*)',?$", re.MULTILINE)
_CREATE_VIEW = re.compile(
    r"CREATE OR REPLACE VIEW crossdock\.(\w+) AS\s+SELECT\s+(.*?)\s+FROM\s+(crossdock\.\w+ FINAL|\(\n.*?\n\))"
    r"(?:\s+WHERE (.*?))?\s+GROUP BY (.*?)(?:\s+HAVING (.*?))?;",
    re.DOTALL,
)
_CREATE_DESCRIBED = re.compile(
    r"CREATE OR REPLACE VIEW crossdock\.(\w+)\n\(\n(.*?)\n\)\nAS\n.*?\nCOMMENT '((?:[^']|'')*)';",
    re.DOTALL,
)
_NOTE = re.compile(r"((?:^-- .*\n)+)CREATE OR REPLACE VIEW crossdock\.(\w+)", re.MULTILINE)
_ALTER_TABLE = re.compile(r"ALTER TABLE crossdock\.(\w+)\n(.*?);$", re.DOTALL | re.MULTILINE)
_ADD_COLUMN = re.compile(
    r"ADD COLUMN IF NOT EXISTS (\w+) (.+?) COMMENT '((?:[^']|'')*)' AFTER (\w+)"
)
_COMMENT_COLUMN = re.compile(r"COMMENT COLUMN (\w+) '((?:[^']|'')*)'")
_SOURCE = re.compile(r"crossdock\.(\w+) FINAL")
_COMMA = re.compile(r",\s+(?![^()]*\))")  # not inside parentheses


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    meaning: str


@dataclass(frozen=True)
class Table:
    name: str
    engine: str
    order: str
    meaning: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class View:
    """A view that describes its columns."""

    name: str
    meaning: str
    columns: tuple[Column, ...]


def read_tables(sql: str) -> dict[str, Table]:
    """Return the tables that `sql` makes and alters, by name."""
    found = {
        name: Table(name, engine, order, _text(meaning), _columns(body))
        for name, body, engine, order, meaning in _CREATE_TABLE.findall(sql)
    }
    for name, body in _ALTER_TABLE.findall(sql):
        found[name] = _altered(found[name], body)
    return found


def read_views(sql: str) -> list[View]:
    """Return the views that describe their columns."""
    return [
        View(name, _text(meaning), _columns(body))
        for name, body, meaning in _CREATE_DESCRIBED.findall(sql)
    ]


def _columns(body: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind, _text(text)) for name, kind, text in _COLUMN.findall(body))


def _text(quoted: str) -> str:
    return quoted.replace("''", "'")


def _altered(table: Table, body: str) -> Table:
    columns = list(table.columns)
    for name, kind, text, before in _ADD_COLUMN.findall(body):
        place = [column.name for column in columns].index(before)
        columns.insert(place + 1, Column(name, kind, _text(text)))
    meanings = {name: _text(text) for name, text in _COMMENT_COLUMN.findall(body)}
    changed = (replace(c, meaning=meanings.get(c.name, c.meaning)) for c in columns)
    return replace(table, columns=tuple(changed))


def tables_page(sql: str) -> str:
    tables = read_tables(sql)
    notes = {name: " ".join(text.replace("-- ", "").split()) for text, name in _NOTE.findall(sql)}
    parts = [DO_NOT_EDIT, "# Tables and views in ClickHouse", _TABLES_INTRO, "## Views"]
    parts += [part for view in _CREATE_VIEW.findall(sql) for part in _view(view, tables, notes)]
    parts += [part for view in read_views(sql) for part in _described(view, notes)]
    parts.append("## Tables")
    for table in tables.values():
        rows = [[f"`{c.name}`", f"`{c.type}`", c.meaning] for c in table.columns]
        parts += [
            f"### crossdock.{table.name}",
            f"{table.meaning}. `{table.engine}`, ordered by `{table.order}`.",
            markdown_table(["column", "type", "meaning"], rows),
        ]
    return "\n\n".join(parts) + "\n"


_TABLES_INTRO = (
    "All tables are in the database `crossdock`. Analysts read the views. A query on a table needs `FINAL`, because a "
    "repeated row collapses later. Money is `Decimal(38, 12)` in USD; times are UTC."
)


def _view(view: Sequence[str], tables: Mapping[str, Table], notes: Mapping[str, str]) -> list[str]:
    name, selected, origin, where, grouped, having = view
    sources = _SOURCE.findall(origin)
    meanings = {column.name: column.meaning for column in tables[sources[0]].columns}
    rows = []
    for piece in _COMMA.split(selected):
        expression, _, alias = " ".join(piece.split()).rpartition(" AS ")
        meaning = f"`{expression}`" if expression else meanings[alias]
        rows.append([f"`{alias}`", meaning])
    only = f", where `{where}`" if where else ""
    kept = f" Only where `{having}`." if having else ""
    about = (
        f"From {' and '.join(f'`{source}`' for source in sources)}{only}: "
        f"one row per {', '.join(f'`{g}`' for g in grouped.split(', '))}.{kept} {notes.get(name, '')}"
    )
    return [f"### crossdock.{name}", about.strip(), markdown_table(["column", "meaning"], rows)]


def _described(view: View, notes: Mapping[str, str]) -> list[str]:
    rows = [[f"`{column.name}`", column.meaning] for column in view.columns]
    return [
        f"### crossdock.{view.name}",
        f"{view.meaning}. {notes.get(view.name, '')}".strip(),
        markdown_table(["column", "meaning"], rows),
    ]
