"""How an endpoint fares, as one provider worker sees it."""

from crossdock_schemas.ids import CredentialId
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
    credential_id: CredentialId | None = None
    """Of calls with this own provider key; None: with the installation's."""
    at_ms: int

    @property
    def name(self) -> str:
        return health_name(self.endpoint, self.credential_id)


def health_name(endpoint: str, credential_id: CredentialId | None) -> str:
    """Return whose health it is: one customer's limits are no other's, and not the installation's."""
    return endpoint if credential_id is None else f"{endpoint}@{credential_id}"
