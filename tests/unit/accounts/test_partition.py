"""The partition around the core."""

from crossdock.accounts.partition import AccountsPartition
from crossdock.kernel.clock import ManualClock
from crossdock.kernel.record import Record
from crossdock_schemas.topics import ACCOUNT_CHANGES, ACCOUNT_COMMANDS, DEAD_LETTERS
from unit.accounts.builders import ACME, NOW_MS, ask_key, make_founded, make_key


def record(offset: int, value: bytes) -> Record:
    return Record(ACCOUNT_COMMANDS.name, 0, offset, NOW_MS, ACME.encode(), value, ())


async def test_a_command_that_cannot_be_read_is_a_dead_letter_and_holds_nobody_up() -> None:
    partition = AccountsPartition(ManualClock(NOW_MS))
    commands = (make_founded().to_json(), b"garbage", ask_key(make_key("key_new")).to_json())

    step = await partition.step([record(n, value) for n, value in enumerate(commands)])

    topics = [outgoing.topic for outgoing in step.outgoing]
    assert topics.count(DEAD_LETTERS.name) == 1
    assert topics.count(ACCOUNT_CHANGES.name) == 2
    assert "key_new" in partition.core.states[ACME].keys


async def test_the_next_owner_goes_on_where_the_pages_end() -> None:
    first, second = (AccountsPartition(ManualClock(NOW_MS)) for _ in range(2))
    step = await first.step([record(0, make_founded().to_json())])

    second.restore(step.pages)
    await second.step([record(1, ask_key(make_key("key_new")).to_json())])

    assert second.core.states[ACME].number == 2
