"""Readiness of a member of a group: it has joined, and each of its topics is read by some member."""

import asyncio
from collections.abc import Collection
from typing import Protocol

import structlog

from crossdock.kernel.process.errors import LogError
from crossdock.kernel.process.health import Health

log: structlog.stdlib.BoundLogger = structlog.get_logger()

JOINING_S = 0.1
SETTLED_S = 2.0
REJOIN_AFTER = 3  # looks, SETTLED_S apart, at a topic without a reader


class Membership(Protocol):
    """The part of `GroupConsumer` that is watched."""

    def has_joined(self) -> bool: ...
    def unread(self, topics: Collection[str]) -> frozenset[str]: ...
    async def unread_in_group(self, topics: Collection[str]) -> frozenset[str]: ...
    async def rejoin(self) -> None: ...


class AssignmentWatch:
    """Compares what the group assigned with what the member asked for, and reports a difference to `health`.

    `topics` may change meanwhile.
    """

    def __init__(self, member: Membership, topics: Collection[str], health: Health) -> None:
        self._member = member
        self._topics = topics
        self._health = health
        self._seen = 0
        health.block("assignment", "joining its group")

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(SETTLED_S if self._member.has_joined() else JOINING_S)

    async def look(self) -> None:
        """Compare once. A topic that no member reads for REJOIN_AFTER looks makes the member leave and join again."""
        if not self._member.has_joined():
            return
        unread = await self._unread()
        if not unread:
            self._seen = 0
            self._health.clear("assignment")
            return
        self._seen += 1
        names = ", ".join(sorted(unread))
        self._health.block("assignment", f"no member of its group reads {names}")
        if self._seen % REJOIN_AFTER == 0:
            log.warning("group.rejoining", topics=names)
            await self._member.rejoin()

    async def _unread(self) -> frozenset[str]:
        """Return the topics that no member reads. The coordinator is asked only if this member misses some."""
        unread = self._member.unread(self._topics)
        if not unread:
            return unread
        try:
            return await self._member.unread_in_group(unread)
        except LogError as error:
            log.warning("group.unknown", reason=str(error))
            return unread
