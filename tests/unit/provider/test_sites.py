"""Providers of a worker come and go: connections of the ones that went are closed too."""

import pytest

from crossdock.provider.client import ProviderSite
from crossdock.provider.sites import ProviderSites
from crossdock_schemas.pricing.catalogue import Provider


def make_provider(name: str, **fields: object) -> Provider:
    return Provider(name=name, base_url="http://x.test/v1", models=(), **fields)


async def test_every_site_is_closed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    async def close(site: ProviderSite) -> None:
        closed.append(site.provider.name)

    monkeypatch.setattr(ProviderSite, "aclose", close)
    sites = ProviderSites({}, [make_provider("one"), make_provider("two")])
    gone = sites["one"]

    sites.use([make_provider("two"), make_provider("three", api_key_env="NOT_SET")])
    assert (gone.is_removed, sites["three"].needs_key) == (True, True)
    assert set(sites) == {"two", "three"}

    await sites.aclose()

    assert sorted(closed) == ["one", "three", "two"]
