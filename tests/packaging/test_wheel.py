"""The built wheel installs in an empty environment, with the pinned and hashed requirements, and runs there."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = str(Path(sys.executable).parent / "uv")


def run(*argv: str, cwd: Path) -> str:
    # why isolated: nothing of the tree may be found by accident
    done = subprocess.run(
        argv, cwd=cwd, capture_output=True, text=True, check=False, timeout=800
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment that holds the wheel and its requirements, nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(ROOT),
        cwd=folder,
    )
    (wheel,) = folder.glob("crossdock-*.whl")
    python = str(folder / "venv" / "bin" / "python")
    run(UV, "venv", "--quiet", "--python", sys.executable, str(folder / "venv"), cwd=folder)
    requirements = str(ROOT / "infra" / "requirements" / "runtime.txt")
    run(
        UV,
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--require-hashes",
        "-r",
        requirements,
        cwd=folder,
    )
    run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", str(wheel), cwd=folder)
    return python  # fmt: skip


def test_the_command_runs(python: str, tmp_path: Path) -> None:
    said = run(str(Path(python).parent / "crossdock"), "--help", cwd=tmp_path)

    for command in ("up", "down", "status", "batches", "usage", "demo"):
        assert command in said


def test_every_dependency_that_is_declared_is_there(python: str, tmp_path: Path) -> None:
    said = run(UV, "pip", "check", "--python", python, cwd=tmp_path)

    assert said == ""


def test_every_module_can_be_imported_and_the_tables_are_inside(
    python: str, tmp_path: Path
) -> None:
    code = """
import importlib, pkgutil, sys
import crossdock, crossdock_schemas
from crossdock.kernel.drivers.clickhouse import migrations, views
for package in (crossdock, crossdock_schemas):
    assert "site-packages" in package.__file__, package.__file__
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
steps = (*migrations(), *views())
print(len(steps), sum(len(statements) for _, statements in steps))
"""
    said = run(python, "-I", "-c", code, cwd=tmp_path)

    files, statements = map(int, said.split())
    assert files == len(list((ROOT / "schemas" / "crossdock_schemas" / "sql").glob("*/*.sql")))
    assert statements > files
