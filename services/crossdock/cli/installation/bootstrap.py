"""crossdock bootstrap: the first secrets of a production installation."""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from crossdock.kernel.process.clock import SystemClock
from crossdock.kernel.process.errors import ProcessError
from crossdock.kernel.requests.api_keys import digest, make_plain_key
from crossdock_schemas.ids import OPERATOR

SECRET_BYTES = 32
PASSWORD_BYTES = 24
OWNER_ONLY = 0o600


def bootstrap(
    file: Annotated[
        Path, typer.Option(help="The file to write; it must not exist.", metavar="FILE")
    ] = Path(".env"),
) -> None:
    """Make the keys and secrets of a production installation.

    They are written to an environment file: the first owner's key, the first API key, and the stages' secrets.
    `docker compose up` reads the file beside compose.yaml. Without Compose, give each variable to the stages that
    infra/docs/configuration.md names. The two keys are for you: the stages need only their SHA-256.
    """
    lines = [f"{name}={value}\n" for name, value in make_secrets().items()]
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError:
        raise ProcessError(f"{file} exists: pass another --file, its keys would be lost") from None
    except OSError as error:
        raise ProcessError(f"cannot write {file}: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as output:
        output.writelines(lines)
    sys.stderr.write(
        f"{file} has the owner's key (CROSSDOCK_MANAGEMENT_KEY), an API key (OPENAI_API_KEY) and the stages' secrets: "
        "store it in a safe place\n"
    )


def make_secrets() -> Mapping[str, str]:
    """Return new secrets, by variable."""
    key_secret = secrets.token_hex(SECRET_BYTES)
    now_ms = SystemClock().now_ms()
    owner, app = (make_plain_key(OPERATOR, key_secret, now_ms) for _ in range(2))
    return {
        "CROSSDOCK_MANAGEMENT_KEY": owner,
        "OPENAI_API_KEY": app,
        "CROSSDOCK_OWNER_KEY_SHA256": digest(owner),
        "CROSSDOCK_API_KEY_SHA256": digest(app),
        "CROSSDOCK_INGRESS_KEY_SECRET": key_secret,
        "CROSSDOCK_MASTER_KEY": secrets.token_hex(SECRET_BYTES),
        "KAFKA_PASSWORD": secrets.token_hex(PASSWORD_BYTES),
        "CLICKHOUSE_PASSWORD": secrets.token_hex(PASSWORD_BYTES),
        "AWS_ACCESS_KEY_ID": "crossdock",
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(PASSWORD_BYTES),
    }
