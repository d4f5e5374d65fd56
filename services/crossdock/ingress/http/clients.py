"""The addresses of clients, behind trusted proxies too, and the slowing down of those that guess keys. Pure."""

from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_network
from math import ceil
from typing import NamedTuple

from starlette.types import Scope

from crossdock_schemas.accounts.networks import address_of, is_within

FORWARDED = b"x-forwarded-for"
MAX_GUESSES = 30
"""Unknown keys of one address that are answered at once, and afterwards one for each PAUSE_MS."""
PAUSE_MS = 2000
MAX_CLIENTS = 10_000
IPV6_SITE = 64  # bits: a site has as many addresses as it likes within it


class Clients:
    """Reads the client's address of a request."""

    def __init__(self, trusted_proxies: Sequence[str] = ()) -> None:
        self._trusted = tuple(trusted_proxies)

    def address_of(self, scope: Scope) -> str:
        """Return the address that is not a trusted proxy's, from the right of `X-Forwarded-For`; empty: not known."""
        address: str = (scope.get("client") or ("",))[0]
        if not self._trusted or not is_within(address, self._trusted):
            return address
        for hop in reversed(_hops(scope)):
            address = _without_port(hop)
            if not is_within(address, self._trusted):
                return address if address_of(address) is not None else ""
        return address


def _hops(scope: Scope) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED]
    return [hop.strip() for hop in ",".join(values).split(",") if hop.strip()]


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    host, colon, _ = hop.partition(":")
    return host if colon and hop.count(":") == 1 else hop


class Guesses(NamedTuple):
    """How many unknown keys an address has tried, less one for each PAUSE_MS since."""

    tried: float
    at_ms: int

    def now(self, now_ms: int) -> float:
        return max(0.0, self.tried - max(0, now_ms - self.at_ms) / PAUSE_MS)


class GuessLimit:
    """Counts unknown keys by address. Invariant: it remembers MAX_CLIENTS addresses at most, the latest."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, Guesses] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def count(self, address: str, now_ms: int) -> int | None:
        """Count an unknown key; return the seconds to wait if the address has tried too many, None if it has not."""
        site = site_of(address)
        before = self._seen.pop(site, Guesses(0, now_ms)).now(now_ms)
        beyond = max(0.0, before + 1 - MAX_GUESSES)
        self._seen[site] = Guesses(before if beyond else before + 1, now_ms)
        if len(self._seen) > MAX_CLIENTS:
            self._seen.popitem(last=False)
        return ceil(beyond * PAUSE_MS / 1000) or None


def site_of(address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 address."""
    found = address_of(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((found, IPV6_SITE), strict=False))
    return address if found is None else str(found)
