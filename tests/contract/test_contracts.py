"""What stands in the repository is what the types say, and today's readers read yesterday's messages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.contracts.__main__ import SCHEMAS, main
from crossdock_schemas.contracts.documents import documents, read_sql
from crossdock_schemas.contracts.generated import ROOT, stale
from crossdock_schemas.contracts.pages import Table, View, read_tables, read_views
from crossdock_schemas.contracts.schema import Contract, contracts, field_docs, json_schema
from crossdock_schemas.message import Message
from crossdock_schemas.topics import TOPICS

EXAMPLES = ROOT / "schemas" / "examples"
WRITE = "run python -m crossdock_schemas.contracts write"
every_contract = pytest.mark.parametrize("contract", contracts(), ids=lambda one: one.name)


def examples_of(contract: Contract) -> list[Path]:
    """<Model>.v<n>.json, and <Model>.v<n>.<case>.json where no one message can have every field."""
    return sorted(EXAMPLES.glob(f"{contract.name}.json")) + sorted(
        EXAMPLES.glob(f"{contract.name}.*.json")
    )


def given_fields(message: Message) -> Iterator[str]:
    """Every field that was given, as Model.field, inside and out."""
    for name in message.model_fields_set:
        yield f"{type(message).__name__}.{name}"
        value = getattr(message, name)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Message):
                yield from given_fields(inner)


def fields_in(schema: dict[str, object], title: str) -> Iterator[str]:
    """Every field that a schema knows, as Model.field, inside and out."""
    defined = schema.get("$defs", {})
    assert isinstance(defined, dict)
    for name, model in {title: schema, **defined}.items():
        yield from (f"{name}.{field}" for field in model.get("properties", {}))


def references_in(document: object) -> Iterator[str]:
    if isinstance(document, dict):
        if "$ref" in document:
            yield document["$ref"]
        document = list(document.values())
    if isinstance(document, list):
        for item in document:
            yield from references_in(item)


def resolve(reference: str, folder: Path, document: object) -> object:
    file, _, pointer = reference.partition("#")
    found: object = json.loads((folder / file).read_text()) if file else document
    for step in pointer.strip("/").split("/") if pointer else ():
        assert isinstance(found, dict), reference
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def test_committed_documents_are_what_the_types_say() -> None:
    assert stale(documents(), ROOT, SCHEMAS) == [], WRITE


def test_a_missing_a_changed_and_a_foreign_document_are_stale_until_written(tmp_path: Path) -> None:
    main(["write"], tmp_path)
    (tmp_path / "infra/docs/topics.md").unlink()
    (tmp_path / "schemas/json/Parcel.v1.json").write_text("{}")
    (tmp_path / "schemas/json/Forgotten.v1.json").write_text("{}")

    found = stale(documents(), tmp_path, SCHEMAS)
    main(["write"], tmp_path)

    assert found == [
        "infra/docs/topics.md",
        "schemas/json/Forgotten.v1.json",
        "schemas/json/Parcel.v1.json",
    ]
    assert stale(documents(), tmp_path, SCHEMAS) == []


def test_the_command_says_by_its_exit_code_how_it_went(tmp_path: Path) -> None:
    codes = [main([command], tmp_path) for command in ("check", "write", "check", "wrte")]

    assert codes == [1, 0, 0, 2]


@every_contract
def test_every_schema_is_one(contract: Contract) -> None:
    Draft202012Validator.check_schema(json_schema(contract))


def test_a_fields_own_words_are_in_its_schema() -> None:
    properties = json_schema(Contract(StoredFile, 1))["properties"]

    assert isinstance(properties, dict)
    assert properties["bytes"]["description"] == field_docs(StoredFile)["bytes"]


def test_words_of_fields_are_looked_for_in_classes_only() -> None:
    with pytest.raises(TypeError, match="in_full"):
        field_docs(in_full)  # type: ignore[arg-type]  # on purpose


def in_full(message: Message) -> Any:
    """Return its JSON with the fields at their defaults, which parcels leave out."""
    return json.loads(Message.to_json(message))


@every_contract
def test_golden_examples_are_read_and_written_again_without_loss(contract: Contract) -> None:
    for file in examples_of(contract):
        message = contract.model.from_json(file.read_bytes())

        again = contract.model.from_json(message.to_json())

        assert in_full(again) == json.loads(file.read_text()), file.name


@every_contract
def test_golden_examples_fit_the_committed_schema_as_they_stand_and_as_they_are_written(
    contract: Contract,
) -> None:
    schema = json.loads((ROOT / "schemas/json" / f"{contract.name}.json").read_text())

    for file in examples_of(contract):
        Draft202012Validator(schema).validate(json.loads(file.read_text()))
        written = contract.model.from_json(file.read_bytes()).to_json()
        Draft202012Validator(schema).validate(json.loads(written))


@every_contract
def test_golden_examples_show_every_field(contract: Contract) -> None:
    wanted = set(fields_in(json_schema(contract), contract.model.__name__))
    shown = {
        field
        for file in examples_of(contract)
        for field in given_fields(contract.model.from_json(file.read_bytes()))
    }

    assert wanted - shown == set()


@every_contract
def test_a_field_of_a_newer_writer_is_ignored(contract: Contract) -> None:
    raw = json.loads(examples_of(contract)[0].read_text())

    newer = contract.model.from_json(json.dumps({**raw, "from_the_future": 1}).encode())

    assert in_full(newer) == raw


def test_every_example_belongs_to_a_message() -> None:
    known = {file for contract in contracts() for file in examples_of(contract)}

    assert set(EXAMPLES.iterdir()) == known


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = json.loads(documents()["schemas/json/asyncapi.json"])

    references = list(references_in(document))

    assert references
    for reference in references:
        assert resolve(reference, ROOT / "schemas/json", document), reference


def test_the_asyncapi_document_has_every_topic_with_who_sends_and_receives_it() -> None:
    document = json.loads(documents()["schemas/json/asyncapi.json"])

    addresses = {channel["address"] for channel in document["channels"].values()}
    stages = sum(len(topic.producers) + len(topic.consumers) for topic in TOPICS)
    assert addresses == {t.name.replace("<", "{").replace(">", "}") for t in TOPICS}
    assert len(document["operations"]) == stages


def test_every_column_of_every_table_says_what_it_means() -> None:
    sql = read_sql()
    tables = read_tables(sql)

    described: list[Table | View] = [*tables.values(), *read_views(sql)]
    meanings = sum(1 + len(one.columns) for one in described)
    assert len(tables) == sql.count("CREATE TABLE")
    assert meanings == sql.count(" COMMENT '") + sql.count("\nCOMMENT '")
    for one in described:
        body = sql.partition(f"crossdock.{one.name}\n(\n")[2].partition("\n)\n")[0]
        altered = sql.split(f"ALTER TABLE crossdock.{one.name}\n")[1:]
        added = sum(text.partition(";\n")[0].count("ADD COLUMN") for text in altered)
        assert len(body.splitlines()) + added == len(one.columns), one.name


def test_a_column_that_came_later_and_one_that_means_more_are_on_the_page() -> None:
    page = documents()["infra/docs/tables.md"]

    assert "| `day` | `Date DEFAULT toDate(at)` | UTC day" in page
    assert "| `kind` | `LowCardinality(String)` | hold: " in page


def test_a_view_that_describes_its_columns_is_on_the_page_with_them() -> None:
    page = documents()["infra/docs/tables.md"]

    assert page.count("### crossdock.budget_history\n") == 1
    assert "| `include_byok` | whether calls" in page


def test_every_view_is_on_the_page() -> None:
    sql = read_sql()
    views = sql.split(" VIEW crossdock.")[1:]

    page = documents()["infra/docs/tables.md"]

    for view in views:
        assert f"### crossdock.{view.split()[0]}\n" in page
