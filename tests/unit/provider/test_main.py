import json

import httpx
import pytest

from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import SettingsError
from crossdock.provider.client_factory import open_site
from crossdock.provider.main import removed, served, share_out
from crossdock.provider.settings import ProviderSettings
from crossdock_schemas.pricing.catalogue import Catalogue, Provider
from support.google import service_account

ATLAS, BOREALIS = (
    Provider(name=name, base_url="http://x.test/v1", max_in_flight=8, models=())
    for name in ("atlas", "borealis")
)
CATALOGUE = Catalogue(providers=(ATLAS, BOREALIS))


def test_a_worker_serves_everybody_unless_told_otherwise() -> None:
    assert served(ProviderSettings(), CATALOGUE) == [ATLAS, BOREALIS]
    assert served(ProviderSettings(only=" borealis,"), CATALOGUE) == [BOREALIS]


def test_a_provider_that_is_not_in_the_catalogue_is_an_error() -> None:
    with pytest.raises(SettingsError, match="not in the catalogue: cumulus"):
        served(ProviderSettings(only="atlas,cumulus"), CATALOGUE)


def test_a_missing_key_is_named() -> None:
    provider = ATLAS.model_copy(update={"api_key_env": "ATLAS_KEY"})

    with pytest.raises(SettingsError, match="ATLAS_KEY: not set"):
        open_site(provider, {"ATLAS_KEY": " "}, ManualClock())


async def test_a_key_stays_out_of_the_requests() -> None:
    provider = ATLAS.model_copy(update={"api_key_env": "ATLAS_KEY"})

    site = open_site(provider, {"ATLAS_KEY": "secret-key\n"}, ManualClock())
    request = site.request("/v1/embeddings", "tern", b"{}", "req_1", 101)
    await site.transport.aclose()

    assert request.url == httpx.URL("http://x.test/v1/embeddings")
    assert "secret-key" not in str(request.headers)


@pytest.mark.parametrize(
    ("auth", "text", "url", "header"),
    [
        (
            "azure",
            '{"api_key": "azure-0123456789", "resource_name": "acme"}',
            "https://x.test/acme/chat/completions",
            ("api-key", "azure-0123456789"),
        ),
        (
            "aws",
            '{"api_key": "bedrock-0123456", "region": "us-east-1"}',
            "https://x.test/us-east-1/chat/completions",
            ("authorization", "Bearer bedrock-0123456"),
        ),
    ],
)
async def test_a_key_of_another_shape_goes_with_each_call(
    auth: str, text: str, url: str, header: tuple[str, str]
) -> None:
    place = {"azure": "resource", "aws": "region"}[auth]
    address = f"https://x.test/{{{place}}}"
    provider = ATLAS.model_copy(update={"auth": auth, "base_url": address, "api_key_env": "K"})

    site = open_site(provider, {"K": text}, ManualClock())
    assert site.installation_key is not None
    key = await site.use(site.installation_key)
    request = site.request("/v1/chat/completions", "tern", b"{}", "req_1", 101, key=key)
    await site.aclose()

    assert request.url == httpx.URL(url)
    assert request.headers[header[0]] == header[1]


async def test_a_service_account_calls_with_a_token_or_not_at_all() -> None:
    account = json.dumps(service_account())
    address = "http://x.test/{project}"
    token_url = "http://127.0.0.1:9/token"  # no server listens there
    provider = ATLAS.model_copy(
        update={"auth": "google", "base_url": address, "api_key_env": "K", "token_url": token_url}
    )

    site = open_site(provider, {"K": account}, ManualClock())
    assert site.installation_key is not None
    assert site.needs_key
    assert await site.use(site.installation_key) is None
    await site.aclose()


def test_a_key_of_the_wrong_shape_is_named_without_it() -> None:
    provider = ATLAS.model_copy(update={"auth": "azure", "api_key_env": "ATLAS_KEY"})

    with pytest.raises(SettingsError, match="ATLAS_KEY: resource_name: Field required") as caught:
        open_site(provider, {"ATLAS_KEY": '{"api_key": "azure-0123456789"}'}, ManualClock())
    assert "azure-0123456789" not in str(caught.value)


def test_lines_for_a_provider_that_left_the_catalogue_are_read_too() -> None:
    shares = share_out([ATLAS])
    topics = ["dispatch.atlas.batch", "dispatch.gone.batch", "dispatch.gone.realtime", "usage"]

    assert removed(topics, shares).keys() == {"dispatch.gone.batch", "dispatch.gone.realtime"}


def test_both_lanes_of_a_provider_share_its_room() -> None:
    shares = share_out([ATLAS])

    assert shares.keys() == {"dispatch.atlas.realtime", "dispatch.atlas.batch"}
    assert {share.name for share in shares.values()} == {"atlas"}
    assert {share.limit for share in shares.values()} == {8}
    assert shares["dispatch.atlas.realtime"].is_urgent
