"""The types of a wire format: a call on its way up, an answer on its way back, and the adapter between them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.parcel.plan import Candidate
from crossdock_schemas.tokens import Tokens


class UnreadableLineError(ValueError):
    """The line is not `{"custom_id": str, "body": object, ...}`. Another program than Crossdock wrote it."""


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """A line as it goes to the provider."""

    custom_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """A complete and sound answer."""

    body: bytes
    """One line of JSON, in OpenAI's shape."""
    tokens: Tokens | None
    """None where the provider reports no usage."""
    output_chars: int
    provider_cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class BrokenAnswer:
    """A 200 without a sound answer."""

    outcome: CallOutcome
    code: str


class ProviderError(NamedTuple):
    """The error in a response that is not a 2xx; empty where the body has no such field."""

    code: str
    kind: str
    message: str


class Adapter(Protocol):
    """One wire format: a module of this package, listed in `registry`. Pure."""

    def url(self, base_url: str, operation: str, model: str) -> str:
        """Return the address of calls. `model` is the provider's name of the model."""

    def make_call(self, line: bytes, candidate: Candidate) -> ProviderCall:
        """Return the call for an input line. It is not streamed, and its output is never longer than its hold covers.

        Raises:
            UnreadableLineError: if the line has another form.
        """

    def read_answer(self, operation: str, content: bytes) -> ProviderAnswer | BrokenAnswer:
        """Read the body of a 200. It returns for every input."""

    def read_error(self, content: bytes) -> ProviderError:
        """Read the body of an error. It returns for every input."""

    def error_envelope(self, content: bytes) -> bytes | None:
        """Return the body of an error in OpenAI's envelope, as one line; None where it has no such form."""
