"""What the simulator needs to know."""

from pathlib import Path

from pydantic import Field

from crossdock.kernel.process.settings import Settings


class SimulatorSettings(Settings):
    """CROSSDOCK_SIMULATOR_*."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=0, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    seed: int = 1
    """The same seed gives the same answers, waits and faults."""
    latency_ms: float = Field(default=50.0, ge=0)
    """What an answer takes, in milliseconds."""
    ledger: Path | None = None
    """Calls are appended to this file, so that the ledger outlives a kill -9."""
