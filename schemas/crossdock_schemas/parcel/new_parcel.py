"""Makes the parcels that enter the pipeline: one place for the fields that no stage has filled in yet."""

from collections.abc import Sequence
from typing import Any

from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.parcel.result import KeyOwned
from crossdock_schemas.pricing.worst_case import Ask

_BLANK = Parcel.model_construct()  # type: ignore[call-arg]  # required fields are given to each copy
"""Every field at its default. A copy costs 4 us, `model_construct` 7 to 15."""


def new_parcel(
    owner: KeyOwned, *, asks: Sequence[Ask], users: Sequence[str], **fields: Any
) -> Parcel:
    """Return a parcel of checked values, which are not validated again; `asks` and `users` by line."""
    given = {
        "account": owner.account,
        "project": owner.project,
        "key_id": owner.key_id,
        "input_most": tuple([ask.input for ask in asks]),
        "output_most": tuple([ask.output for ask in asks]),
        "choices": tuple([ask.choices for ask in asks]),
        "tools": _if_any([ask.tools for ask in asks]),
        "output_extra": _if_any([ask.extra for ask in asks]),
        "kept": _if_any([ask.kept for ask in asks]),
        "users": tuple(users) if any(users) else (),
    }
    return _BLANK.model_copy(update=given | {"tags": {}, "repeats": {}} | fields)


def _if_any(values: list[int]) -> tuple[int, ...]:
    return tuple(values) if any(values) else ()
