"""Networks: the addresses that a key may be used from. Pure."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_within(host: str, networks: Iterable[str]) -> bool:
    """Return whether an address is in one of the networks; another text is in none of them."""
    address = address_of(host)
    return address is not None and any(address in network_of(network) for network in networks)


def address_of(host: str) -> Address | None:
    """Return the address in a text; an IPv4 address written as an IPv6 one is the IPv4 address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=10_000)
def network_of(text: str) -> Network:
    return ipaddress.ip_network(text)
