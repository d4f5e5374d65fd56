"""Waiting for an object store that refuses: what was paid for, or read already, is not thrown away for a full disk."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from crossdock.kernel.process.errors import NoSuchObjectError, StoreError
from crossdock.kernel.process.health import Health

T = TypeVar("T")
Refused = Callable[[StoreError, int], float]
"""Tells of a refusal, the n-th in a row, and returns the seconds until the next try."""


async def until_stored(ask: Callable[[], Awaitable[T]], health: Health, refused: Refused) -> T:
    """Ask until the store answers; `health` says so meanwhile.

    Raises:
        NoSuchObjectError: if there is no such object.
    """
    tries = 0
    while True:
        try:
            answer = await ask()
        except NoSuchObjectError:
            raise
        except StoreError as error:
            tries += 1
            wait_s = refused(error, tries)
            health.block("objects", str(error)[:200])
        else:
            health.clear("objects")
            return answer
        await asyncio.sleep(wait_s)
