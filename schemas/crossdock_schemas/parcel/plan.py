"""The plan of a parcel: the candidates for its calls, in the order in which to try them."""

from pydantic import Field

from crossdock_schemas.ids import CredentialId
from crossdock_schemas.message import Message
from crossdock_schemas.pricing.prices import Prices


class Candidate(Message):
    """One endpoint of a plan, with the price at which its calls will be booked."""

    provider: str
    model: str
    upstream_model: str
    prices: Prices
    reason: str
    output_limit: int | None = None
    """Tokens of an answer at most, to be told to the provider where the line sets no limit."""
    max_tokens_parameter: str = "max_tokens"
    """How to tell it."""
    credential_id: CredentialId | None = None
    """The own provider key that its calls are made with; None: the installation's."""
    credential_version: int | None = None
    """At least of this version must that key's secret be."""


class Plan(Message):
    """The candidates in the order in which to try them; never empty."""

    candidates: tuple[Candidate, ...] = Field(min_length=1)
    strategy: str = "balanced"
