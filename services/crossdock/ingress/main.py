"""Runs ingress."""

import sys
from collections.abc import Mapping

from crossdock.ingress.app import make_app
from crossdock.ingress.http.context import ApiContext, make_context
from crossdock.ingress.server import bind
from crossdock.ingress.service import IngressService
from crossdock.ingress.settings import IngressSettings
from crossdock.ingress.views.accounts import RECENT_MS
from crossdock.ingress.views.results import MAX_AGE_MS
from crossdock.kernel.drivers.kafka import Producer, Tail
from crossdock.kernel.drivers.kafka.tail import Apply
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process import lifecycle
from crossdock.kernel.runtime.live_catalogue import LiveCatalogue
from crossdock.kernel.runtime.stage import open_stage, read_settings
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import (
    ACCOUNT_CHANGES,
    ACCOUNT_DIRECTORY,
    BATCH_DIRECTORY,
    FILES,
    RESULTS,
)


async def main(environ: Mapping[str, str]) -> int:
    settings = read_settings(IngressSettings, environ, "ingress")
    catalogue = LiveCatalogue(settings.catalogue)
    objects = open_objects(settings.objects_url)
    async with open_stage("ingress", settings) as stage:
        bound = stage.stack.enter_context(bind(settings.host, settings.port))
        producer = await stage.open_producer()
        context = make_context(settings, catalogue.current, stage.clock, objects, producer)
        catalogue.on_change(context.use)
        await stage.beside(catalogue.follow())
        tails = await open_tails(context, producer)
        service = IngressService(context, make_app(context), bound, tails, stage.health)
        return await stage.run(service.run, left=lambda: f"{context.gate.waiting} callers waiting")


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
