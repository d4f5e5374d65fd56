"""The addresses of clients behind proxies, and how often one may guess a key."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.ingress.http.clients import (
    MAX_CLIENTS,
    MAX_GUESSES,
    PAUSE_MS,
    Clients,
    GuessLimit,
    site_of,
)
from crossdock.ingress.settings import IngressSettings
from crossdock.kernel.process.errors import SettingsError

PROXY = "10.0.0.5"
NOW_MS = 1_800_000_000_000
Scope = dict[str, object]


def scope(client: str | None, *forwarded: str) -> Scope:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return {"client": None if client is None else (client, 1), "headers": headers}


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        pytest.param("192.0.2.7", ["203.0.113.9"], "192.0.2.7", id="not a proxy: the header is ignored"),
        pytest.param(PROXY, ["203.0.113.9"], "203.0.113.9", id="through one proxy"),
        pytest.param(PROXY, ["1.1.1.1, 203.0.113.9, 10.0.0.6"], "203.0.113.9", id="the last that is no proxy"),
        pytest.param(PROXY, ["1.1.1.1", "203.0.113.9"], "203.0.113.9", id="two headers"),
        pytest.param(PROXY, ["203.0.113.9:4711"], "203.0.113.9", id="with a port"),
        pytest.param(PROXY, ["[2001:db8::7]:4711"], "2001:db8::7", id="IPv6 with a port"),
        pytest.param(PROXY, ["2001:db8::7"], "2001:db8::7", id="IPv6"),
        pytest.param(f"::ffff:{PROXY}", ["203.0.113.9"], "203.0.113.9", id="a proxy in IPv6's form"),
        pytest.param(PROXY, ["203.0.113.9, nonsense"], "", id="a text that is no address"),
        pytest.param(PROXY, [], PROXY, id="the proxy itself"),
        pytest.param(PROXY, ["10.0.0.8"], "10.0.0.8", id="proxies alone"),
        pytest.param(None, ["203.0.113.9"], "", id="not known"),
    ],
)  # fmt: skip
def test_the_client_is_the_last_address_that_is_no_proxys(
    client: str | None, forwarded: list[str], address: str
) -> None:
    assert Clients(("10.0.0.0/8",)).address_of(scope(client, *forwarded)) == address


def test_without_a_trusted_proxy_no_header_is_read() -> None:
    assert Clients().address_of(scope(PROXY, "203.0.113.9")) == PROXY


@given(
    client=st.text(max_size=40),
    forwarded=st.lists(st.text(st.characters(max_codepoint=255), max_size=40)),
)
def test_no_header_makes_the_address_fail(client: str, forwarded: list[str]) -> None:
    assert isinstance(Clients(("10.0.0.0/8",)).address_of(scope(client, *forwarded)), str)
    assert isinstance(Clients(("10.0.0.0/8",)).address_of(scope(PROXY, *forwarded)), str)


def test_trusted_proxies_are_read_from_the_environment() -> None:
    environ = {"CROSSDOCK_INGRESS_KEY_SECRET": "x" * 32, "CROSSDOCK_INGRESS_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1"}  # fmt: skip
    read = IngressSettings.from_env(environ, prefix="CROSSDOCK_INGRESS_")

    assert read.trusted_proxies == ("10.0.0.0/8", "192.0.2.1/32")
    with pytest.raises(SettingsError, match="CROSSDOCK_INGRESS_TRUSTED_PROXIES"):
        IngressSettings.from_env(
            environ | {"CROSSDOCK_INGRESS_TRUSTED_PROXIES": "here"}, prefix="CROSSDOCK_INGRESS_"
        )


def test_many_unknown_keys_are_answered_and_then_one_in_each_pause() -> None:
    limit = GuessLimit()
    first = [limit.count("192.0.2.7", NOW_MS) for _ in range(MAX_GUESSES)]
    more = [limit.count("192.0.2.7", NOW_MS) for _ in range(1000)]
    other = limit.count("192.0.2.8", NOW_MS)
    later = [limit.count("192.0.2.7", NOW_MS + PAUSE_MS) for _ in range(2)]

    assert first == [None] * MAX_GUESSES
    assert set(more) == {PAUSE_MS // 1000}
    assert other is None
    assert later == [None, PAUSE_MS // 1000]


@given(gaps=st.lists(st.integers(0, 5000), max_size=200))
def test_no_more_than_the_burst_and_the_pauses_are_answered(gaps: list[int]) -> None:
    limit, now_ms, answered = GuessLimit(), NOW_MS, 0
    for gap in gaps:
        now_ms += gap
        answered += limit.count("192.0.2.7", now_ms) is None

    assert answered <= MAX_GUESSES + (now_ms - NOW_MS) / PAUSE_MS + 1


def test_an_ipv6_site_counts_as_one() -> None:
    limit = GuessLimit()
    for n in range(MAX_GUESSES):
        limit.count(str(IPv6Address("2001:db8::") + n * 2**40), NOW_MS)

    assert limit.count("2001:db8::ffff", NOW_MS) is not None
    assert limit.count("2001:db8:0:1::1", NOW_MS) is None


def test_it_remembers_a_bounded_number_of_addresses() -> None:
    limit = GuessLimit()
    for n in range(MAX_CLIENTS + 100):
        limit.count(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", NOW_MS)

    assert len(limit) == MAX_CLIENTS
    assert site_of("::ffff:192.0.2.1") == "192.0.2.1"
