"""The simulator's own API, under /_simulator.

GET    ledger[?provider=NAME&since=NANOSECONDS]   JSON lines, a call each
GET    ledger/summary                             counts, and the calls that were repeated
DELETE ledger
GET    providers[/NAME]                           behaviours
PUT    providers/NAME                             missing fields get their initial values; unknown fields are refused
POST   reset                                      initial behaviours, and an empty ledger
"""

from collections.abc import Callable, Iterator
from itertools import islice
from urllib.parse import parse_qs, unquote

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from crossdock.simulator.core import answers
from crossdock.simulator.core.behaviour import Behaviour
from crossdock.simulator.core.call_table import CallRow
from crossdock.simulator.core.reply import Reply, chunked, plain
from crossdock.simulator.provider import SimulatedProvider, World

_ROWS_A_PIECE = 500  # about 100 kB: other requests are answered between two pieces
_ROUTES = "ledger, ledger/summary, providers, providers/<name>, reset"


class SimulatedFleet:
    """All providers by name; a provider appears when it is first named."""

    def __init__(self, world: World, default: Behaviour) -> None:
        self.world = world
        self.default = default
        self.providers: dict[str, SimulatedProvider] = {}

    def provider(self, name: str) -> SimulatedProvider:
        if name not in self.providers:
            self.providers[name] = SimulatedProvider(name, self.world, self.default)
        return self.providers[name]

    def reset(self) -> None:
        for provider in self.providers.values():
            provider.configure(self.default)
        self.world.ledger.clear()


class Control:
    """Answers requests under /_simulator."""

    def __init__(self, fleet: SimulatedFleet) -> None:
        self._fleet = fleet

    def respond(self, method: str, path: str, query: str, body: bytes) -> Reply:
        """Return the reply; `path` has no /_simulator and no slash in front."""
        name = unquote(path.removeprefix("providers/")) if path.startswith("providers/") else ""
        routes: dict[tuple[str, str], Callable[[], Reply]] = {
            ("GET", "ledger"): lambda: self._rows(query),
            ("DELETE", "ledger"): self._clear,
            ("GET", "ledger/summary"): lambda: _json(self._fleet.world.ledger.summary()),
            ("GET", "providers"): self._behaviours,
            ("GET", "providers/<name>"): lambda: _json(self._fleet.provider(name).behaviour),
            ("PUT", "providers/<name>"): lambda: self._configure(name, body),
            ("POST", "reset"): self._reset,
        }
        route = routes.get((method, "providers/<name>" if name else path))
        return route() if route else refuse(404, f"unknown route {method} {path!r}: use {_ROUTES}")

    def _rows(self, query: str) -> Reply:
        asked = parse_qs(query)
        unknown = sorted(asked.keys() - {"provider", "since"})
        since = asked.get("since", ["0"])[0]
        if unknown or not since.isdecimal():
            return refuse(
                400, "unknown filter: use provider=NAME and since=NANOSECONDS (Unix time)"
            )
        rows = self._fleet.world.ledger.rows(
            provider=asked.get("provider", [None])[0], since_ns=int(since)
        )
        return chunked(_lines(rows), kind="application/x-ndjson")

    def _clear(self) -> Reply:
        self._fleet.world.ledger.clear()
        return _json({"cleared": True})

    def _reset(self) -> Reply:
        self._fleet.reset()
        return _json({"reset": True})

    def _behaviours(self) -> Reply:
        return _json({name: p.behaviour for name, p in self._fleet.providers.items()})

    def _configure(self, name: str, body: bytes) -> Reply:
        try:
            given = from_json(body)
            if not isinstance(given, dict):
                return refuse(400, "the body must be a JSON object of behaviour fields")
            start = self._fleet.default.model_dump()
            latency = given.get("latency")
            if isinstance(latency, dict):
                given["latency"] = start["latency"] | latency
            behaviour = Behaviour.model_validate(start | given)
        except ValidationError as error:
            return refuse(400, _faults(error))
        except ValueError as error:
            return refuse(400, f"the body is not JSON: {error}")
        self._fleet.provider(name).configure(behaviour)
        return _json(behaviour)


def _lines(rows: Iterator[CallRow]) -> Iterator[bytes]:
    while piece := list(islice(rows, _ROWS_A_PIECE)):
        yield b"".join([to_json(row._asdict()) + b"\n" for row in piece])


def _faults(error: ValidationError) -> str:
    known = ", ".join(Behaviour.model_fields)
    faults = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()]
    return f"{'; '.join(faults)} (fields are: {known})"


def _json(value: object) -> Reply:
    return plain(200, to_json(value))


def refuse(status: int, message: str) -> Reply:
    return plain(status, answers.error(message, "invalid_request_error", None))
