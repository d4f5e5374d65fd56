"""The door to RSA: private keys of service accounts, and signatures."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr


def read_rsa(pem: SecretStr) -> RSAPrivateKey:
    """Return a private key.

    Raises:
        ValueError: if it is not an unencrypted RSA key in PEM. The message does not contain it.
    """
    try:
        key = load_pem_private_key(pem.get_secret_value().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("expected an unencrypted private key in PEM") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("expected an RSA key")  # noqa: TRY004  # of the text, not of our types
    return key


def sign_rs256(pem: SecretStr, text: bytes) -> bytes:
    """Return the signature of `text`: RSASSA-PKCS1-v1_5 with SHA-256."""
    return read_rsa(pem).sign(text, PKCS1v15(), SHA256())
