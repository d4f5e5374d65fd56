"""The document of the API in the repository is the one that is served."""

import json
from pathlib import Path

import pytest

from crossdock.ingress.openapi.__main__ import PAGE, main
from support.openapi import document

ROOT = Path(__file__).parents[2]


def test_the_document_is_up_to_date() -> None:
    assert ROOT / "infra/docs/openapi.json" == PAGE
    assert main(["check"]) == 0, "run python -m crossdock.ingress.openapi write"


def test_a_document_that_is_out_of_date_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "openapi.json"

    assert main(["check"], page) == 1
    assert "out of date" in capsys.readouterr().err
    assert main(["write"], page) == 0
    assert main(["check"], page) == 0
    assert main(["what"], page) == 2
    assert json.loads(page.read_text()) == document()


def test_the_check_of_everything_has_it() -> None:
    assert "python -m crossdock.ingress.openapi check" in (ROOT / "infra/scripts/check").read_text()
