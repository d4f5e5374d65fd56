"""What the metering sink needs to know."""

from pydantic import Field

from crossdock.kernel.process.settings import Settings


class MeteringSettings(Settings):
    """CROSSDOCK_METERING_*."""

    max_rows: int = Field(default=10_000, ge=1)
    """Rows of one insert at most."""
    max_bytes: int = Field(default=16_777_216, ge=1)
    """Bytes of the records behind one insert at most."""
    max_age_s: float = Field(default=1.0, gt=0)
    """A row waits this long for company, in seconds: what analysts see is that old."""
