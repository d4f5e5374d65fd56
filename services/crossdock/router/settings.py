"""Settings of a router."""

from pydantic import Field

from crossdock.kernel.process.settings import Settings


class RouterSettings(Settings):
    """CROSSDOCK_ROUTER_*."""

    data_dir: str = ""
    """Folder for the files of faust; empty: a temporary folder."""
    sick_error_rate: float = Field(default=0.5, gt=0, le=1)
    """Share of failed calls above which an endpoint goes to the end of its class in every plan."""
