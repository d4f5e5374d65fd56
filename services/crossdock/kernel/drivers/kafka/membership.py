"""The members of a group, as its coordinator knows them: the topics that they wish, and the partitions that they read.

A static member that comes back keeps its assignment: the coordinator may leave it as it was although the member's list
of topics changed. So a member with another list leaves first (`leave_if_changed`), and joins as a new one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import LeaveGroupRequest

from crossdock.kernel.process.errors import LogError, LogUnreachableError
from crossdock.kernel.process.kafka_settings import ACCESS

LOOKUP_S = 30.0
RETRY_S = 0.1
Place = tuple[str, int]


class Member(NamedTuple):
    """A member of a group: its id at the coordinator, its client's name, what it wishes and what it was assigned."""

    member_id: str
    client: str
    topics: frozenset[str]
    places: frozenset[Place]


async def members_of(servers: str, group: str) -> list[Member]:
    """Return the members of `group`.

    Raises:
        LogUnreachableError: if no broker answers.
        LogError: if the coordinator refuses.
    """
    async with _coordinator(servers, group) as coordinator:
        return await coordinator.members()


async def leave_if_changed(servers: str, group: str, client: str, topics: Collection[str]) -> bool:
    """End the membership of `client` if it was for other topics than `topics`; return whether it was.

    Raises:
        LogUnreachableError: if no broker answers.
        LogError: if the coordinator refuses.
    """
    async with _coordinator(servers, group) as coordinator:
        changed = [
            member
            for member in await coordinator.members()
            if member.client == client and member.topics not in {frozenset(topics), frozenset()}
        ]
        for member in changed:
            await coordinator.leave(member)
        return bool(changed)


class _Coordinator(NamedTuple):
    client: AIOKafkaClient
    node: int
    group: str

    async def members(self) -> list[Member]:
        answer = await self.client.send(self.node, DescribeGroupsRequest([self.group], False))
        ((_, _, _, _, _, members, *_),) = answer.groups
        return [_member(*fields[:2], *fields[3:]) for fields in members]

    async def leave(self, member: Member) -> None:
        await self.client.send(self.node, LeaveGroupRequest(self.group, member.member_id))


def _member(member_id: str, client: str, wish: bytes, assignment: bytes) -> Member:
    """Read a member; one that has not been assigned yet has empty bytes."""
    topics = ConsumerProtocol.METADATA.decode(wish).subscription if wish else []
    given = ConsumerProtocol.ASSIGNMENT.decode(assignment).partitions() if assignment else []
    places = frozenset((place.topic, place.partition) for place in given)
    return Member(member_id, client, frozenset(topics), places)


@asynccontextmanager
async def _coordinator(servers: str, group: str) -> AsyncIterator[_Coordinator]:
    client = AIOKafkaClient(**ACCESS.options(servers))
    try:
        await client.bootstrap()
    except KafkaError as error:
        await client.close()
        raise LogUnreachableError(servers) from error
    try:
        node = await _lookup(client, group)
        await client.ready(node)
        yield _Coordinator(client, node, group)
    except KafkaError as error:
        raise LogError(f"cannot ask for the members of {group!r}: {error!r}") from error
    finally:
        await client.close()


async def _lookup(client: AIOKafkaClient, group: str) -> int:
    """Return the node of the coordinator. The first group of a new broker has none until its topic is created."""
    give_up = time.monotonic() + LOOKUP_S
    while True:
        try:
            return int(await client.coordinator_lookup(CoordinationType.GROUP, group))
        except KafkaError as error:
            if not error.retriable or time.monotonic() > give_up:
                raise
            await asyncio.sleep(RETRY_S)
