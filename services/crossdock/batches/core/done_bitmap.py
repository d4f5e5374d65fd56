"""Which lines are done: a bitmap in pages, so that a step writes only the pages that changed."""

from crossdock.kernel.runtime.shard.page_store import Codec, PageStore

PAGE_LINES = 32_768  # 4 KiB a page; a million lines are 31 pages
_PAGE_BYTES = PAGE_LINES // 8


class DoneBitmap:
    """A set of line numbers of one batch."""

    def __init__(self, batch_id: str) -> None:
        self.pages = PageStore(f"{batch_id}/done", Codec(int, bytes, bytearray))

    def __contains__(self, line: int) -> bool:
        page = self.pages.find(line // PAGE_LINES)
        at = line % PAGE_LINES
        return page is not None and bool(page[at >> 3] & (1 << (at & 7)))

    def add(self, line: int) -> bool:
        """Add `line`; False if it was there."""
        number, at = divmod(line, PAGE_LINES)
        page = self.pages.find(number)
        if page is None:
            page = bytearray(_PAGE_BYTES)
        mask = 1 << (at & 7)
        if page[at >> 3] & mask:
            return False
        page[at >> 3] |= mask
        self.pages.put(number, page)
        return True

    def __len__(self) -> int:
        found = (self.pages.find(number) or b"" for number in sorted(self.pages))
        return sum(int.from_bytes(page).bit_count() for page in found)
