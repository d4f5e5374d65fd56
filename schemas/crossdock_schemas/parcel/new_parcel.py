"""Makes the parcels that enter the pipeline: one place for the fields that no stage has filled in yet."""

from collections.abc import Sequence
from typing import Any

from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.parcel.result import KeyOwned
from crossdock_schemas.pricing.worst_case import Ask

_DEFAULTS: dict[str, Any] = {
    name: field.default
    for name, field in Parcel.model_fields.items()
    if not field.is_required() and field.default_factory is None
}
"""Given to `model_construct`, which would look up each one."""


def new_parcel(
    owner: KeyOwned, *, asks: Sequence[Ask], users: Sequence[str], **fields: Any
) -> Parcel:
    """Return a parcel of checked values, which are not validated again; `asks` and `users` by line."""
    by_line = {
        "input_most": tuple([ask.input for ask in asks]),
        "output_most": tuple([ask.output for ask in asks]),
        "choices": tuple([ask.choices for ask in asks]),
        "tools": tuple([ask.tools for ask in asks]) if any(ask.tools for ask in asks) else (),
        "users": tuple(users) if any(users) else (),
    }
    of_key = {"account": owner.account, "project": owner.project, "key_id": owner.key_id}
    return Parcel.model_construct(**(_DEFAULTS | of_key | by_line | fields))
