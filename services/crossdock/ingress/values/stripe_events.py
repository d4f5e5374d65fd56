"""Events of payment providers: read only if their signature is right. Pure.

Another provider is another function that returns a `Payment`. Without one, the operator books payments by hand:
POST /v1/organizations/{id}/credits.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from crossdock.ingress.values import errors
from crossdock.ingress.values.checks import Json
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.validation import parse_object
from crossdock_schemas.accounts.credit import CENT, MAX_REFERENCE
from crossdock_schemas.ids import AccountId

TOLERANCE_S = 300  # Stripe's own libraries' default: a retry is signed again and has a new time
MAX_CENTS = 10**12
CURRENCY = "usd"
PAID = frozenset({"checkout.session.completed", "checkout.session.async_payment_succeeded"})
"""A slow payment, such as a debit, completes its session unpaid and succeeds days later; both name the session, so it
counts once. `payment_intent.succeeded` names the same money in another way and is ignored."""
_TIME = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment for an organization."""

    account: AccountId
    paid_usd: Decimal
    reference: str
    """The provider's; the same in each repetition of the event."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """The event is not a payment."""


class ForgedError(RefusedError):
    """The signature is wrong, or too old."""

    code = "forged"

    def __init__(self, message: str) -> None:
        super().__init__(400, message, param="stripe-signature", reason="invalid_signature")


def read_stripe_event(
    raw: bytes, header: str, secret: str, now_s: int, *, takes_tests: bool = False
) -> Payment | Ignored:
    """Return the payment of Stripe's event `raw`; `header` is its `Stripe-Signature`.

    Raises:
        ForgedError: if it is not signed with `secret`, or more than TOLERANCE_S away from `now_s`.
        RefusedError: if a payment cannot be booked as it is, or is one of Stripe's test mode and not `takes_tests`.
    """
    _check_signature(raw, header, secret, now_s)
    event = parse_object(raw)
    if event.get("type") not in PAID:
        return Ignored()
    session = _object(_object(event, "data"), "data.object")
    if session.get("payment_status") != "paid":
        return Ignored()
    if not takes_tests:
        _check_live("livemode", event)
        _check_live("data.object.livemode", session)
    return Payment(_account_of(session), _paid_usd(session), _reference_of(session))


def _check_signature(raw: bytes, header: str, secret: str, now_s: int) -> None:
    """Any of several signatures will do: while a secret is rolled, Stripe signs with the old one too."""
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    signatures = [value for name, _, value in parts if name == "v1"]
    if len(times) != 1 or not _TIME.fullmatch(times[0]) or not signatures:
        raise ForgedError("The header Stripe-Signature is not `t=TIME,v1=SIGNATURE`.")
    signed = f"{times[0]}.".encode() + raw
    wanted = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
    # why as bytes: compare_digest raises on a text that is not ASCII
    if not any(hmac.compare_digest(wanted, one.encode()) for one in signatures):
        raise ForgedError("No signature is that of this body with the webhook's secret.")
    if abs(now_s - int(times[0])) > TOLERANCE_S:
        raise ForgedError(f"The event was signed more than {TOLERANCE_S} s ago, or ahead of time.")


def _check_live(name: str, found: Json) -> None:
    """Refuse a payment of the test mode. Stripe always sends the field."""
    is_live = found.get("livemode", True)
    if is_live is not True:
        rule = "Payments of the test mode are not credited: see CROSSDOCK_INGRESS_STRIPE_TEST_MODE."
        raise errors.wrong_value(name, is_live, rule)


def _object(parent: Json, name: str) -> Json:
    found = parent.get(name.rpartition(".")[2])
    if not isinstance(found, dict):
        raise errors.wrong_type(name, "an object", found)
    return found


def _account_of(session: Json) -> AccountId:
    metadata = session.get("metadata")
    name = "data.object.metadata.organization_id"
    account = metadata.get("organization_id") if isinstance(metadata, dict) else None
    if account is None:
        raise errors.missing(name)
    return AccountId(_text(account, name))


def _paid_usd(session: Json) -> Decimal:
    currency, cents = session.get("currency"), session.get("amount_total")
    if currency != CURRENCY:
        raise errors.wrong_value("data.object.currency", currency, f"Expected {CURRENCY!r}.")
    if type(cents) is not int:
        raise errors.wrong_type("data.object.amount_total", "an integer", cents)
    if not 0 < cents <= MAX_CENTS:
        rule = f"Expected cents, from 1 to {MAX_CENTS}."
        raise errors.wrong_value("data.object.amount_total", cents, rule)
    return cents * CENT


def _reference_of(session: Json) -> str:
    return f"stripe {_text(session.get('id'), 'data.object.id')}"


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise errors.wrong_type(name, "a string", value)
    longest = MAX_REFERENCE - len("stripe ")
    if not 1 <= len(value) <= longest:
        raise errors.wrong_value(name, value[:longest], f"Expected 1 to {longest} characters.")
    return value
