"""The settings of ingress."""

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from crossdock.ingress.values.types import Networks
from crossdock.kernel.drivers.master_keys import MasterKeySettings
from crossdock.kernel.process.settings import MAX_S

KIB = 1024
MIB = 1024**2
GIB = 1024**3


def _networks(given: object) -> object:
    """Return the parts of a comma-separated text."""
    return given.replace(" ", "").split(",") if isinstance(given, str) else given


class IngressSettings(MasterKeySettings):
    """CROSSDOCK_INGRESS_*."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    key_secret: SecretStr = Field(min_length=32)
    """The installation's secret, the same for every ingress: it proves that an API key is authentic."""
    max_file_bytes: int = Field(default=2 * GIB, ge=1)
    """Bytes of one uploaded file (OpenAI: 512 MB)."""
    max_body_bytes: int = Field(default=32 * MIB, ge=1)
    """Bytes of the body of one single request."""
    max_held_bytes: int = Field(default=512 * MIB, ge=1)
    """Bodies in memory at once, over all callers; above it the answer is a 429."""
    max_held_bytes_per_organization: int = Field(default=128 * MIB, ge=1)
    """The part of one organization."""
    max_waiting: int = Field(default=2000, ge=1)
    """Single requests that wait for their answer at once."""
    max_waiting_per_organization: int = Field(default=1500, ge=1)
    """The part of one organization."""
    max_stored_bytes_per_organization: int = Field(default=100 * GIB, ge=1)
    """Bytes of the files of one organization, with the outputs of its batches and its open uploads; then a 413."""
    max_files_per_organization: int = Field(default=100_000, ge=1)
    """Files and open uploads of one organization, without the outputs of its batches; then a 413."""
    max_header_bytes: int = Field(default=32 * KIB, ge=1 * KIB)
    """Bytes of a request line and all headers; above it the answer is a 431."""
    max_headers: int = Field(default=100, ge=1)
    """Headers of one request; above it the answer is a 431."""
    max_url_bytes: int = Field(default=8 * KIB, ge=1)
    """Bytes of a URL with its query; above it the answer is a 414."""
    header_timeout_s: float = Field(default=10.0, gt=0)
    """A client completes its headers within this time, in seconds; else the answer is a 408."""
    body_timeout_s: float = Field(default=30.0, gt=0)
    """Longest pause between bytes of a body, in seconds; else the answer is a 408."""
    write_timeout_s: float = Field(default=30.0, gt=0)
    """A client that takes no byte of its answer for this long is cut off, in seconds."""
    min_bytes_per_s: int = Field(default=500, ge=1)
    """A client that sends or takes fewer bytes a second on average, after the time for a pause, is cut off."""
    keep_alive_s: float = Field(default=75.0, gt=0)
    """A connection without a request is closed after this time, in seconds."""
    max_connections: int = Field(default=4096, ge=1)
    """Connections at once. Above it, the one that waits longest for a request is closed; if none waits, the newest."""
    max_connections_per_address: int = Field(default=2048, ge=1)
    """Connections from one address; trusted proxies have no such limit."""
    max_unsent_bytes: int = Field(default=128 * MIB, ge=1)
    """Bytes of answers that wait for slow readers; above it the slowest reader is cut off."""
    request_timeout_s: float = Field(default=600.0, gt=0, le=MAX_S)
    """A single request ends this long after it came, in seconds."""
    publish_timeout_s: float = Field(default=5.0, gt=0, le=MAX_S)
    """Kafka must have acknowledged a record by then; else the caller gets a 503."""
    ring_count: int = Field(default=20_000, ge=1)
    """Recent single answers held in memory at most."""
    ring_bytes: int = Field(default=64 * MIB, ge=1)
    """Bytes of them at most."""
    trusted_proxies: Annotated[Networks, BeforeValidator(_networks)] = ()
    """Addresses and networks of the proxies in front, comma-separated. The client's address is the last one in
    `X-Forwarded-For` that is not among them. Empty: the header is ignored."""
    stripe_test_mode: bool = False
    """True: payments of Stripe's test mode (`livemode` false) are credited, too."""
    stripe_webhook_secret: SecretStr = SecretStr("")
    """Stripe's signing secret (whsec_...) of the endpoint /v1/webhooks/stripe; none: there is no such endpoint."""
