"""The page of settings is made from the classes that read them."""

from pathlib import Path

import pytest

from crossdock.cli.reference import SETTINGS, main, settings_page
from crossdock.kernel.process.settings import Settings, name_of


def test_the_page_is_up_to_date() -> None:
    assert main(["check"]) == 0, "run python -m crossdock.cli.reference write"


def test_every_stages_settings_are_on_it() -> None:
    page = settings_page()

    for stage, settings in SETTINGS.items():
        for field in settings.model_fields.keys() - Settings.model_fields.keys():
            assert f"`{name_of(field, f'CROSSDOCK_{stage.upper()}_')}`" in page


def test_every_stage_with_settings_is_known() -> None:
    root = Path(__file__).parents[2] / "services/crossdock"

    stages = {file.parent.name for file in root.glob("*/settings.py")} - {"kernel"}

    assert stages <= SETTINGS.keys()


def test_a_page_that_is_out_of_date_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"], tmp_path) == 1
    assert "out of date" in capsys.readouterr().err
    assert main(["write"], tmp_path) == 0
    assert main(["check"], tmp_path) == 0
    assert main(["what"], tmp_path) == 2
