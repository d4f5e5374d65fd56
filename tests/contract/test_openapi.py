"""The generated documents of the API in the repository are those of the routes."""

import json
from pathlib import Path

import pytest

from crossdock.ingress.openapi.__main__ import main
from crossdock.ingress.openapi.reference import MAX_CELL
from support.openapi import document

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "infra/docs/api-reference.md"


def test_the_documents_are_up_to_date() -> None:
    assert main(["check"]) == 0, "run python -m crossdock.ingress.openapi write"


def test_a_document_that_is_out_of_date_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"], tmp_path) == 1
    told = capsys.readouterr().err
    assert "openapi.json is out of date" in told
    assert "api-reference.md is out of date" in told
    assert main(["write"], tmp_path) == 0
    assert main(["check"], tmp_path) == 0
    assert main(["what"], tmp_path) == 2
    assert json.loads((tmp_path / "infra/docs/openapi.json").read_text()) == document()


def test_the_check_of_everything_has_it() -> None:
    assert "python -m crossdock.ingress.openapi check" in (ROOT / "infra/scripts/check").read_text()


def test_the_reference_has_every_operation_and_every_object() -> None:
    page = PAGE.read_text()

    operations = [
        f"`{method.upper()} {path}`"
        for path, methods in document()["paths"].items()
        for method in methods
    ]
    missing = [one for one in operations if one not in page]
    missing += [name for name in document()["components"]["schemas"] if f"### {name}\n" not in page]
    assert missing == []


def test_no_cell_of_the_reference_is_cut() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]

    cells = [cell for row in rows for cell in row.split(" | ")]

    assert [
        cell for cell in cells if len(cell) > MAX_CELL or cell.rstrip(" |").endswith("...")
    ] == []


def test_every_link_of_the_reference_leads_somewhere() -> None:
    page = PAGE.read_text()
    names = {line.removeprefix("### ").lower() for line in page.splitlines() if line.startswith("### ")}  # fmt: skip

    links = {part.partition(")")[0] for part in page.split("](#")[1:]}

    assert links - names == set()
