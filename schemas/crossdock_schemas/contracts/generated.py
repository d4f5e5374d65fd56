"""Generated files in the repository: a command writes them, or reports those that are out of date."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(
    argv: Sequence[str],
    module: str,
    make: Callable[[], Mapping[str, str]],
    root: Path = ROOT,
    owned: str | None = None,
) -> int:
    """Run `python -m MODULE write|check`; return its exit code: 1 if a file is out of date, 2 for another argument.

    `make` returns the texts by their paths below `root`. Files that match the pattern `owned` but are not among them
    are out of date too; `write` removes them.
    """
    if argv not in (["write"], ["check"]):
        sys.stderr.write(f"usage: python -m {module} write|check\n")
        return 2
    texts = make()
    left = stale(texts, root, owned)
    if argv == ["write"]:
        for path in left:
            write(root / path, texts.get(path))
        return 0
    for path in left:
        sys.stderr.write(f"{path} is out of date: run python -m {module} write\n")
    return 1 if left else 0


def stale(texts: Mapping[str, str], root: Path = ROOT, owned: str | None = None) -> list[str]:
    """Return the paths below `root` that are missing, out of date or not among `texts`."""
    changed = {path for path, text in texts.items() if _read(root / path) != text}
    present = {str(file.relative_to(root)) for file in root.glob(owned)} if owned else set()
    return sorted(changed | (present - texts.keys()))


def _read(file: Path) -> str | None:
    return file.read_text() if file.is_file() else None


def write(file: Path, text: str | None) -> None:
    """Write `text`, or remove the file if it is None."""
    if text is None:
        file.unlink()
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
