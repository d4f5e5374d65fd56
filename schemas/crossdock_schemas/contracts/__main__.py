"""The command; see the package."""

import sys
from collections.abc import Sequence
from pathlib import Path

from crossdock_schemas.contracts.documents import stale, write

ROOT = Path(__file__).parents[3]


def main(argv: Sequence[str], root: Path = ROOT) -> int:
    match argv:
        case ["write"]:
            write(root)
        case ["check"] if left := stale(root):
            sys.stderr.write(
                f"out of date: {', '.join(left)}; run python -m crossdock_schemas.contracts write\n"
            )
            return 1
        case ["check"]:
            pass
        case _:
            sys.stderr.write("usage: python -m crossdock_schemas.contracts write|check\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
