"""The bugs that are planted to try the simulation (`python -m unit.simulation.planted`) have their places still."""

from pathlib import Path

import pytest

from unit.simulation.planted import BUGS, Bug, plant


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_planted(bug: Bug, tmp_path: Path) -> None:
    plant(bug, tmp_path)

    planted = (tmp_path / "services/crossdock" / bug.file).read_text()
    assert bug.new in planted
