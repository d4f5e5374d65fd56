"""Paths: the providers' APIs, and the simulator's own API under /_simulator."""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from crossdock.simulator.control import Control, SimulatedFleet, refuse
from crossdock.simulator.core.reply import Reply, plain
from crossdock.simulator.provider import READERS, SimulatedProvider


class SimulatorSite:
    """Answers any request, and stores the end of the answer in the ledger."""

    def __init__(self, fleet: SimulatedFleet) -> None:
        self._fleet = fleet
        self._world = fleet.world
        self._control = Control(fleet)
        self._known: dict[bytes, tuple[SimulatedProvider, str]] = {}

    def respond(
        self, method: bytes, target: bytes, headers: Mapping[bytes, bytes], body: bytes
    ) -> Reply:
        """Return the reply; `headers` have lower-case names."""
        if method == b"POST":
            known = self._known.get(target) or self._call(target)
            if known is not None:
                return known[0].answer(known[1], headers, body)
        try:
            parts = urlsplit(target.decode("latin-1"))
        except ValueError:
            return refuse(400, "invalid path")
        path = parts.path.strip("/")
        if path == "_simulator" or path.startswith("_simulator/"):
            rest = path.removeprefix("_simulator").lstrip("/")
            return self._control.respond(method.decode(), rest, parts.query, body)
        return self._other(method.decode(), path)

    def _call(self, target: bytes) -> tuple[SimulatedProvider, str] | None:
        """Return provider and operation of a call's path, and cache them; None for another path."""
        path = target.decode("latin-1").partition("?")[0].strip("/")
        name, _, operation = path.partition("/v1/")
        if operation not in READERS or not name or "/" in name:
            return None
        known = self._known[target] = self._fleet.provider(unquote(name)), operation
        return known

    def _other(self, method: str, path: str) -> Reply:
        name, found, operation = path.partition("/v1/")
        if not found or not name or "/" in name:
            return refuse(
                404, "unknown path: use /<provider>/v1/chat/completions, embeddings or models"
            )
        if operation == "models" and method == "GET":
            return plain(200, self._fleet.provider(unquote(name)).models())
        if operation == "models" or operation in READERS:
            return refuse(405, f"{method} is not allowed on {operation!r}")
        return refuse(404, f"Invalid URL ({method} /v1/{operation})")

    def flush(self) -> None:
        """Call this before the first byte of an answer leaves."""
        self._world.ledger.flush()

    def finish(self, reply: Reply, *, is_sent: bool) -> None:
        """Call this when an answer was sent, or cannot be sent."""
        if reply.entry >= 0:
            self._world.ledger.finish(
                reply.entry, self._world.now_ns(), is_whole=is_sent and reply.is_whole
            )
            reply.entry = -1
