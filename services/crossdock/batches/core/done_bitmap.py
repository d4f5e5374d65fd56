"""Which lines are done: a bitmap in pages, so that a step writes only the pages that it changed."""

PAGE_LINES = 32_768  # 4 KiB a page; a million lines are 31 pages
_PAGE_BYTES = PAGE_LINES // 8


class Bits:
    """A set of line numbers."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._changed: set[int] = set()

    def __contains__(self, line: int) -> bool:
        page = self._pages.get(line // PAGE_LINES)
        at = line % PAGE_LINES
        return page is not None and bool(page[at >> 3] & (1 << (at & 7)))

    def add(self, line: int) -> bool:
        """Add `line`; False if it was there."""
        number, at = divmod(line, PAGE_LINES)
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = bytearray(_PAGE_BYTES)
        mask = 1 << (at & 7)
        if page[at >> 3] & mask:
            return False
        page[at >> 3] |= mask
        self._changed.add(number)
        return True

    def restore(self, number: int, page: bytes) -> None:
        self._pages[number] = bytearray(page)

    def take_changed(self) -> list[tuple[int, bytes]]:
        """Return the pages changed since the last call."""
        changed = [(number, bytes(self._pages[number])) for number in sorted(self._changed)]
        self._changed.clear()
        return changed

    def numbers(self) -> list[int]:
        return sorted(self._pages)

    def __len__(self) -> int:
        return sum(int.from_bytes(page).bit_count() for page in self._pages.values())
