"""No secret is shown, however somebody else writes it; all other bytes stay as they are."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.process.masking import (
    HIDDEN,
    MIN_SECRET,
    SecretMask,
    secrets_of_environment,
    secrets_of_url,
)

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
SECRETS = st.text(VISIBLE, min_size=MIN_SECRET, max_size=200)
KEYS = st.from_regex(r"sk-[A-Za-z0-9_\-]{24,80}", fullmatch=True)
AROUND = st.binary(max_size=40)


def percent(secret: str) -> str:
    return "".join(f"%{ord(char):02x}" for char in secret)


def as_json_codes(secret: str) -> str:
    return "".join(f"\\u{ord(char):04X}" for char in secret)


def as_html_codes(secret: str) -> str:
    return "".join(f"&#x{ord(char):x};" for char in secret)


WRITINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in JSON with slashes": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "in an address": lambda secret: quote(secret, safe=""),
    "in percent codes": percent,
    "in JSON's codes": as_json_codes,
    "in HTML's codes": as_html_codes,
    "in base64": lambda secret: b64encode(secret.encode()).decode(),
    "as a header in base64": lambda secret: b64encode(f"Bearer {secret}".encode()).decode(),
    "as a user in base64": lambda secret: b64encode(f"me:{secret}".encode()).decode(),
    "in base64 of addresses": lambda secret: urlsafe_b64encode(f"x{secret}".encode()).decode(),
    "in hex": lambda secret: secret.encode().hex(),
}


@pytest.mark.parametrize("writing", WRITINGS)
@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_a_secret_is_hidden_however_it_is_written(
    writing: str, secret: str, before: bytes, after: bytes
) -> None:
    written = WRITINGS[writing](secret).encode()

    said = SecretMask([secret]).clean(before + b"\n" + written + b"\n" + after)

    assert HIDDEN in said
    core = written[3:-5]  # in base64 the ends belong to the neighbours too
    assert len(core) < MIN_SECRET or core not in said


@given(KEYS, st.data())
def test_a_part_of_a_key_is_hidden(key: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(key) - 23))
    part = key[start : start + data.draw(st.integers(23, len(key) - start))]

    said = SecretMask([key]).clean(f"<{part}>".encode())

    assert said == b"<" + HIDDEN + b">"


@given(KEYS, st.text('abcdefghij 0123456789{}[]",:%\\u/&#;\n', max_size=300))
def test_all_other_bytes_stay(key: str, text: str) -> None:
    mask, content = SecretMask([key]), text.encode()

    assert mask.clean(content) is content
    assert mask.clean(content + key.encode() + content) == content + HIDDEN + content


@given(st.lists(KEYS, min_size=1, max_size=6), st.data())
def test_each_of_many_secrets_is_hidden(keys: list[str], data: st.DataObject) -> None:
    shown = data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=6))

    said = SecretMask(keys).clean(" ".join(shown).encode())

    assert said == b" ".join([HIDDEN] * len(shown))


@pytest.mark.parametrize(
    "text", ["keys begin with sk-proj- and sk-ant-api03-", "100 %, 50 %%, %20%20%20", '"\\u00e9"']
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    mask = SecretMask(["sk-proj-0123456789abcdefghij", "sk-ant-api03-0123456789abcdef"])

    assert mask.clean_text(text) is text


def test_a_mask_without_secrets_does_nothing() -> None:
    assert SecretMask(["short", ""]).clean(b"short") == b"short"


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://me:pass%2Fword@x.test/v1", ["pass%2Fword", "pass/word"]),
        ("https://x.test/v1?key=01234567&api-version=2024-10-21", ["01234567"]),
        ("https://x.test/v1?v=0123456789abcdef0123456789", ["0123456789abcdef0123456789"]),
        ("http://crossdock:crossdock@127.0.0.1:8123", []),
        ("https://{host}/openai/v1", []),
    ],
)
def test_secrets_of_addresses(url: str, secrets: list[str]) -> None:
    assert list(dict.fromkeys(secrets_of_url(url))) == secrets


def test_secrets_of_a_process() -> None:
    environ = {
        "CROSSDOCK_MASTER_KEY": "aaaaaaaa,bbbbbbbb",
        "CROSSDOCK_MASTER_KEY_FILE": "/run/secrets/key",
        "CROSSDOCK_INGRESS_KEY_SECRET": "cccccccc",
        "CROSSDOCK_INGRESS_STRIPE_WEBHOOK_SECRET": "dddddddd",
        "CLICKHOUSE_URL": "http://reader:eeeeeeee@table.test:8123",
        "KAFKA_SASL_PASSWORD": "ffffffff",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "PGPASSWORD": "gggggggg",
        "PROXY_AUTH": "hhhhhhhh",
        "GIT_AUTHOR_NAME": "somebody",
        "KEYBOARD": "us-international",
        "HOME": "/home/me",
    }

    found = set(secrets_of_environment(environ))

    assert found == {letter * 8 for letter in "abcdefgh"}


def test_a_secret_with_other_letters_is_found_too() -> None:
    secret = "schl\u00fcssel-\u00e4\u00f6\u00fc-0123456789abcdef"

    assert SecretMask([secret]).clean(f"<{secret}>".encode()) == b"<" + HIDDEN + b">"


def test_a_variable_that_is_no_address_has_no_secret() -> None:
    assert list(secrets_of_environment({"A": "http://[::1", "B": "x"})) == []
