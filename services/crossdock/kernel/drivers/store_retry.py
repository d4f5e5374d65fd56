"""Waits for an object store that refuses: results that were paid for are not lost because of a full disk."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from crossdock.kernel.process.errors import NoSuchObjectError, StoreError
from crossdock.kernel.process.health import Health

T = TypeVar("T")
Refused = Callable[[StoreError, int], float]
"""Reports a refusal and its number in a row; returns the seconds until the next try."""


async def until_stored(ask: Callable[[], Awaitable[T]], health: Health, refused: Refused) -> T:
    """Call `ask` until the store answers; `health` reports the wait.

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
