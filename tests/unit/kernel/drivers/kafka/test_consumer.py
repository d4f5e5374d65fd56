"""Commits to a broker that does not answer."""

import asyncio

import pytest

from crossdock.kernel.drivers.kafka.consumer import COMMIT_TRIES, GroupConsumer
from crossdock.kernel.process.errors import LogError

PLACE = ("t", 0)


class Client:
    """aiokafka's consumer: its commits are answered or not, as `answers` says, then all of them."""

    def __init__(self, *answers: bool) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def commit(self, offsets: object) -> None:
        self.asked += 1
        if self._answers and not self._answers.pop(0):
            await asyncio.Event().wait()


def consumer(client: Client, *, is_up: bool) -> GroupConsumer:
    async def ask(_servers: str) -> bool:
        return is_up

    return GroupConsumer(client, "nowhere:9092", commit_limit_s=0.02, ask=ask)


async def test_a_client_that_lost_the_broker_for_good_ends() -> None:
    """The broker was killed; metering stood in a commit for twelve minutes, alive and not restarted."""
    client = Client(*[False] * COMMIT_TRIES)

    with pytest.raises(LogError, match="not the commits of this consumer"):
        await consumer(client, is_up=True).commit({PLACE: 1})


async def test_a_broker_that_is_away_is_waited_for() -> None:
    client = Client(*[False] * (COMMIT_TRIES + 3), True)

    assert await consumer(client, is_up=False).commit({PLACE: 1})
    assert client.asked == COMMIT_TRIES + 4


async def test_one_commit_that_is_late_is_given_again() -> None:
    client = Client(False, True)

    assert await consumer(client, is_up=True).commit({PLACE: 1})
