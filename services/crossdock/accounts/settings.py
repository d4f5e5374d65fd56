"""What the accounts shard needs to know."""

from decimal import Decimal

from pydantic import Field

from crossdock.kernel.process.settings import Settings


class AccountsSettings(Settings):
    """CROSSDOCK_ACCOUNTS_*."""

    fee_percent: Decimal = Field(default=Decimal(0), ge=0, le=100)
    """Of each top-up of credits, charged on top."""
    fee_minimum_usd: Decimal = Field(default=Decimal(0), ge=0)
    """Of that fee, USD."""
    low_balance_usd: Decimal = Field(default=Decimal(10), ge=0)
    """Credits below it are low: an alert tells so."""
    expiry_notice_days: int = Field(default=7, ge=0)
    """So long before credits expire an alert tells so."""
