"""Makes the parcels that enter the pipeline: one place for what a new parcel has, and what it does not have yet."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from crossdock_schemas.accounts.demands import Demands
from crossdock_schemas.ids import (
    AccountId,
    BatchId,
    ExecutionId,
    KeyId,
    ParcelId,
    ProjectId,
    RequestId,
)
from crossdock_schemas.parcel.parcel import BodyRef, Lane, Parcel
from crossdock_schemas.pricing.worst_case import Ask

_DEFAULTS = {
    name: field.default
    for name, field in Parcel.model_fields.items()
    if not field.is_required() and field.default_factory is None
}
"""Of a field that no stage has filled in yet; given to `model_construct`, which would look up each one."""


class ParcelOwner(Protocol):
    """A principal or a batch: the owner of a parcel."""

    @property
    def account(self) -> AccountId: ...
    @property
    def project(self) -> ProjectId: ...
    @property
    def key_id(self) -> KeyId: ...


def new_parcel(
    owner: ParcelOwner,
    parcel_id: ParcelId,
    *,
    lane: Lane,
    operation: str,
    model: str,
    lines: tuple[int, ...],
    asks: Sequence[Ask],
    users: Sequence[str],
    tags: Mapping[str, str],
    demands: Demands | None,
    created_at_ms: int,
    deadline_ms: int,
    input_bytes: int,
    body_ref: BodyRef | None,
    batch_id: BatchId | None = None,
    request_id: RequestId | None = None,
    start_before_ms: int | None = None,
    repeats: Mapping[int, ExecutionId] | None = None,
    position: int | None = None,
    behind: int = 0,
) -> Parcel:
    """Return a parcel of checked values, with an ask and a user for each line; it is not validated again."""
    given = {
        "parcel_id": parcel_id,
        "account": owner.account,
        "project": owner.project,
        "key_id": owner.key_id,
        "lane": lane,
        "operation": operation,
        "model": model,
        "lines": lines,
        "batch_id": batch_id,
        "request_id": request_id,
        "created_at_ms": created_at_ms,
        "deadline_ms": deadline_ms,
        "start_before_ms": start_before_ms,
        "input_bytes": input_bytes,
        "input_most": tuple([ask.input for ask in asks]),
        "output_most": tuple([ask.output for ask in asks]),
        "choices": tuple([ask.choices for ask in asks]),
        "tools": tuple([ask.tools for ask in asks]) if any(ask.tools for ask in asks) else (),
        "users": tuple(users) if any(users) else (),
        "tags": tags,
        "demands": demands,
        "repeats": repeats or {},
        "position": position,
        "behind": behind,
        "body_ref": body_ref,
    }
    return Parcel.model_construct(**(_DEFAULTS | given))
