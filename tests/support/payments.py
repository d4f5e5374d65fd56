"""Events as Stripe sends them."""

import hashlib
import hmac
import json
from typing import Any

SECRET = "whsec_of_the_tests"


def make_event(kind: str = "checkout.session.completed", **session: Any) -> bytes:
    """Return an event about a paid session of 105.50 USD; None as a value leaves the field out."""
    values = {
        "id": "cs_test_1",
        "object": "checkout.session",
        "payment_status": "paid",
        "amount_total": 10_550,
        "currency": "usd",
        "metadata": {"organization_id": "org_local"},
    }
    kept = {name: value for name, value in (values | session).items() if value is not None}
    return json.dumps({"id": "evt_1", "type": kind, "data": {"object": kept}}).encode()


def signature(raw: bytes, now_s: int, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{now_s}.".encode() + raw, hashlib.sha256).hexdigest()


def sign(raw: bytes, now_s: int, secret: str = SECRET) -> str:
    """Return the header `Stripe-Signature`."""
    return f"t={now_s},v1={signature(raw, now_s, secret)},v0=none"
