"""Runs the accounts stage."""

import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack

from crossdock.accounts.partition import SOURCES, AccountsPartition
from crossdock.accounts.settings import AccountsSettings
from crossdock.kernel.drivers.kafka import BROKER, wait_for_broker
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.logs import configure_logs
from crossdock.kernel.process.ops_server import open_ops
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock.kernel.runtime.shard.shard import ShardSpec, ShardWorker
from crossdock_schemas.accounts.credit import Terms
from crossdock_schemas.topics import ACCOUNT_STATE

QUICK_S = 0.005  # a single request waits for its admission: 3.5 ms a transaction, if as much lies between two
SPEC = ShardSpec(
    group="crossdock.accounts",
    sources=tuple(topic.name for topic in SOURCES),
    state=ACCOUNT_STATE.name,
    quick_s=QUICK_S,
    is_ahead=True,
)


async def main(environ: Mapping[str, str]) -> int:
    settings = AccountsSettings.from_env(environ, prefix="CROSSDOCK_ACCOUNTS_")
    configure_logs(settings.log_level, "accounts")
    catalogue = load_catalogue(settings.catalogue)
    clock = SystemClock()
    terms = Terms(
        fee_percent=settings.fee_percent,
        fee_minimum_usd=settings.fee_minimum_usd,
        low_balance_usd=settings.low_balance_usd,
        expiry_notice_days=settings.expiry_notice_days,
        unknown_s=settings.timing.unknown_s,
    )
    health = Health("accounts", settings.ordinal)
    async with AsyncExitStack() as stack:
        health.check("kafka", BROKER.why_not)
        await stack.enter_async_context(open_ops(health, settings.ops_port))
        await wait_for_broker(settings.kafka_bootstrap_servers, timeout_s=settings.broker_wait_s)
        objects = open_objects(settings.objects_url)
        worker = ShardWorker(
            SPEC,
            lambda _partition: AccountsPartition(
                catalogue, objects, clock, health=health, terms=terms
            ),
            servers=settings.kafka_bootstrap_servers,
            instance=settings.instance,
            health=health,
            timing=settings.timing,
        )
        return await lifecycle.run(worker.run, drain_s=settings.drain_s)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
