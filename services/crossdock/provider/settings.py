"""Settings of a provider worker."""

from pydantic import Field

from crossdock.kernel.drivers.master_keys import MasterKeySettings


class ProviderSettings(MasterKeySettings):
    """CROSSDOCK_PROVIDER_*."""

    drain_s: float = Field(default=120.0, gt=0)
    """An orderly stop waits this long for running calls, in seconds; other workers take its partitions meanwhile."""
    capacity: int = Field(default=640, ge=1)
    """Lines in flight at once."""
    only: str = ""
    """Names of the providers to serve, comma-separated; empty serves all of the catalogue."""
    flush_ms: int = Field(default=30, ge=1)
    """Results of the batch lane are collected for this long, in milliseconds."""
