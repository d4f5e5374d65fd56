"""The providers of this worker. A newer catalogue opens, replaces and removes some while calls run."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

import structlog
from typing_extensions import override

from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.errors import SettingsError
from crossdock.provider.client import ProviderSite
from crossdock.provider.client_factory import keyless_site, open_site
from crossdock_schemas.pricing.catalogue import Provider

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class ProviderSites(Mapping[str, ProviderSite]):
    """The sites by name of the provider.

    Raises:
        SettingsError: if the key of a provider is missing at the start.
    """

    def __init__(self, environ: Mapping[str, str], providers: Iterable[Provider]) -> None:
        self._environ = environ
        self._clock = SystemClock()
        self._sites = {one.name: open_site(one, environ, self._clock) for one in providers}
        self._closing: dict[asyncio.Task[None], ProviderSite] = {}

    def use(self, providers: Iterable[Provider]) -> None:
        """Serve `providers` from now on. Running calls of replaced sites end; their connections are closed after that.

        A provider whose key is missing is not called: its lines go to other candidates, or fail with the reason.
        """
        wanted = {provider.name: provider for provider in providers}
        for name, site in list(self._sites.items()):
            if wanted.get(name) != site.provider:
                site.is_removed = name not in wanted
                self._retire(self._sites.pop(name))
        for name in wanted.keys() - self._sites.keys():
            self._sites[name] = self._open(wanted[name])

    def _open(self, provider: Provider) -> ProviderSite:
        try:
            return open_site(provider, self._environ, self._clock)
        except SettingsError as error:
            log.warning("provider.keyless", provider=provider.name, reason=str(error))
            return keyless_site(provider)

    def _retire(self, site: ProviderSite) -> None:
        async def close() -> None:
            await asyncio.sleep(site.provider.call_timeout_s)
            await site.aclose()

        task = asyncio.ensure_future(close())  # noqa: TID251  # cancelled by `aclose`
        self._closing[task] = site
        task.add_done_callback(self._closing.pop)

    async def aclose(self) -> None:
        """Close all connections."""
        retired = dict(self._closing)
        for task in retired:
            task.cancel()
        for site in (*retired.values(), *self._sites.values()):
            await site.aclose()

    @override
    def __getitem__(self, name: str) -> ProviderSite:
        return self._sites[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._sites)

    @override
    def __len__(self) -> int:
        return len(self._sites)
