"""The command; see the package."""

import sys
from collections.abc import Sequence
from pathlib import Path

from crossdock.ingress.openapi.document import document_text
from crossdock.ingress.resources import OPERATIONS

PAGE = Path(__file__).parents[4] / "infra/docs/openapi.json"


def main(argv: Sequence[str], page: Path = PAGE) -> int:
    match argv:
        case ["write"]:
            page.write_text(document_text(OPERATIONS))
        case ["check"] if not page.exists() or page.read_text() != document_text(OPERATIONS):
            sys.stderr.write(
                "infra/docs/openapi.json is out of date: run python -m crossdock.ingress.openapi write\n"
            )
            return 1
        case ["check"]:
            pass
        case _:
            sys.stderr.write("usage: python -m crossdock.ingress.openapi write|check\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
