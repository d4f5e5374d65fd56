"""An event loop whose time is virtual: nothing waits, and the same seed gives the same run."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from typing_extensions import override

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    """Never waits: time that would pass is added to the loop's."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits for something that will not come")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs coroutines that wait for each other and for time, and for nothing else."""

    def __init__(self) -> None:
        self.clock = _Selector()
        super().__init__(self.clock)

    @override
    def time(self) -> float:
        return self.clock.now


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end, in no time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class VirtualClock:
    """Unix ms, as the running loop counts them."""

    def now_ms(self) -> int:
        return 1_800_000_000_000 + round(asyncio.get_running_loop().time() * 1000)
