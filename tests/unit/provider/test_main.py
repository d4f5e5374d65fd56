import httpx
import pytest

from crossdock.kernel.clock import ManualClock
from crossdock.kernel.errors import SettingsError
from crossdock.provider.main import open_site, served, share_out
from crossdock.provider.settings import ProviderSettings
from crossdock_schemas.catalogue import Catalogue, Provider

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
    request = site.request("/v1/embeddings", b"{}", "req_1", 101)
    await site.transport.aclose()

    assert request.url == httpx.URL("http://x.test/v1/embeddings")
    assert "secret-key" not in str(request.headers)


def test_both_lanes_of_a_provider_share_its_room() -> None:
    shares = share_out([ATLAS])

    assert shares.keys() == {"dispatch.atlas.realtime", "dispatch.atlas.batch"}
    assert {share.name for share in shares.values()} == {"atlas"}
    assert {share.limit for share in shares.values()} == {8}
    assert shares["dispatch.atlas.realtime"].is_urgent
