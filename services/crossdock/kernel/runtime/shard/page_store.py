"""Keyed pages of a shard's state: their present values, and which of them changed. Pure.

A page's key is its store's prefix, and its name. A restored page stays packed until it is first asked for: a million
open holds are restored at once, and most of them are never asked for.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from crossdock.kernel.process.record import Page


class Sortable(Protocol):
    """A key of pages: changed pages are written in the order of their keys."""

    def __lt__(self, other: Any, /) -> bool: ...


Key = TypeVar("Key", bound=Sortable)
Value = TypeVar("Value")
Owner = TypeVar("Owner")
Item = TypeVar("Item")


class Codec(NamedTuple, Generic[Key, Value]):
    """How values become bytes and back; and how a key is made from the parts of its page's name."""

    key: Callable[..., Key]
    pack: Callable[[Value], bytes]
    unpack: Callable[[bytes], Value]


def _name(key: object) -> str:
    """Return the parts of a key, which may be nested tuples, with slashes between them."""
    return "/".join(map(_name, key)) if isinstance(key, tuple) else str(key)


class PageStore(Generic[Key, Value]):
    """One value a page."""

    def __init__(self, prefix: str, codec: Codec[Key, Value]) -> None:
        self._prefix = f"{prefix}/".encode()
        self._codec = codec
        self._values: dict[Key, Value] = {}
        self._packed: dict[Key, bytes] = {}
        self._changed: set[Key] = set()

    def __iter__(self) -> Iterator[Key]:
        yield from self._packed
        yield from self._values

    def __len__(self) -> int:
        return len(self._values) + len(self._packed)

    def find(self, key: Key) -> Value | None:
        found = self._values.get(key)
        if found is None and key in self._packed:
            found = self._values[key] = self._codec.unpack(self._packed.pop(key))
        return found

    def put(self, key: Key, value: Value) -> None:
        """Store `value`; the same object again where it was changed in place."""
        if self._packed:
            self._packed.pop(key, None)
        self._values[key] = value
        self._changed.add(key)

    def take(self, key: Key) -> Value | None:
        """Remove a page, and return its value; None: there is no such page."""
        found = self.find(key)
        if found is not None:
            del self._values[key]
            self._changed.add(key)
        return found

    def page_key(self, key: Key) -> bytes:
        return self._prefix + _name(key).encode()

    def finish(self) -> list[Page]:
        """Return the pages that changed since the last call; a removed one has no value."""
        changed, self._changed = sorted(self._changed), set()
        return [Page(self.page_key(key), self._pack(key)) for key in changed]

    def _pack(self, key: Key) -> bytes | None:
        value = self._values.get(key)
        return None if value is None else self._codec.pack(value)

    def owns(self, page: Page) -> bool:
        return page.key.startswith(self._prefix)

    def restore(self, pages: Iterable[Page]) -> dict[Key, bytes]:
        """Take over this store's own pages among `pages`, and return their packed values."""
        start = len(self._prefix)
        own = {
            self._codec.key(*page.key[start:].decode().split("/")): page.value
            for page in pages
            if page.value is not None and self.owns(page)
        }
        self._packed |= own
        return own


class GroupedPages(Generic[Owner, Item, Value]):
    """Many items a page: those of one owner that were added one after the other.

    They also end at about the same time, so that a step touches few pages.
    """

    def __init__(
        self,
        pages: PageStore[tuple[Owner, int], dict[Item, Value]],
        *,
        page_bytes: int,
        size: Callable[[Item, Value], int],
    ) -> None:
        self.pages = pages
        self._page_bytes = page_bytes
        self._size = size
        self._numbers: dict[Owner, dict[Item, int]] = {}
        """Page number by item."""
        self._last: dict[Owner, tuple[int, int]] = {}
        """Number of the last page, and how many bytes were ever added to it."""

    def __len__(self) -> int:
        return sum(map(len, self._numbers.values()))

    def add(self, owner: Owner, item: Item, value: Value) -> int:
        """Add an item to the last page, or to the next one if that is full; return the page's number."""
        number, filled = self._last.get(owner, (0, 0))
        if filled >= self._page_bytes:
            number, filled = number + 1, 0
        self._last[owner] = number, filled + self._size(item, value)
        self._numbers.setdefault(owner, {})[item] = number
        self._write(owner, number, item, value)
        return number

    def _write(self, owner: Owner, number: int, item: Item, value: Value) -> None:
        page = self.pages.find((owner, number))
        if page is None:
            page = {}
        page[item] = value
        self.pages.put((owner, number), page)

    def find(self, owner: Owner, item: Item) -> Value | None:
        number = self._number(owner, item)
        page = None if number is None else self.pages.find((owner, number))
        return None if page is None else page[item]

    def _number(self, owner: Owner, item: Item) -> int | None:
        numbers = self._numbers.get(owner)
        return None if numbers is None else numbers.get(item)

    def put(self, owner: Owner, item: Item, value: Value) -> int:
        """Change an item, which must be known; return its page's number."""
        number = self._numbers[owner][item]
        self._write(owner, number, item, value)
        return number

    def take(self, owner: Owner, item: Item) -> Value | None:
        """Remove an item, and its page if it was the last one there."""
        number = self._number(owner, item)
        page = None if number is None else self.pages.find((owner, number))
        if number is None or page is None:
            return None
        del self._numbers[owner][item]
        value = page.pop(item)
        if page:
            self.pages.put((owner, number), page)
        else:
            self.pages.take((owner, number))
        return value

    def restore(
        self, pages: Iterable[Page], items: Callable[[bytes], Collection[Item]]
    ) -> dict[tuple[Owner, int], bytes]:
        """Take over the own pages among `pages`, and return them packed; `items` lists what such a page has."""
        own = self.pages.restore(pages)
        for (owner, number), value in own.items():
            self._numbers.setdefault(owner, {}).update(dict.fromkeys(items(value), number))
            if number >= self._last.get(owner, (0, 0))[0]:
                self._last[owner] = number, len(value)
        return own
