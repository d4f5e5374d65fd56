"""The client of the management API."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer

from crossdock.cli.shared.client import ApiClient
from crossdock.cli.shared.doors import Doors, doors_of
from crossdock.cli.shared.installation import MANAGEMENT_KEY, managed
from crossdock.kernel.process.errors import ProcessError

OWN = "organization"
"""The name of the organization that the management key belongs to, as path and as argument."""
PAGE = 100
"""Entries of a full page of /keys; a shorter one is the last."""


class Management:
    """The requests that all kinds of entries have in common. Raises ProcessError as ApiClient does."""

    def __init__(self, client: ApiClient, doors: Doors) -> None:
        self._client = client
        self.doors = doors

    def listed(self, *place: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client.ask("GET", _path(place))["data"]
        return found

    def paged(self, *place: str, **wanted: str) -> list[dict[str, Any]]:
        """Return the entries of all pages."""
        found: list[dict[str, Any]] = []
        while True:
            page_of = wanted | {"offset": str(len(found))}
            page = self._client.ask("GET", _path(place), params=page_of)["data"]
            found += page
            if len(page) < PAGE:
                return found

    def entry(self, *place: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.ask("GET", _path(place))["data"]
        return found

    def own_id(self) -> str:
        """Return the id of the organization that the management key belongs to."""
        return str(self.entry(OWN)["id"])

    def create(
        self, *place: str, body: Mapping[str, object], force: bool = False
    ) -> dict[str, Any]:
        """Return the whole answer, because a new plain key is beside `data`. It does not send a value that is None."""
        return self._client.ask("POST", _path(place), json=without_none(body), **_forced(force))

    def change(
        self,
        *place: str,
        body: Mapping[str, object],
        emptied: Collection[str] = (),
        force: bool = False,
    ) -> dict[str, Any]:
        """Change the values that are not None, set the fields `emptied` to null, and return the changed entry.

        Raises:
            ProcessError: if nothing is to change.
        """
        changed = without_none(body) | dict.fromkeys(emptied)
        if not changed:
            raise ProcessError("nothing to change: pass at least one option, see --help")
        found: dict[str, Any] = self._client.ask(
            "PATCH", _path(place), json=changed, **_forced(force)
        )["data"]
        return found

    def replace(self, *place: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Replace an entry as a whole, and return the new one."""
        found: dict[str, Any] = self._client.ask("PUT", _path(place), json=body)["data"]
        return found

    def merge(self, *place: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Set fields of an entry, which need not exist, and return it. Others stay; a null removes one."""
        found: dict[str, Any] = self._client.ask("PATCH", _path(place), json=body)["data"]
        return found

    def delete(self, *place: str, force: bool = False) -> dict[str, Any]:
        return self._client.ask("DELETE", _path(place), **_forced(force))


def _forced(force: bool) -> dict[str, Any]:
    """Return the query of a request that may lock keys out."""
    return {"params": {"force": "lock_out"}} if force else {}


def _path(place: tuple[str, ...]) -> str:
    if not all(place):
        raise ProcessError("invalid id '': it is empty; `list` shows the ids")
    return "/" + "/".join(quote(part, safe="") for part in place)


def without_none(body: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value is not None}


@contextmanager
def open_management(ctx: typer.Context, path: Path | None) -> Iterator[Management]:
    """Open the client.

    Raises:
        ProcessError: if no installation or no management key is known.
    """
    found = managed(path)
    doors = doors_of(ctx)
    client = doors.make_client(found["OPENAI_BASE_URL"], found[MANAGEMENT_KEY])
    try:
        yield Management(client, doors)
    finally:
        client.close()
