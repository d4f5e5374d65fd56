"""The command; see the package."""

import sys
from collections.abc import Sequence
from pathlib import Path

from crossdock.ingress.openapi.document import document, document_text
from crossdock.ingress.openapi.reference import reference
from crossdock.ingress.resources import OPERATIONS
from crossdock_schemas.contracts.generated import ROOT, run


def documents() -> dict[str, str]:
    """Return the generated files by their path."""
    return {
        "infra/docs/openapi.json": document_text(OPERATIONS),
        "infra/docs/api-reference.md": reference(document(OPERATIONS)),
    }


def main(argv: Sequence[str], root: Path = ROOT) -> int:
    return run(argv, "crossdock.ingress.openapi", documents, root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
