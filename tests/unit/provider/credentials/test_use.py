"""A provider's key in use: where it calls, what goes along, what is hidden."""

import json

import pytest

from crossdock.kernel.process.masking import HIDDEN
from crossdock.kernel.requests.provider_keys import read_provider_key
from crossdock.provider.adapters import openai
from crossdock.provider.credentials.use import CallKey
from crossdock_schemas.pricing.catalogue import Provider
from support.google import service_account
from unit.kernel.requests.test_provider_keys import AWS, AZURE

CHAT = "/v1/chat/completions"
BODY = b'{"model":"gpt","messages":[]}'
ADDRESSES = {
    "azure": "https://{host}/openai/v1",
    "aws": "https://bedrock-runtime.{region}.amazonaws.com/openai/v1",
    "google": "https://{region_prefix}aiplatform.googleapis.com/v1/projects/{project}/locations/{region}/endpoints/openapi",
}


def provider(auth: str) -> Provider:
    return Provider.model_validate(
        {"name": auth, "auth": auth, "base_url": ADDRESSES[auth], "models": []}
    )


def test_azure_is_called_at_its_resource_with_its_own_header() -> None:
    key = CallKey(read_provider_key("azure", AZURE))

    url = openai.url(key.base_url(provider("azure")), CHAT, "gpt-5")
    assert url == "https://acme-eu.openai.azure.com/openai/v1/chat/completions"
    assert key.headers(url, BODY, 0) == [("api-key", AZURE["api_key"])]


def test_azures_deployments_stand_in_the_place_of_models() -> None:
    given = AZURE | {"deployments": {"gpt-5": "our-gpt"}}
    key = CallKey(read_provider_key("azure", given))

    assert json.loads(key.body(BODY, "gpt-5")) == {"model": "our-gpt", "messages": []}
    assert key.body(BODY, "gpt-6") == BODY


def test_bedrock_is_called_in_the_keys_region_and_signed() -> None:
    key = CallKey(read_provider_key("aws", AWS))
    url = openai.url(key.base_url(provider("aws")), CHAT, "gpt-oss")

    headers = dict(key.headers(url, BODY, 1_767_323_045.0))

    assert url == "https://bedrock-runtime.eu-central-1.amazonaws.com/openai/v1/chat/completions"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLEAKIDEXAMP/20260102/eu-central-1/bedrock/")  # fmt: skip
    assert "content-type;host;x-amz-date" in headers["authorization"]


def test_bedrocks_api_key_is_sent_as_it_is() -> None:
    key = CallKey(read_provider_key("aws", {"api_key": "bedrock-0123456", "region": "us-east-1"}))

    assert key.headers("", BODY, 0) == [("authorization", "Bearer bedrock-0123456")]


def test_vertex_is_called_with_a_token() -> None:
    key = CallKey(read_provider_key("google", service_account()), "ya29.token-0123456789")

    assert key.base_url(provider("google")).startswith("https://aiplatform.googleapis.com/v1/projects/acme-prod-1/locations/global/")  # fmt: skip
    assert key.headers("", BODY, 0) == [("authorization", "Bearer ya29.token-0123456789")]
    with pytest.raises(TypeError):
        CallKey(key.key).headers("", BODY, 0)


def test_no_part_of_a_key_is_quoted() -> None:
    google = CallKey(read_provider_key("google", service_account()), "ya29.token-0123456789")
    pem = service_account()["private_key"]
    quoted = json.dumps({"key": pem, "token": google.token}).encode()

    said = google.mask.clean(quoted)

    assert said.count(HIDDEN) == 2
    assert pem.split("\n")[2].encode() not in said
    assert b"ya29" not in said
    line = pem.split("\n")[2].encode()
    assert google.mask.clean(b"line " + line) == b"line " + HIDDEN
    assert google.mask.clean(b"nothing of it") == b"nothing of it"
