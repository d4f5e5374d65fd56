"""Runs the accounts stage."""

import sys
from collections.abc import Mapping

from crossdock.accounts.partition import SOURCES, AccountsPartition
from crossdock.accounts.settings import AccountsSettings
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process import lifecycle
from crossdock.kernel.runtime.live_catalogue import LiveCatalogue
from crossdock.kernel.runtime.shard.shard import ShardWorker
from crossdock.kernel.runtime.shard.spec import ShardSpec
from crossdock.kernel.runtime.stage import open_stage, read_settings
from crossdock_schemas.accounts.credit import Terms
from crossdock_schemas.topics import ACCOUNT_STATE

QUICK_S = 0.005  # a single request waits for its admission; a transaction takes 3.5 ms if as much time is between two
SPEC = ShardSpec(
    group="crossdock.accounts",
    sources=tuple(topic.name for topic in SOURCES),
    state=ACCOUNT_STATE.name,
    quick_s=QUICK_S,
    is_ahead=True,
)


async def main(environ: Mapping[str, str]) -> int:
    settings = read_settings(AccountsSettings, environ, "accounts")
    catalogue = LiveCatalogue(settings.catalogue)
    terms = Terms(
        fee_percent=settings.fee_percent,
        fee_minimum_usd=settings.fee_minimum_usd,
        low_balance_usd=settings.low_balance_usd,
        expiry_notice_days=settings.expiry_notice_days,
        unknown_s=settings.timing.unknown_s,
    )
    async with open_stage("accounts", settings) as stage:
        objects = open_objects(settings.objects_url)

        def open_partition(number: int) -> AccountsPartition:
            opened = AccountsPartition(
                catalogue.current, objects, stage.clock, health=stage.health, terms=terms
            )
            catalogue.on_change(opened.use, of=number)
            return opened

        await stage.beside(catalogue.follow())
        worker = ShardWorker(
            SPEC,
            open_partition,
            servers=stage.servers,
            instance=settings.instance,
            health=stage.health,
            timing=settings.timing,
        )
        return await stage.run(worker.run)


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
