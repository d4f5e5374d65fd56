"""Runs a provider worker."""

import asyncio
import random
import secrets
import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from pydantic import SecretStr

from crossdock.kernel import lifecycle
from crossdock.kernel.catalogue import load_catalogue
from crossdock.kernel.clock import SystemClock
from crossdock.kernel.errors import SettingsError
from crossdock.kernel.health import Health
from crossdock.kernel.http import open_transport
from crossdock.kernel.kafka import (
    GroupConsumer,
    open_group_consumer,
    open_producer,
    wait_for_broker,
)
from crossdock.kernel.logs import configure_logs
from crossdock.kernel.lookahead import Place, Share
from crossdock.kernel.objects import open_objects
from crossdock.kernel.ops import open_ops
from crossdock.kernel.pool import Pool, lines_weight
from crossdock.provider.endpoint import ProviderSite
from crossdock.provider.publish import Publisher
from crossdock.provider.settings import ProviderSettings
from crossdock.provider.worker import Worker
from crossdock_schemas.catalogue import Catalogue, Provider
from crossdock_schemas.parcel import Lane
from crossdock_schemas.topics import dispatch_topic

GROUP = "crossdock.provider"


def served(settings: ProviderSettings, catalogue: Catalogue) -> list[Provider]:
    """Return the providers that this worker serves."""
    names = [name.strip() for name in settings.only.split(",") if name.strip()]
    unknown = sorted(set(names) - catalogue.by_name.keys())
    if unknown:
        raise SettingsError(f"CROSSDOCK_PROVIDER_ONLY: not in the catalogue: {', '.join(unknown)}")
    return [p for p in catalogue.providers if not names or p.name in names]


def open_site(provider: Provider, environ: Mapping[str, str]) -> ProviderSite:
    """Open a provider's door with the key that its environment variable holds."""
    headers = {}
    if provider.api_key_env is not None:
        key = SecretStr(environ.get(provider.api_key_env, "").strip())
        if not key:
            raise SettingsError(
                f"{provider.api_key_env}: not set; provider {provider.name!r} needs it"
            )
        headers["authorization"] = f"Bearer {key.get_secret_value()}"
    transport = open_transport(
        connect_timeout_s=provider.connect_timeout_s,
        read_timeout_s=provider.read_timeout_s,
        call_timeout_s=provider.call_timeout_s,
        max_connections=provider.max_in_flight,
        headers=headers,
    )
    return ProviderSite(provider, transport, {})


def share_out(providers: Iterable[Provider]) -> dict[str, Share]:
    """Return, by topic, whose calls it holds: a provider that hangs fills its own share, and nobody else's."""
    return {
        dispatch_topic(provider.name, lane): Share(
            provider.name, provider.max_in_flight, is_urgent=lane is Lane.REALTIME
        )
        for provider in providers
        for lane in Lane
    }


@dataclass
class Service:
    """A worker between its consumer and its publisher, for one life of the process."""

    settings: ProviderSettings
    shares: Mapping[str, Share]
    worker: Worker
    publisher: Publisher
    health: Health
    draining: asyncio.Event
    pool: Pool | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; what runs then is finished, published and committed."""
        async with open_group_consumer(
            self.settings.kafka_bootstrap_servers,
            list(self.shares),
            group=GROUP,
            instance=self.settings.instance,
            on_revoked=self._hand_over,
        ) as consumer:
            self.pool = Pool(
                consumer,
                self.worker.handle,
                capacity=self.settings.capacity,
                weigh=lines_weight,
                share_of=self.shares.__getitem__,
                draining=self.draining,
            )
            self._report(consumer, self.pool)
            async with asyncio.TaskGroup() as group:
                background = [
                    group.create_task(self.publisher.run()),
                    group.create_task(self.worker.report(f"provider.{self.settings.instance}")),
                ]
                await self.pool.run(stop)
                for task in background:
                    task.cancel()

    def _report(self, consumer: GroupConsumer, pool: Pool) -> None:
        self.health.lag = consumer.lag
        self.health.report(
            lambda: {
                "in_flight": pool.in_flight,
                "waiting": pool.waiting,
                "partitions": len(consumer.assignment()),
            }
        )
        self.health.clear("start")

    async def _hand_over(self, places: Collection[Place]) -> None:
        if self.pool is not None:
            await self.pool.hand_over(places)


async def main(environ: Mapping[str, str]) -> int:
    settings = ProviderSettings.from_env(environ, prefix="CROSSDOCK_PROVIDER_")
    configure_logs(settings.log_level, "provider")
    providers = served(settings, load_catalogue(settings.catalogue))
    sites = {provider.name: open_site(provider, environ) for provider in providers}
    health = Health("provider", settings.ordinal)
    servers = settings.kafka_bootstrap_servers
    clock, draining = SystemClock(), asyncio.Event()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_ops(health, settings.ops_port))
        await wait_for_broker(servers, timeout_s=settings.broker_wait_s)
        for site in sites.values():
            stack.push_async_callback(site.transport.aclose)
        producer = await stack.enter_async_context(
            open_producer(servers, client=f"provider.{settings.instance}")
        )
        publisher = Publisher(producer, clock, flush_s=settings.flush_ms / 1000)
        worker = Worker(
            sites,
            publisher,
            producer,
            open_objects(settings.objects_url),
            clock,
            claim=secrets.token_hex(8),
            chance=random.Random(),  # noqa: S311  # jitter
            draining=draining,
        )
        service = Service(settings, share_out(providers), worker, publisher, health, draining)
        return await lifecycle.run(service.run, drain_s=settings.drain_s)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
