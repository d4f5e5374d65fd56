"""The command; see the package."""

import sys
from collections.abc import Sequence
from pathlib import Path

from crossdock.ingress.openapi.document import document, document_text
from crossdock.ingress.openapi.reference import reference
from crossdock.ingress.resources import OPERATIONS

DOCS = Path(__file__).parents[4] / "infra/docs"


def texts() -> dict[str, str]:
    """Return the generated files by name."""
    return {
        "openapi.json": document_text(OPERATIONS),
        "api-reference.md": reference(document(OPERATIONS)),
    }


def main(argv: Sequence[str], docs: Path = DOCS) -> int:
    match argv:
        case ["write"]:
            for name, text in texts().items():
                (docs / name).write_text(text)
        case ["check"]:
            return _check(docs)
        case _:
            sys.stderr.write("usage: python -m crossdock.ingress.openapi write|check\n")
            return 2
    return 0


def _check(docs: Path) -> int:
    found = {path.name: path.read_text() for path in docs.iterdir() if path.is_file()}
    stale = [name for name, text in texts().items() if found.get(name) != text]
    for name in stale:
        sys.stderr.write(
            f"infra/docs/{name} is out of date: run python -m crossdock.ingress.openapi write\n"
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
