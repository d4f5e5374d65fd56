"""A member of a group is ready when it has joined and each of its topics has a reader."""

from collections.abc import Collection

import pytest

from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.health import Health
from crossdock.kernel.runtime.assignment import REJOIN_AFTER, AssignmentWatch


class Member:
    """A member that reads `read`, in a group that reads `others` too."""

    def __init__(self) -> None:
        self.is_in = True
        self.read: set[str] = set()
        self.others: set[str] | None = set()
        self.joined_again = 0

    def has_joined(self) -> bool:
        return self.is_in

    def unread(self, topics: Collection[str]) -> frozenset[str]:
        return frozenset(topics) - self.read

    async def unread_in_group(self, topics: Collection[str]) -> frozenset[str]:
        if self.others is None:
            raise LogError("away")
        return self.unread(topics) - self.others

    async def rejoin(self) -> None:
        self.joined_again += 1


@pytest.fixture
def member() -> Member:
    return Member()


@pytest.fixture
def health() -> Health:
    health = Health("test", 0)
    health.clear("start")
    return health


async def test_before_it_has_joined_it_is_not_ready(member: Member, health: Health) -> None:
    member.is_in, member.read = False, {"one"}

    await AssignmentWatch(member, ["one"], health).look()

    assert health.reasons == ["assignment: joining its group"]


async def test_with_all_its_topics_it_is_ready(member: Member, health: Health) -> None:
    member.read = {"one", "two"}

    await AssignmentWatch(member, ["one", "two"], health).look()

    assert health.is_ready


async def test_a_topic_that_another_member_reads_is_read(member: Member, health: Health) -> None:
    member.read, member.others = {"one"}, {"two"}

    await AssignmentWatch(member, ["one", "two"], health).look()

    assert health.is_ready


@pytest.mark.parametrize("others", [set(), None])
async def test_a_topic_without_a_reader_is_named_until_it_has_one(
    member: Member, health: Health, others: set[str] | None
) -> None:
    """A coordinator that does not answer says nothing about other members."""
    member.read, member.others = {"one"}, others
    watch = AssignmentWatch(member, ["one", "two"], health)

    await watch.look()
    assert health.reasons == ["assignment: no member of its group reads two"]

    member.read = {"one", "two"}
    await watch.look()
    assert health.is_ready


async def test_a_topic_that_stays_without_a_reader_makes_it_join_again(
    member: Member, health: Health
) -> None:
    watch = AssignmentWatch(member, ["one"], health)

    for _ in range(REJOIN_AFTER - 1):
        await watch.look()
    assert member.joined_again == 0
    await watch.look()

    assert member.joined_again == 1
