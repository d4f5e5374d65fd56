"""The pages under infra/docs agree with the code that they speak of."""

import ast
import gc
import re
import tomllib
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from crossdock.batches import validation
from crossdock.batches.core import line_check
from crossdock.ingress.values import errors
from crossdock.kernel.process import metrics
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices
from support.guides import GUIDES, pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "infra/docs"
LOUD = {"warning", "error", "critical", "exception"}
API_PAGES = [
    page for page in (DOCS / "api.md", DOCS / "api-reference.md", *pages()) if page.exists()
]
MAX_CELL = 200
"""Characters of a table's cell that a person still reads."""


def parsed(file: Path) -> ast.Module:
    """Parse without a collection in between: CPython 3.11 raises SystemError if one runs code of ours (a finaliser)."""
    gc.disable()
    try:
        return ast.parse(file.read_text())
    finally:
        gc.enable()


def loud_events() -> set[str]:
    """Return every event that the code logs at warning or above."""
    found = set()
    for file in (ROOT / "services/crossdock").rglob("*.py"):
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                is_log = isinstance(node.func.value, ast.Name) and node.func.value.id == "log"
                if is_log and node.func.attr in LOUD and isinstance(node.args[0], ast.Constant):
                    found.add(str(node.args[0].value))
    return found


def table_of(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table under `heading`."""
    part = (DOCS / page).read_text().split(f"## {heading}\n", 1)[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_runbook_has_every_loud_event_and_no_other() -> None:
    told = {row[0].strip("`") for row in table_of("runbook.md", "Log events that need attention")}

    assert told == loud_events()


def test_the_runbook_has_every_metric() -> None:
    declared = {
        metric._name for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)
    }

    told = {row[0].strip("`").removesuffix("_total") for row in table_of("runbook.md", "Metrics")}

    assert told == declared


def test_the_guides_have_every_code_of_a_refusal_and_of_a_bad_line() -> None:
    page = "".join((GUIDES / name).read_text() for name in ("errors.md", "batches.md"))
    code = Path(str(errors.__file__)).read_text()
    lines = Path(str(line_check.__file__)).read_text() + Path(str(validation.__file__)).read_text()

    reasons = set(re.findall(r'reason="(\w+)"', code)) | set(re.findall(r'code="(\w+)"', lines))

    assert len(reasons) > 15
    assert {reason for reason in reasons if f"`{reason}`" not in page} == set()


@pytest.mark.parametrize("page", API_PAGES, ids=lambda page: page.stem)
def test_a_table_of_the_api_can_be_read(page: Path) -> None:
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]

    cells = [cell.strip() for row in rows for cell in row.strip("|").split("|")]

    assert [cell for cell in cells if len(cell) > MAX_CELL] == []


def test_every_guide_is_in_the_index() -> None:
    index = (DOCS / "api.md").read_text()

    assert [page.name for page in pages() if f"](guides/{page.name})" not in index] == []


def test_the_catalogue_page_shows_every_field_and_is_a_catalogue() -> None:
    text = (DOCS / "catalogue.md").read_text()
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)

    catalogue = Catalogue.model_validate(tomllib.loads(example))

    (provider,) = catalogue.providers
    assert provider.model_fields_set == set(Provider.model_fields)
    assert provider.models[0].model_fields_set == set(Offer.model_fields)
    assert provider.models[0].prices.model_fields_set == set(Prices.model_fields)
