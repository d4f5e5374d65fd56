"""Settings of the metering sink."""

from pydantic import Field

from crossdock.kernel.process.settings import Settings


class MeteringSettings(Settings):
    """CROSSDOCK_METERING_*."""

    max_rows: int = Field(default=10_000, ge=1)
    """Rows of an insert at most."""
    max_bytes: int = Field(default=16_777_216, ge=1)
    """Bytes of the records of an insert at most."""
    max_age_s: float = Field(default=1.0, gt=0)
    """Rows are collected for this long before an insert, in seconds; queries see them that late."""
