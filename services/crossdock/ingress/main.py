"""Runs ingress."""

import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack

from crossdock.ingress.app import make_app
from crossdock.ingress.http.context import ApiContext, make_context
from crossdock.ingress.server import bind
from crossdock.ingress.service import IngressService
from crossdock.ingress.settings import IngressSettings
from crossdock.ingress.views.accounts import RECENT_MS
from crossdock.ingress.views.results import MAX_AGE_MS
from crossdock.kernel.drivers.kafka import BROKER, Producer, Tail, open_producer, wait_for_broker
from crossdock.kernel.drivers.kafka.tail import Apply
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.logs import configure_logs
from crossdock.kernel.process.ops_server import open_ops
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import (
    ACCOUNT_CHANGES,
    ACCOUNT_DIRECTORY,
    BATCH_DIRECTORY,
    FILES,
    RESULTS,
)


async def main(environ: Mapping[str, str]) -> int:
    settings = IngressSettings.from_env(environ, prefix="CROSSDOCK_INGRESS_")
    configure_logs(settings.log_level, "ingress")
    catalogue = load_catalogue(settings.catalogue)
    objects = open_objects(settings.objects_url)
    health = Health("ingress", settings.ordinal)
    async with AsyncExitStack() as stack:
        health.check("kafka", BROKER.why_not)
        await stack.enter_async_context(open_ops(health, settings.ops_port))
        await wait_for_broker(settings.kafka_bootstrap_servers, timeout_s=settings.broker_wait_s)
        bound = stack.enter_context(bind(settings.host, settings.port))
        producer = await stack.enter_async_context(
            open_producer(settings.kafka_bootstrap_servers, client=f"ingress.{settings.instance}")
        )
        context = make_context(settings, catalogue, SystemClock(), objects, producer)
        tails = await open_tails(context, producer)
        service = IngressService(context, make_app(context), bound, tails, health)
        return await lifecycle.run(
            service.run,
            drain_s=settings.drain_s,
            left=lambda: f"{context.gate.waiting} callers waiting",
        )


async def open_tails(context: ApiContext, producer: Producer) -> list[Tail]:
    """Return the tails that fill the views of `context`."""
    settings = context.settings

    async def tail(topic: Topic, apply: Apply, since_ms: int | None = None) -> Tail:
        count = await producer.partition_count(topic.name)
        return Tail(
            settings.kafka_bootstrap_servers,
            [(topic.name, partition) for partition in range(count)],
            apply,
            client=f"ingress.{settings.instance}.{topic.name}",
            since_ms=since_ms,
        )

    since_ms = context.clock.now_ms() - MAX_AGE_MS
    return [
        await tail(ACCOUNT_DIRECTORY, context.accounts.apply),
        await tail(ACCOUNT_CHANGES, context.answers.apply, context.clock.now_ms() - RECENT_MS),
        await tail(FILES, context.files.apply),
        await tail(BATCH_DIRECTORY, context.batches.apply),
        await tail(RESULTS, context.ring.add, since_ms),
    ]


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
