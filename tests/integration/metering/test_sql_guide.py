"""The queries of the SQL guide run on the tables as they are."""

import asyncio
import os

from crossdock.kernel.drivers.clickhouse import migrate, open_tables
from crossdock.metering.rows import COLUMNS
from support.guides import GUIDES, examples


async def test_every_query_of_the_guide_runs(clickhouse_url: str) -> None:
    found = list(examples(GUIDES / "sql.md"))
    async with open_tables(clickhouse_url, COLUMNS) as tables:
        await migrate(tables)
        for example in found:
            if example.language == "sql":
                await tables.query(example.text, {})
            if example.language == "sh":
                await run_shell(example.text, clickhouse_url)

    assert {example.language for example in found} == {"sh", "sql"}


async def run_shell(text: str, clickhouse_url: str) -> None:
    environ = dict(os.environ) | {"CLICKHOUSE_URL": clickhouse_url}  # noqa: TID251  # a child's
    process = await asyncio.create_subprocess_exec("bash", "-euc", text, env=environ)
    assert await process.wait() == 0
