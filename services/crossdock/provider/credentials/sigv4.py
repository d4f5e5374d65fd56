"""Signature Version 4 of AWS, for a POST with a JSON body. Pure.

Why not a library: botocore brings 14 MB of service models, and the small libraries are not maintained. Checked against
the test suite of AWS and a signature of botocore.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from crossdock.kernel.requests.provider_keys import AwsKey

Header = tuple[str, str]
ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "bedrock"


def sign(  # noqa: PLR0917  # the parts of a request
    key: AwsKey,
    method: str,
    url: str,
    headers: Iterable[Header],
    body: bytes,
    now_s: float,
    service: str = SERVICE,
) -> list[Header]:
    """Return the headers that sign a request with `headers`: date, session token, signature."""
    at = datetime.fromtimestamp(now_s, UTC)
    stamp, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    parts = urlsplit(url)
    token = key.session_token
    more = [("x-amz-date", stamp)]
    more += [] if token is None else [("x-amz-security-token", token.get_secret_value())]
    signed = sorted(
        {
            name.lower(): value.strip() for name, value in (("host", parts.netloc), *headers, *more)
        }.items()
    )
    names = ";".join(name for name, _ in signed)
    canonical = "\n".join(
        (
            method,
            quote(parts.path or "/", safe="/-_.~"),
            _query(parts.query),
            *(f"{name}:{value}" for name, value in signed),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{day}/{key.region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join((ALGORITHM, stamp, scope, digest))
    signature = _hmac(_signing_key(key, day, service), text).hex()
    credential = f"{key.access_key_id}/{scope}"
    authorization = (
        f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    )
    return [*more, ("authorization", authorization)]


def _query(query: str) -> str:
    """Return a query with its parameters sorted."""
    return "&".join(sorted(one if "=" in one else f"{one}=" for one in query.split("&") if one))


def _signing_key(key: AwsKey, day: str, service: str) -> bytes:
    found = f"AWS4{key.secret_access_key.get_secret_value()}".encode()
    for part in (day, key.region, service, "aws4_request"):
        found = _hmac(found, part)
    return found


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
