"""What people see: numbers under each other, no field twice, no text that steers the terminal."""

import json

import pytest

from crossdock.cli.shared.output import REPEATED, show_entry, show_fields, show_rows


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_numbers_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(("name", "USD", "role"), [["a", "9.5", None], ["b", "-100", None]], folded="name")

    heading, first, second = (line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert heading.index("USD") + 3 == len(first.removesuffix("  -")) == first.index("9.5") + 3
    assert second.index("-100") == first.index("9.5") - 1
    assert first.endswith("  -")


def test_people_see_no_field_twice_and_programs_see_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = {"id": "key_1"} | dict.fromkeys(REPEATED, "twice")

    show_entry(entry, as_json=False)
    shown = capsys.readouterr().out
    show_entry(entry, as_json=True)

    assert "key_1" in shown
    assert "twice" not in shown
    assert json.loads(capsys.readouterr().out) == entry


def test_a_name_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_fields({"name": "\x1b[2Jred [bold]text[/bold]"})

    assert "?[2Jred [bold]text[/bold]" in capsys.readouterr().out
