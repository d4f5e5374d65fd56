"""Looks at the books again while they disagree: rows arrive about a second after their calls."""

import asyncio
import time

from crossdock.audit.books import Look, OpenBooks
from crossdock.audit.checks import Check, check_books

PAUSE_S = 1.0  # rows come about so much later, and a shard reports a key's spending once in it


async def audited(open_books: OpenBooks, url: str, servers: str, *, wait_s: float) -> list[Check]:
    """Open the books at the addresses of ClickHouse and Kafka, and look as `until_whole` does."""
    async with open_books(url, servers) as look:
        return await until_whole(look, wait_s=wait_s)


async def until_whole(look: Look, *, wait_s: float, pause_s: float = PAUSE_S) -> list[Check]:
    """Look until all checks hold, or `wait_s` are over; return the last ones."""
    give_up = time.monotonic() + wait_s
    while True:
        checks = check_books(await look())
        left_s = give_up - time.monotonic()
        if left_s <= 0 or all(check.is_ok for check in checks):
            return checks
        await asyncio.sleep(min(pause_s, left_s))
