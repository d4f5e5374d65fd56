"""Settings of the simulator."""

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
    """Latency of an answer, in milliseconds."""
    ledger: Path | None = None
    """File for the calls, so that the ledger survives a kill -9."""
