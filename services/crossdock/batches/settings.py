"""Settings of the batches stage."""

from pydantic import Field

from crossdock.kernel.process.settings import Settings
from crossdock_schemas.parcel.parcel import MAX_LINES

GIB = 1024**3


class BatchesSettings(Settings):
    """CROSSDOCK_BATCHES_*. Limits are above OpenAI's (50,000 lines, 200 MB) on purpose."""

    max_lines: int = Field(default=2_000_000, ge=1)
    """Lines of one input file (OpenAI: 50,000)."""
    max_file_bytes: int = Field(default=2 * GIB, ge=1)
    """Bytes of one input file (OpenAI: 200 MB)."""
    max_line_bytes: int = Field(default=16 * 1024**2, ge=1)
    """Bytes of one line."""
    parcel_lines: int = Field(default=20, ge=1, le=MAX_LINES)
    """Lines that travel together."""
    window_lines: int = Field(default=4096, ge=1)
    """Lines of one batch and model that are on their way at the same time."""
