"""Creates topics, tables and the first organization before the stages of an installation start. May run again.

Without `CLICKHOUSE_URL` it creates the topics only: a new provider of the catalogue needs no more.
"""

import sys
from collections.abc import Mapping
from typing import Annotated

import structlog
from pydantic import StringConstraints

from crossdock.kernel.drivers.clickhouse import migrate, open_tables
from crossdock.kernel.drivers.kafka import (
    may_forget_ends,
    open_producer,
    provision,
    wait_for_broker,
)
from crossdock.kernel.process import lifecycle
from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.kafka_settings import ACCESS
from crossdock.kernel.process.logs import configure_logs
from crossdock.kernel.process.settings import Settings
from crossdock.kernel.provisioning.first_organization import founded_record, make_founded
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock_schemas.topics import provisioned

CLICKHOUSE_URL = "CLICKHOUSE_URL"
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class ProvisionSettings(Settings):
    """CROSSDOCK_*."""

    replication: int = 1
    """Copies of each partition; 3 on a cluster."""
    broker_wait_s: float = 8.0
    owner_key_sha256: Sha256 | None = None
    """Hexadecimal SHA-256 of the first owner's key: a management key, with which all others are made."""
    api_key_sha256: Sha256 | None = None
    """Hexadecimal SHA-256 of the first inference key. With both, the first organization is founded."""


async def main(environ: Mapping[str, str]) -> int:
    settings = ProvisionSettings.from_env(environ)
    configure_logs(settings.log_level, "provision")
    ACCESS.use(settings)
    catalogue = load_catalogue(settings.catalogue)
    await wait_for_broker(settings.kafka_bootstrap_servers, timeout_s=settings.broker_wait_s)
    if await may_forget_ends(settings.kafka_bootstrap_servers):
        log.warning("broker.may_forget_ends", remedy="run Kafka 4.2, or one that has this mended")
    wanted = provisioned(tuple(catalogue.by_name), settings.partitions)
    topics = await provision(
        settings.kafka_bootstrap_servers, wanted, replication=settings.replication
    )
    ran = await _make_tables(settings) if environ.get(CLICKHOUSE_URL) else []
    if not environ.get(CLICKHOUSE_URL):
        log.warning("tables.skipped", remedy=f"to create tables, set {CLICKHOUSE_URL}")
    is_founded = await _found(settings)
    log.info("installation.provisioned", topics=topics, migrations=ran, founded=is_founded)
    return 0


async def _make_tables(settings: ProvisionSettings) -> list[str]:
    async with open_tables(settings.clickhouse_url) as tables:
        return await migrate(tables)


async def _found(settings: ProvisionSettings) -> bool:
    """Request the first organization; the accounts shard creates the parts that do not exist yet."""
    if settings.owner_key_sha256 is None or settings.api_key_sha256 is None:
        return False
    now_ms = SystemClock().now_ms()
    founded = make_founded(settings.owner_key_sha256, settings.api_key_sha256, now_ms)
    async with open_producer(settings.kafka_bootstrap_servers, client="provision") as producer:
        await producer.send([founded_record(founded)])
    return True


if __name__ == "__main__":
    sys.exit(lifecycle.start(main))
