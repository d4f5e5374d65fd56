"""Commands to the accounts shard: sends one and waits until it is applied."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from crossdock.ingress.commands.records import make_account_record
from crossdock.ingress.http.auth import Principal, principal_of
from crossdock.ingress.http.context import ApiContext
from crossdock.ingress.values import errors
from crossdock.ingress.values.errors import STATUS, RefusedError
from crossdock.ingress.values.models import ForceQuery
from crossdock_schemas.accounts.control import Change, Command
from crossdock_schemas.ids import AccountId, make_change_id

ANSWER_S = 5.0  # the shard answers within some 10 ms; after a crash it is back within 3 s
SHOWN_S = 2.0


def sign(who: Principal, now_ms: int) -> dict[str, Any]:
    """Return the fields that every command has."""
    return {
        "change_id": make_change_id(now_ms),
        "account": who.account,
        "actor": who.key_id,
        "at_ms": now_ms,
    }


def guard(request: Request, query: ForceQuery, now_ms: int) -> dict[str, Any]:
    """Return the fields of a command that can lock keys out: those of `sign`, the caller's address, and `force`."""
    who = principal_of(request)
    return sign(who, now_ms) | {"address": who.address or None, "force": query.is_forced or None}


class AccountCommands:
    """Sends commands and reads the log of changes."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def sign(self, request: Request) -> dict[str, Any]:
        """Return the fields that every command has, for the key of `request`."""
        return sign(principal_of(request), self._context.clock.now_ms())

    async def apply(
        self,
        command: Command,
        is_shown: Callable[[], bool],
        identifier: str,
        *,
        account: AccountId | None = None,
        action: str | None = None,
    ) -> Change:
        """Return the log's entry of `command` once `account` applied it and the view shows it.

        `action`: see `Answers.find`.

        Raises:
            RefusedError: the shard's refusal; 503 if it does not answer in time.
        """
        account = account or command.account
        await self._context.outbox.publish(make_account_record(command))
        answers = self._context.answers
        change = await answers.arrivals.until(
            command.change_id,
            lambda: answers.find(command.change_id, account, action),
            timeout_s=ANSWER_S,
        )
        if change is None:
            raise errors.unconfirmed()
        if change.refusal is not None:
            status, kind = STATUS[change.refusal]
            raise RefusedError(status, change.reason or "", kind=kind, reason=change.refusal.value)
        await self.until_shown(identifier, is_shown)
        return change

    async def until_shown(self, identifier: str, is_shown: Callable[[], bool]) -> None:
        """Wait until the view shows what was applied, for SHOWN_S at most."""
        await self._context.accounts.arrivals.until(
            identifier, lambda: True if is_shown() else None, timeout_s=SHOWN_S
        )
