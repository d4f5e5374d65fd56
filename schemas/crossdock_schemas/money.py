"""Money: exact in whole units, and in words. Pure."""

from decimal import Decimal

Units = int
"""1e-12 USD: exact for every price and cost. State counts in units; messages and prices are Decimal."""
_PLACES = 12


def to_units(amount_usd: Decimal) -> Units:
    return int(amount_usd.scaleb(_PLACES))


def to_usd(units: Units) -> Decimal:
    """Return USD, without zeros at the end."""
    whole, part = divmod(units, 10**_PLACES)
    return Decimal(units).scaleb(-_PLACES).normalize() if part else Decimal(whole)


def usd_text(amount: Decimal) -> str:
    """Return an amount of USD; no digit is left out but the zeros at its end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
