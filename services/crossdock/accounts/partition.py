"""One partition of the accounts shard: the pure core, and the decoding around it."""

import asyncio
from collections.abc import Iterable, Sequence

import structlog
from pydantic import ValidationError

from crossdock.accounts.core import AccountsCore
from crossdock.kernel.clock import Clock
from crossdock.kernel.dead_letters import DeadLetters
from crossdock.kernel.record import Outgoing, Page, Record, Step
from crossdock_schemas.control import account_command

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class AccountsPartition:
    """Implements `kernel.shard.Partition`."""

    def __init__(self, clock: Clock) -> None:
        self.wake = asyncio.Event()
        self.core = AccountsCore()
        self._clock = clock
        self._dead = DeadLetters("accounts", clock)

    def restore(self, pages: Iterable[Page]) -> None:
        self.core.restore(pages)

    async def step(self, records: Sequence[Record]) -> Step:
        """Apply the commands in order.

        Raises:
            TooManyDeadLettersError: if nearly no record can be read.
        """
        now_ms = self._clock.now_ms()
        dead: list[Outgoing] = []
        for record in records:
            try:
                command = account_command.validate_json(record.value or b"")
            except ValidationError as error:
                dead.append(self._dead.take(record, str(error)))
                continue
            self._dead.good()
            change = self.core.apply(command, now_ms)
            log.info(
                "account.changed",
                account=change.account,
                number=change.number,
                action=change.action,
                target=change.target,
                actor=change.actor,
                refusal=change.refusal,
            )
        step = self.core.finish()
        return Step([*step.outgoing, *dead], step.pages)

    def committed(self) -> None:
        """Nothing follows: what was decided is all in the transaction."""

    async def close(self) -> None:
        """Nothing runs in the background."""
