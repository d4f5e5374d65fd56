"""Books are looked at again while they disagree, for a time."""

from decimal import Decimal

from crossdock.audit.books import AuditBooks, SpendingKey
from crossdock.audit.looks import until_whole

WHOLE = AuditBooks()
BEHIND = AuditBooks(spent={SpendingKey("org_1", "proj_1", "key_a"): Decimal(1)})


class FakeBooks:
    """Shows its pages one after the other, and the last one ever after."""

    def __init__(self, *pages: AuditBooks) -> None:
        self._pages = pages
        self.looks = 0

    async def look(self) -> AuditBooks:
        self.looks += 1
        return self._pages[min(self.looks, len(self._pages)) - 1]


async def test_books_that_are_a_moment_behind_are_looked_at_again() -> None:
    books = FakeBooks(BEHIND, BEHIND, WHOLE)

    checks = await until_whole(books.look, wait_s=30, pause_s=0)

    assert all(check.is_ok for check in checks)
    assert books.looks == 3


async def test_the_last_look_is_when_the_time_is_over() -> None:
    books = FakeBooks(BEHIND, WHOLE)

    checks = await until_whole(books.look, wait_s=0.01, pause_s=60)

    assert all(check.is_ok for check in checks)
    assert books.looks == 2


async def test_books_that_disagree_to_the_end_are_returned_as_they_are() -> None:
    books = FakeBooks(BEHIND)

    checks = await until_whole(books.look, wait_s=0)

    wrong = [check.name for check in checks if not check.is_ok]
    assert (wrong, books.looks) == (["journal matches the shards"], 1)
