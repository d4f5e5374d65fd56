"""Makes what an installation needs before its stages start: topics, tables. Runs once and exits; may run again."""

import sys
from collections.abc import Mapping

import structlog

from crossdock.kernel import lifecycle
from crossdock.kernel.catalogue import load_catalogue
from crossdock.kernel.clickhouse import migrate, open_tables
from crossdock.kernel.kafka import provision, wait_for_broker
from crossdock.kernel.logs import configure_logs
from crossdock.kernel.settings import Settings
from crossdock_schemas.topics import provisioned

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class ProvisionSettings(Settings):
    """CROSSDOCK_*."""

    replication: int = 1
    """Copies of each partition; 3 on a cluster."""
    broker_wait_s: float = 8.0


async def main(environ: Mapping[str, str]) -> int:
    settings = ProvisionSettings.from_env(environ)
    configure_logs(settings.log_level, "provision")
    catalogue = load_catalogue(settings.catalogue)
    await wait_for_broker(settings.kafka_bootstrap_servers, timeout_s=settings.broker_wait_s)
    wanted = provisioned(tuple(catalogue.by_name), settings.partitions)
    topics = await provision(
        settings.kafka_bootstrap_servers, wanted, replication=settings.replication
    )
    async with open_tables(settings.clickhouse_url) as tables:
        ran = await migrate(tables)
    log.info("installation.provisioned", topics=topics, migrations=ran)
    return 0


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
