"""The scopes of policies and budgets, and their names on the command line."""

import re
from hashlib import sha256
from typing import Annotated

import typer

from crossdock.cli.shared.management_client import OWN, Management
from crossdock.kernel.process.errors import ProcessError

ScopeName = Annotated[
    str,
    typer.Argument(
        help="`organization`, the id of a project or a key, or a key's hash.", metavar="SCOPE"
    ),
]
BudgetedName = Annotated[
    str,
    typer.Argument(
        help="`organization`, the id of a project or a key, a key's hash, `user:` and an end user's id, or "
        "`tag:NAME=VALUE` (write `%25` and `%3D` for `%` and `=` in NAME).",
        metavar="SCOPE",
    ),
]
PLACES = {"proj": "projects", "key": "keys"}
"""The path of an entry, by the beginning of its id."""
PLAIN = "sk-"
_HASH = re.compile(r"[0-9a-f]{64}")


def named(key: str) -> str:
    """Return a key's id or hash. A plain key becomes its hash, because addresses are logged."""
    return sha256(key.encode()).hexdigest() if key.startswith(PLAIN) else key


def scope_of(management: Management, name: str) -> str:
    """Return the id of a scope. A plain key becomes its hash, because addresses are logged."""
    if name == OWN:
        return management.own_id()
    if name.startswith(PLAIN) or _HASH.fullmatch(name):
        return str(management.entry("keys", named(name))["id"])
    return name


def check_scope(management: Management, scope: str, account: str) -> None:
    """Check that `scope` exists.

    Raises:
        ProcessError: if the organization `account` has no such scope.
    """
    if scope == account:
        return
    place = PLACES.get(scope.partition("_")[0])
    if place is None:
        raise ProcessError(
            f"invalid scope {scope!r}: use `organization`, or the id of a project or a key"
        )
    management.entry(place, scope)
