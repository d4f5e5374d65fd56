"""Runs a provider worker."""

import random
import sys
from collections.abc import Iterable, Mapping
from functools import partial

from crossdock.kernel.drivers.kafka import Tail, topics_of
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.errors import SettingsError
from crossdock.kernel.process.health import Health
from crossdock.kernel.runtime.live_catalogue import LiveCatalogue
from crossdock.kernel.runtime.pool.pool import lines_weight
from crossdock.kernel.runtime.pool.pool_worker import PoolSpec, PoolWorker
from crossdock.kernel.runtime.pool.scheduler import WorkShare
from crossdock.kernel.runtime.shard.shard import ShardWorker
from crossdock.kernel.runtime.stage import StageProcess, open_stage, read_settings
from crossdock.provider import delayed_retries
from crossdock.provider.cancels import KEEP_MS, Cancels
from crossdock.provider.credentials.cache import Keyring
from crossdock.provider.publisher import Publisher
from crossdock.provider.settings import ProviderSettings
from crossdock.provider.sites import ProviderSites
from crossdock.provider.worker import Worker
from crossdock_schemas.parcel.parcel import Lane
from crossdock_schemas.pricing.catalogue import Catalogue, Provider
from crossdock_schemas.topics import ACCOUNT_SECRETS, CANCELS, dispatch_topic, is_dispatch_topic

SPEC = PoolSpec(group="crossdock.provider", weigh=lines_weight)
REMOVED, REMOVED_LIMIT = "removed providers", 64
SEND_LIMIT_S = 900.0  # Kafka may be away that long; usage of calls that were made waits for it


def served(settings: ProviderSettings, catalogue: Catalogue) -> list[Provider]:
    """Return the providers that this worker serves."""
    names = [name.strip() for name in settings.only.split(",") if name.strip()]
    unknown = sorted(set(names) - catalogue.by_name.keys())
    if unknown:
        raise SettingsError(f"CROSSDOCK_PROVIDER_ONLY: not in the catalogue: {', '.join(unknown)}")
    return [p for p in catalogue.providers if not names or p.name in names]


def share_out(providers: Iterable[Provider]) -> dict[str, WorkShare]:
    """Return the share of each topic: a provider that hangs fills its own share only."""
    return {
        dispatch_topic(provider.name, lane): WorkShare(
            provider.name, provider.max_in_flight, is_urgent=lane is Lane.REALTIME
        )
        for provider in providers
        for lane in Lane
    }


def removed(topics: Iterable[str], shares: Mapping[str, WorkShare]) -> dict[str, WorkShare]:
    """Return the shares of dispatch topics of providers that left the catalogue: their lines are routed again."""
    return {
        topic: WorkShare(REMOVED, REMOVED_LIMIT)
        for topic in topics
        if is_dispatch_topic(topic) and topic not in shares
    }


def shares_of(
    settings: ProviderSettings, providers: Iterable[Provider], topics: Iterable[str]
) -> dict[str, WorkShare]:
    """Return the share of each topic that this worker reads; `topics`: those there are, or that it reads already."""
    shares = share_out(providers)
    return shares if settings.only else shares | removed(topics, shares)


def make_later(stage: StageProcess) -> ShardWorker:
    """Return the shard of delayed retries. Its held records count as `delayed`, not as lag of this process."""
    own = Health("later", stage.settings.ordinal)
    shard = ShardWorker(
        delayed_retries.SPEC,
        lambda _: delayed_retries.LaterPartition(stage.clock),
        servers=stage.servers,
        instance=stage.settings.instance,
        health=own,
        clock=stage.clock,
        timing=stage.settings.timing,
    )
    stage.health.report(lambda: {"delayed": sum(own.lag().values())})
    return shard


async def main(environ: Mapping[str, str]) -> int:
    settings = read_settings(ProviderSettings, environ, "provider")
    catalogue = LiveCatalogue(settings.catalogue)
    providers = served(settings, catalogue.current)
    keyring, cancels = Keyring(settings.master_keys()), Cancels()
    sites = ProviderSites(environ, providers)
    async with open_stage("provider", settings) as stage:
        stage.stack.push_async_callback(sites.aclose)
        producer = await stage.open_producer(send_limit_s=SEND_LIMIT_S)
        topics = await topics_of(stage.servers)
        shares = shares_of(settings, providers, topics)
        pool = PoolWorker(SPEC, stage, producer, shares, settings.capacity)

        def use(newer: Catalogue) -> None:
            now_served = served(settings, newer)
            sites.use(now_served)
            pool.read(shares_of(settings, now_served, pool.shares))

        catalogue.on_change(use)
        await stage.beside(catalogue.follow())
        publisher = Publisher(producer, stage.clock, flush_s=settings.flush_ms / 1000)
        worker = Worker(
            sites,
            publisher,
            producer,
            open_objects(settings.objects_url),
            stage.clock,
            claims=pool.claims,
            cancels=cancels,
            keyring=keyring,
            chance=random.Random(),  # noqa: S311  # jitter
            health=stage.health,
            draining=pool.draining,
        )
        since_ms = stage.clock.now_ms() - KEEP_MS
        count = await producer.partition_count(ACCOUNT_SECRETS.name)
        secrets = [(ACCOUNT_SECRETS.name, partition) for partition in range(count)]
        tail = partial(Tail, stage.servers)
        pool.tails = [
            tail(
                [(CANCELS.name, 0)],
                cancels.apply,
                client=f"{stage.client}.cancels",
                since_ms=since_ms,
            ),
            tail(secrets, keyring.apply, client=f"{stage.client}.secrets"),
        ]
        pool.background = [publisher.run, partial(worker.report, stage.client)]
        pool.beside = [make_later(stage).run]
        return await stage.run(partial(pool.run, worker), left=lambda: f"{pool.in_flight} lines")


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
