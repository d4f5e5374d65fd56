"""Money in words. Pure."""

from decimal import Decimal


def usd_text(amount: Decimal) -> str:
    """Return an amount of USD; no digit is left out but the zeros at its end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
