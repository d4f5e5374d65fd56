"""The command; see the package."""

import sys
from collections.abc import Sequence
from pathlib import Path

from crossdock_schemas.contracts.documents import documents
from crossdock_schemas.contracts.generated import ROOT, run

SCHEMAS = "schemas/json/*.json"


def main(argv: Sequence[str], root: Path = ROOT) -> int:
    return run(argv, "crossdock_schemas.contracts", documents, root, SCHEMAS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
