"""Settings of the accounts stage."""

from decimal import Decimal

from pydantic import Field

from crossdock.kernel.process.settings import Settings


class AccountsSettings(Settings):
    """CROSSDOCK_ACCOUNTS_*."""

    fee_percent: Decimal = Field(default=Decimal(0), ge=0, le=100, decimal_places=6)
    """Fee on each top-up of credits, charged on top."""
    fee_minimum_usd: Decimal = Field(default=Decimal(0), ge=0, max_digits=20, decimal_places=6)
    """The least fee, USD."""
    low_balance_usd: Decimal = Field(default=Decimal(10), ge=0, max_digits=20, decimal_places=6)
    """An alert reports credits below this amount."""
    expiry_notice_days: int = Field(default=7, ge=0, le=36_500)
    """How long before credits expire an alert reports it."""
