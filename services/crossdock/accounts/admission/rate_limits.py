"""Rate limits of a key, which it shares with its chain of rotations: requests and tokens a minute. Pure."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import NamedTuple

from crossdock.accounts.state import request_rate, token_bucket
from crossdock.accounts.state.account import AccountState
from crossdock.accounts.state.holds import HoldOwner
from crossdock.accounts.state.pages import bucket_page, rate_page
from crossdock.accounts.state.token_bucket import TokenBucket
from crossdock.accounts.state.token_reservations import TokenReservations
from crossdock.kernel.runtime.shard.step_builder import StepBuilder
from crossdock_schemas.accounts.account import ApiKey
from crossdock_schemas.batches.batch import WaitReason
from crossdock_schemas.ids import HoldId, KeyId
from crossdock_schemas.parcel.parcel import Parcel


class RateUnit(StrEnum):
    """The unit of a rate limit."""

    REQUESTS = "requests"
    TOKENS = "tokens"


class Startable(NamedTuple):
    """How many lines may start now, and which limit binds the next one."""

    lines: int
    unit: RateUnit


def reservations(key: ApiKey, parcel: Parcel, denied: Collection[int]) -> list[int]:
    """Return the tokens that each line reserves; 0 without a token limit, and at the places `denied`."""
    if key.tpm is None:
        return [0] * len(parcel.lines)
    asks = enumerate(parcel.asks())
    return [0 if place in denied else token_bucket.reservation_of(ask) for place, ask in asks]


def startable(state: AccountState, key: ApiKey, lines: Sequence[int]) -> Startable:
    """Return how many of `lines`, which reserve so many tokens, may start now."""
    requests = Startable(len(lines), RateUnit.REQUESTS)
    if key.rpm is not None:
        busy_ms = state.busy_until_ms.get(state.root_of(key.key_id), 0)
        allowed = request_rate.count_allowed(busy_ms, key.rpm, state.now_ms)
        requests = Startable(min(len(lines), allowed), RateUnit.REQUESTS)
    if key.tpm is None:
        return requests
    fitting = token_bucket.count_fitting(_bucket(state, key.key_id), key.tpm, state.now_ms, lines)
    return requests if requests.lines <= fitting else Startable(fitting, RateUnit.TOKENS)


def count_startable(
    state: AccountState, key: ApiKey, reserve: int, lines: int, promised: int
) -> int:
    """Return how many lines of the same size may start now, if so many of the key's tokens are promised to others."""
    if key.rpm is not None:
        busy_ms = state.busy_until_ms.get(state.root_of(key.key_id), 0)
        lines = min(lines, request_rate.count_allowed(busy_ms, key.rpm, state.now_ms))
    if key.tpm is None:
        return lines
    bucket = _bucket(state, key.key_id)
    return min(lines, token_bucket.count_of_size(bucket, key.tpm, state.now_ms, reserve, promised))


def rate_wait_reason(state: AccountState, key: ApiKey, unit: RateUnit, reserve: int) -> WaitReason:
    """Return why a line of `key`, which reserves so many tokens, cannot start yet; `unit` has a limit."""
    if unit is RateUnit.TOKENS:
        tpm = key.tpm or 1
        until_ms = token_bucket.next_ms(_bucket(state, key.key_id), tpm, reserve)
        rule = f"may use {tpm} tokens a minute; this reserves {reserve}"
    else:
        rpm = key.rpm or 1
        until_ms = request_rate.next_ms(state.busy_until_ms.get(state.root_of(key.key_id), 0), rpm)
        rule = f"may begin {rpm} requests a minute"
    return WaitReason(
        code="rate_limit_exceeded",
        message=f"The key {key.key_id} {rule}.",
        scope=key.key_id,
        since_ms=state.now_ms,
        until_ms=max(until_ms, state.now_ms + 1),
    )


def _bucket(state: AccountState, key_id: KeyId) -> TokenBucket:
    return state.buckets.get(state.root_of(key_id), TokenBucket())


class RateCounter:
    """Counts the lines that start and the tokens that calls use, for keys that have a rate limit."""

    def __init__(self, step: StepBuilder) -> None:
        self._step = step
        self.reserved = TokenReservations()

    def start(
        self, state: AccountState, key: ApiKey, hold_id: HoldId, lines: Sequence[int]
    ) -> None:
        """Count `lines` that start, and reserve so many tokens."""
        if key.rpm is not None:
            busy_ms = state.busy_until_ms.get(state.root_of(key.key_id), 0)
            busy_ms = request_rate.after(busy_ms, key.rpm, state.now_ms, len(lines))
            root = state.root_of(key.key_id)
            state.busy_until_ms[root] = busy_ms
            self._step.keep(rate_page(state, root))
        if key.tpm is not None:
            owner = HoldOwner(state.account, key.key_id)
            self.reserved.add(owner, hold_id, sum(lines), len(lines))
            self._put(state, key.key_id, sum(lines))

    def use(self, state: AccountState, key_id: KeyId, hold_id: HoldId | None, used: int) -> None:
        """Count the tokens that a call used; below 0 if it used fewer than were assumed."""
        if hold_id is not None and used > 0:
            used = self.reserved.use(HoldOwner(state.account, key_id), hold_id, used)
        self._put(state, key_id, used)

    def end(self, state: AccountState, key_id: KeyId, hold_id: HoldId, still: int) -> None:
        """Return the tokens that the ended lines of a hold did not use; `still` lines go on."""
        back = self.reserved.end(HoldOwner(state.account, key_id), hold_id, still)
        self._put(state, key_id, -back)

    def _put(self, state: AccountState, key_id: KeyId, count: int) -> None:
        key = state.keys.get(key_id)
        if count and key is not None and key.tpm is not None:
            bucket, root = _bucket(state, key_id), state.root_of(key_id)
            state.buckets[root] = token_bucket.fill(bucket, key.tpm, state.now_ms, count)
            self._step.keep(bucket_page(state, root))
