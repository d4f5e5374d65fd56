"""A service account's key file, made on the spot."""

from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key: Any) -> str:
    raw: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return raw.decode()


def service_account(**fields: Any) -> dict[str, Any]:
    values = {
        "type": "service_account",
        "project_id": "acme-prod-1",
        "private_key_id": "0123456789abcdef",
        "private_key": pem_of(rsa_key()),
        "client_email": "dock@acme-prod-1.iam.gserviceaccount.com",
        "client_id": "42",
        "token_uri": "https://nobody.example/token",
    }
    return values | fields
