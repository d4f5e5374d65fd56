"""The plan of a parcel: the candidates for its calls, in the order in which to try them."""

from pydantic import Field

from crossdock_schemas.ids import CredentialId
from crossdock_schemas.message import Message
from crossdock_schemas.pricing.prices import Prices


class Candidate(Message):
    """An endpoint in a plan, with the prices for its calls."""

    provider: str
    model: str
    upstream_model: str
    prices: Prices
    reason: str
    output_limit: int | None = None
    """Output tokens at most, sent to the provider if the line sets no limit."""
    max_tokens_parameter: str = "max_tokens"
    """The provider's parameter for `output_limit`."""
    input_most: int | None = None
    """Its context length: no call has more tokens of input."""
    output_most: int | None = None
    """Output tokens of an answer that are held for at most, if the line sets no limit."""
    credential_id: CredentialId | None = None
    """The BYOK key for its calls; None: the installation key."""
    credential_version: int | None = None
    """The lowest version of the secret of the BYOK key that may be used."""


class Plan(Message):
    """The candidates in their order; never empty."""

    candidates: tuple[Candidate, ...] = Field(min_length=1)
    strategy: str = "balanced"
