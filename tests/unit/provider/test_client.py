import time

import pytest

from crossdock.kernel.requests.provider_keys import BearerKey
from crossdock.provider.client import FORGOTTEN_S, ProviderSite
from crossdock.provider.credentials.use import CallKey
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.ids import CredentialId
from unit.provider.builders import NOW_MS, make_site, sound


def make() -> ProviderSite:
    return make_site(lambda _: sound())


def test_a_request_names_the_call_for_the_providers_log() -> None:
    request = make().request("/v1/chat/completions", "tern", b"{}", "req_1", 203)

    assert str(request.url) == "http://first.test/v1/chat/completions"
    assert request.read() == b"{}"
    assert request.headers["x-crossdock-request-id"] == "req_1"
    assert request.headers["x-crossdock-attempt"] == "203"


def test_a_pause_closes_one_model_and_never_gets_shorter() -> None:
    site = make()

    site.close_for("gull", 30)
    site.close_for("gull", 1)

    assert 29 < site.closed_s("gull") <= 30
    assert site.closed_s("tern") == 0


def test_news_come_once_per_call() -> None:
    site = make()
    site.note("gull", CallOutcome.OK, 20, is_fault=False)
    site.note("gull", CallOutcome.SERVER_ERROR, 40, is_fault=True)

    (health,) = site.news("provider.0", NOW_MS)

    assert (health.endpoint, health.worker, health.calls) == ("first/gull", "provider.0", 2)
    assert health.error_rate > 0.49
    assert health.latency_ms == pytest.approx(30, abs=0.1)
    assert site.news("provider.0", NOW_MS) == []


def test_news_say_until_when_a_model_is_closed() -> None:
    site = make()
    site.note("gull", CallOutcome.RATE_LIMITED, 1, is_fault=True)
    started = time.monotonic()

    site.close_for("gull", 10)
    (health,) = site.news("provider.0", NOW_MS)

    slack_ms = (time.monotonic() - started) * 1000 + 1
    assert NOW_MS + 10_000 - slack_ms <= health.closed_until_ms <= NOW_MS + 10_000


def test_an_own_key_goes_with_its_own_request() -> None:
    site = make()

    own = site.request(
        "/v1/chat/completions",
        "tern",
        b"{}",
        "req_1",
        1,
        key=CallKey(BearerKey(api_key="sk-own-0123")),
    )

    assert own.headers["authorization"] == "Bearer sk-own-0123"
    assert "authorization" not in site.request("/v1/embeddings", "tern", b"{}", "req_1", 2).headers


def test_own_keys_fare_and_close_by_themselves() -> None:
    site = make()
    own = CredentialId("byok_1")
    site.note("gull", CallOutcome.RATE_LIMITED, 1, is_fault=True, byok=own)
    site.close_for("gull", 10, own)
    site.note("gull", CallOutcome.OK, 1, is_fault=False)

    found = {health.credential_id: health for health in site.news("w", NOW_MS)}

    assert found[own].closed_until_ms > NOW_MS
    assert (found[None].closed_until_ms, found[None].error_rate) == (0, 0)


def test_the_health_of_own_keys_that_nobody_uses_any_more_is_let_go() -> None:
    site = make()
    for own in (None, CredentialId("byok_1"), CredentialId("byok_2")):
        site.note("gull", CallOutcome.OK, 1, is_fault=False, byok=own)
        site.fares["gull", own]._at -= FORGOTTEN_S + 1
    site.close_for("gull", 60, CredentialId("byok_2"))

    site.news("w", NOW_MS)

    assert [own for _, own in site.fares] == [None, "byok_2"]
