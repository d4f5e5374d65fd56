"""Signatures against AWS's own test suite, and against botocore's."""

from typing import Any

import pytest

from crossdock.kernel.requests.provider_keys import AwsKey
from crossdock.provider.credentials.sigv4 import sign

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # AWS's own example
SUITE_S = 1_440_938_160.0  # 2015-08-30T12:36:00Z
VECTOR_S = 1_767_323_045.0  # 2026-01-02T03:04:05Z
SUITE = "https://example.amazonaws.com"


def make_key(region: str = "us-east-1", **fields: Any) -> AwsKey:
    """Return AWS's example key; its id is shorter than real ones are."""
    values = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": SECRET, "region": region}
    key = AwsKey.model_validate({"accessKeyId": "A" * 16, "secretAccessKey": SECRET, "region": region} | fields)  # fmt: skip
    return key.model_copy(update={"access_key_id": values["access_key_id"]})


def signature_of(headers: list[tuple[str, str]]) -> str:
    return dict(headers)["authorization"].rpartition("Signature=")[2]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [
        (
            "GET", "/", [], b"",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "GET", "/?Param2=value2&Param1=value1", [], b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "POST", "/", [], b"",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "POST", "/", [("content-type", "application/x-www-form-urlencoded")], b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
    ids=["get-vanilla", "get-vanilla-query-order-key-case", "post-vanilla", "post-x-www-form-urlencoded"],
)  # fmt: skip
def test_amazons_own_suite(
    method: str, path: str, headers: list[tuple[str, str]], body: bytes, signature: str
) -> None:
    found = sign(make_key(), method, SUITE + path, headers, body, SUITE_S, "service")

    assert signature_of(found) == signature


def test_a_path_that_is_encoded_already_is_encoded_again() -> None:
    """As botocore does; the vector is in the providers reference."""
    url = (
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse"
    )
    headers = [("accept", "application/json"), ("content-type", "application/json")]
    body = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'

    found = sign(make_key(), "POST", url, headers, body, VECTOR_S)

    assert signature_of(found) == "e67e67c8b368ba3e3a80d6b6b4d536473518acb940d828b14082201829a7198d"


@pytest.mark.parametrize(
    ("token", "signature"),
    [
        (None, "88b24106712bd1b0502834778e12570953d5acb8a704f3fde6e9e3849a315ccb"),
        ("the-session-token-of-a-role", "f5e052c5edd544b9f4cf839f831db626e77ea0376580064dcac29a374dc2c508"),
    ],
)  # fmt: skip
def test_a_call_of_bedrocks_openai_face_is_signed_as_botocore_signs_it(
    token: str | None, signature: str
) -> None:
    key = make_key("eu-central-1", sessionToken=token)
    key = key.model_copy(update={"access_key_id": "AKIDEXAMPLEAKIDEXAMP"})
    url = "https://bedrock-runtime.eu-central-1.amazonaws.com/openai/v1/chat/completions"
    body = b'{"model":"openai.gpt-oss-20b-1:0","messages":[]}'

    found = dict(sign(key, "POST", url, [("content-type", "application/json")], body, VECTOR_S))

    assert signature_of([*found.items()]) == signature
    assert found["x-amz-date"] == "20260102T030405Z"
    assert found.get("x-amz-security-token") == token
