"""The health of an endpoint, as one provider worker sees it."""

from crossdock_schemas.ids import CredentialId
from crossdock_schemas.message import Message


class EndpointHealth(Message):
    """A decaying view (half-life 30 s). Approximate by design: routers use it to exclude, never to bill."""

    endpoint: str
    """provider/model."""
    worker: str
    error_rate: float
    """Share of calls that failed by the provider's fault, 0 to 1."""
    latency_ms: float
    calls: int
    """Number of calls behind these figures, decayed."""
    closed_until_ms: int = 0
    """The provider asked (Retry-After) for no call before this time; 0: it did not."""
    credential_id: CredentialId | None = None
    """The BYOK key of the calls; None: the installation key."""
    at_ms: int

    @property
    def name(self) -> str:
        return health_name(self.endpoint, self.credential_id)


def health_name(endpoint: str, credential_id: CredentialId | None) -> str:
    """Return the name of a health: each BYOK key has its own limits."""
    return endpoint if credential_id is None else f"{endpoint}@{credential_id}"
