"""Runs a provider worker."""

import asyncio
import random
import secrets
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock.kernel.drivers.kafka import (
    BROKER,
    GroupConsumer,
    Producer,
    Tail,
    open_group_consumer,
    open_producer,
    wait_for_broker,
)
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.clock import Clock, SystemClock
from crossdock.kernel.process.errors import SettingsError
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.logs import configure_logs
from crossdock.kernel.process.ops_server import open_ops
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock.kernel.runtime.pool import claim_reader
from crossdock.kernel.runtime.pool.claim_writer import ClaimWriter
from crossdock.kernel.runtime.pool.pool import Pool, lines_weight
from crossdock.kernel.runtime.pool.scheduler import Place, WorkShare
from crossdock.kernel.runtime.shard.shard import ShardWorker
from crossdock.provider import delayed_retries
from crossdock.provider.cancels import KEEP_MS, Cancels
from crossdock.provider.client import ProviderSite
from crossdock.provider.client_factory import open_site
from crossdock.provider.credentials.cache import Keyring
from crossdock.provider.publisher import SOURCE, Publisher
from crossdock.provider.settings import ProviderSettings
from crossdock.provider.worker import Worker
from crossdock_schemas.parcel.parcel import Lane
from crossdock_schemas.pricing.catalogue import Catalogue, Provider
from crossdock_schemas.topics import ACCOUNT_SECRETS, CANCELS, dispatch_topic

GROUP = "crossdock.provider"
SEND_LIMIT_S = 900.0  # a broker may be away that long; calls that are paid for wait to be booked


def served(settings: ProviderSettings, catalogue: Catalogue) -> list[Provider]:
    """Return the providers that this worker serves."""
    names = [name.strip() for name in settings.only.split(",") if name.strip()]
    unknown = sorted(set(names) - catalogue.by_name.keys())
    if unknown:
        raise SettingsError(f"CROSSDOCK_PROVIDER_ONLY: not in the catalogue: {', '.join(unknown)}")
    return [p for p in catalogue.providers if not names or p.name in names]


def share_out(providers: Iterable[Provider]) -> dict[str, WorkShare]:
    """Return, by topic, whose calls it holds: a provider that hangs fills its own share, and nobody else's."""
    return {
        dispatch_topic(provider.name, lane): WorkShare(
            provider.name, provider.max_in_flight, is_urgent=lane is Lane.REALTIME
        )
        for provider in providers
        for lane in Lane
    }


@dataclass
class Service:
    """A worker between its consumer and its publisher, for one life of the process."""

    settings: ProviderSettings
    shares: Mapping[str, WorkShare]
    worker: Worker
    publisher: Publisher
    claimer: ClaimWriter
    tails: Sequence[Tail]
    """What was cancelled, and own provider keys: read to the end before work begins."""
    later: ShardWorker
    clock: Clock
    health: Health
    draining: asyncio.Event
    pool: Pool | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; what runs then is finished, published and committed."""
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for tail in self.tails:
                group.create_task(tail.run(ended))
            for tail in self.tails:  # what was cancelled while nobody worked is not called
                await tail.caught_up.wait()
            background = [
                group.create_task(self.publisher.run()),
                group.create_task(self.claimer.run()),
                group.create_task(self.worker.report(self.claimer.worker)),
            ]
            group.create_task(self.later.run(stop))
            await self._work(stop)
            for task in background:
                task.cancel()
            ended.set()

    async def _work(self, stop: asyncio.Event) -> None:
        async with open_group_consumer(
            self.settings.kafka_bootstrap_servers,
            list(self.shares),
            group=GROUP,
            instance=self.settings.instance,
            on_revoked=self._hand_over,
            on_assigned=self._assigned,
            timing=self.settings.timing,
        ) as consumer:
            self.pool = Pool(
                consumer,
                self.worker.handle,
                self.claimer,
                self._open_claims,
                self.clock,
                capacity=self.settings.capacity,
                weigh=lines_weight,
                share_of=self.shares.__getitem__,
                dead_letter=self.worker.dead_letter,
                draining=self.draining,
            )
            self._report(consumer, self.pool)
            await self.pool.run(stop)

    def _open_claims(
        self, starts: Mapping[int, int]
    ) -> AbstractAsyncContextManager[claim_reader.ClaimReader]:
        servers = self.settings.kafka_bootstrap_servers
        return claim_reader.open_claims(servers, starts, client=f"{self.claimer.worker}.claims")

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

    @property
    def in_flight(self) -> int:
        return 0 if self.pool is None else self.pool.in_flight

    async def _hand_over(self, places: Collection[Place]) -> None:
        if self.pool is not None:
            await self.pool.hand_over(places)

    async def _assigned(self, places: Collection[Place]) -> None:
        if self.pool is not None:
            await self.pool.assigned(places)


def make_later(settings: ProviderSettings, clock: Clock, health: Health) -> ShardWorker:
    """Return the shard of delayed retries; what it holds is told as a number of this process, not as its lag."""
    own = Health("later", settings.ordinal)
    shard = ShardWorker(
        delayed_retries.SPEC,
        lambda _: delayed_retries.LaterPartition(clock),
        servers=settings.kafka_bootstrap_servers,
        instance=settings.instance,
        health=own,
        clock=clock,
        timing=settings.timing,
    )
    health.report(lambda: {"delayed": sum(own.lag().values())})
    return shard


async def make_service(
    settings: ProviderSettings,
    providers: Sequence[Provider],
    sites: Mapping[str, ProviderSite],
    producer: Producer,
    health: Health,
    *,
    master_keys: MasterKeys | None,
) -> Service:
    """Return the parts of this process, wired."""
    name = f"provider.{settings.instance}"
    clock, draining, cancels = SystemClock(), asyncio.Event(), Cancels()
    keyring = Keyring(master_keys)
    publisher = Publisher(producer, clock, flush_s=settings.flush_ms / 1000)
    claim = secrets.token_hex(8)
    claimer = ClaimWriter(
        producer, clock, worker=name, claim=claim, source=SOURCE, timing=settings.timing
    )
    worker = Worker(
        sites,
        publisher,
        producer,
        open_objects(settings.objects_url),
        clock,
        claims=claimer,
        cancels=cancels,
        keyring=keyring,
        chance=random.Random(),  # noqa: S311  # jitter
        health=health,
        draining=draining,
    )
    servers = settings.kafka_bootstrap_servers
    since_ms = clock.now_ms() - KEEP_MS
    count = await producer.partition_count(ACCOUNT_SECRETS.name)
    places = [(ACCOUNT_SECRETS.name, partition) for partition in range(count)]
    tails = (
        Tail(
            servers, [(CANCELS.name, 0)], cancels.apply, client=f"{name}.cancels", since_ms=since_ms
        ),
        Tail(servers, places, keyring.apply, client=f"{name}.secrets"),
    )
    return Service(
        settings,
        share_out(providers),
        worker,
        publisher,
        claimer,
        tails,
        make_later(settings, clock, health),
        clock,
        health,
        draining,
    )


async def main(environ: Mapping[str, str]) -> int:
    settings = ProviderSettings.from_env(environ, prefix="CROSSDOCK_PROVIDER_")
    configure_logs(settings.log_level, "provider")
    providers = served(settings, load_catalogue(settings.catalogue))
    master_keys = settings.master_keys()
    sites = {provider.name: open_site(provider, environ, SystemClock()) for provider in providers}
    health = Health("provider", settings.ordinal)
    servers = settings.kafka_bootstrap_servers
    async with AsyncExitStack() as stack:
        health.check("kafka", BROKER.why_not)
        await stack.enter_async_context(open_ops(health, settings.ops_port))
        await wait_for_broker(servers, timeout_s=settings.broker_wait_s)
        for site in sites.values():
            stack.push_async_callback(site.aclose)
        producer = await stack.enter_async_context(
            open_producer(
                servers, client=f"provider.{settings.instance}", send_limit_s=SEND_LIMIT_S
            )
        )
        service = await make_service(
            settings, providers, sites, producer, health, master_keys=master_keys
        )
        return await lifecycle.run(
            service.run, drain_s=settings.drain_s, left=lambda: f"{service.in_flight} lines"
        )


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
