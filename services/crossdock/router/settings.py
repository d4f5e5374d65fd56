"""What a router needs to know."""

from pydantic import Field

from crossdock.kernel.process.settings import Settings


class RouterSettings(Settings):
    """CROSSDOCK_ROUTER_*."""

    data_dir: str = ""
    """Where faust may keep its files; a temporary folder when empty."""
    sick_error_rate: float = Field(default=0.5, gt=0, le=1)
    """An endpoint that fails more often than this goes to the end of every plan."""
