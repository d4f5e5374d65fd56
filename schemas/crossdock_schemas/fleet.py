"""How an endpoint fares, as one provider worker sees it."""

from crossdock_schemas.message import Message


class EndpointHealth(Message):
    """A decaying view (half-life 30 s). Approximate by design: routers use it to exclude, never to bill."""

    endpoint: str
    """provider/model."""
    worker: str
    error_rate: float
    """0 to 1, of calls that the provider is to blame for."""
    latency_ms: float
    calls: int
    """Calls behind these figures, decayed."""
    closed_until_ms: int = 0
    """The provider asked (Retry-After) not to be called before; 0 if it did not."""
    at_ms: int
