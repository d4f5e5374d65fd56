"""The top level: its help is true, and shown without loading what only a running command needs."""

import subprocess
import sys

import pytest

from crossdock.cli.app import ENTRIES
from crossdock.cli.shared.doors import Doors, Late
from support.management import Shell

DRIVERS = {"aiokafka", "clickhouse_connect", "plotext"}


def modules_after(script: str) -> set[str]:
    """Return the modules that a fresh interpreter has imported after `script`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport sys\nprint(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("name", ENTRIES)
def test_a_line_of_the_help_is_the_first_line_of_the_commands_own_help(name: str) -> None:
    command = ENTRIES[name].load(name)

    assert (command.name, (command.help or "").splitlines()[0]) == (name, ENTRIES[name].help)


def test_the_help_names_every_command_in_one_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    outcome = shell.run("--help")

    assert outcome.code == 0
    for name, entry in ENTRIES.items():
        assert f" {name} " in outcome.out
        assert f" {entry.help} " in outcome.out


def test_the_top_levels_help_loads_no_command() -> None:
    loaded = modules_after(
        "from crossdock.cli.app import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    )

    assert "crossdock.cli.app" in loaded
    assert not loaded & (DRIVERS | {"pydantic", "httpx"})
    assert not {name for name in loaded if name.startswith("crossdock.cli.management")}


def test_the_help_of_commands_loads_no_driver() -> None:
    loaded = modules_after(
        "from crossdock.cli.app import ENTRIES\n[e.load(n) for n, e in ENTRIES.items()]"
    )

    assert "crossdock.cli.usage.audit" in loaded
    assert not loaded & DRIVERS


@pytest.mark.parametrize("name", Doors._fields)
def test_every_door_leads_somewhere(name: str) -> None:
    door = getattr(Doors(), name)

    assert callable(door.find() if isinstance(door, Late) else door)


def test_a_mistyped_command_is_corrected(shell: Shell) -> None:
    outcome = shell.run("batch")

    assert outcome.code == 2
    assert "Did you mean 'batches'" in outcome.err


@pytest.mark.parametrize(
    ("words", "default"),
    [
        (["keys", "create"], "[default: never]"),
        (["batches", "results"], "[default: stdout]"),
        (["env"], "[default: $CROSSDOCK_DATA_DIR or ~/.local/share/crossdock]"),
    ],
    ids=["keys create", "batches results", "env"],
)
def test_a_default_is_shown_though_brackets_are_markup(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: list[str], default: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    assert default in shell.run(*words, "--help").out
