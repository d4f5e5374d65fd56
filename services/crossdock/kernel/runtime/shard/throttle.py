"""At most once in a time: what changes often is shown rarely, and its last change always. Pure."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


class Throttle(Generic[Name]):
    """Names that changed, and when each was last shown."""

    def __init__(self, every_ms: int) -> None:
        self._every_ms = every_ms
        self._changed: dict[Name, None] = {}
        self._shown_ms: OrderedDict[Name, int] = OrderedDict()
        """The oldest first; only those that may not be shown again yet."""

    def note(self, name: Name, *, at_once: bool = False) -> None:
        """Count a change, to be shown in its time or `at_once`."""
        self._changed[name] = None
        if at_once:
            self._shown_ms.pop(name, None)

    def due(self, now_ms: int) -> Iterator[Name]:
        """Yield what is to be shown now."""
        while self._shown_ms and now_ms - next(iter(self._shown_ms.values())) >= self._every_ms:
            self._shown_ms.popitem(last=False)
        for name in [name for name in self._changed if name not in self._shown_ms]:
            del self._changed[name]
            self._shown_ms[name] = now_ms
            yield name
