"""Provider keys in their shapes: what is missing is named, and what is secret is never said."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from crossdock.kernel.requests.provider_keys import (
    MAX_BYTES,
    AwsKey,
    AzureKey,
    BearerKey,
    GoogleKey,
    KeyShapeError,
    ProviderKey,
    address_of,
    read_provider_key,
    sealed_text,
)
from crossdock_schemas.pricing.catalogue import Auth
from support.google import pem_of, rsa_key, service_account

AZURE = {"api_key": "azure-0123456789", "resource_name": "acme-eu"}
AWS = {
    "accessKeyId": "AKIDEXAMPLEAKIDEXAMP",
    "secretAccessKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "region": "eu-central-1",
}


@pytest.mark.parametrize(
    ("auth", "given", "shape", "places"),
    [
        ("bearer", "sk-0123456789", BearerKey, {}),
        ("azure", AZURE, AzureKey, {"resource": "acme-eu", "host": "acme-eu.openai.azure.com"}),
        (
            "azure",
            AZURE | {"resource_type": "ai_foundry"},
            AzureKey,
            {"resource": "acme-eu", "host": "acme-eu.services.ai.azure.com"},
        ),
        ("aws", AWS, AwsKey, {"region": "eu-central-1"}),
        ("aws", {"api_key": "bedrock-0123456", "region": "us-east-1"}, BearerKey, {"region": "us-east-1"}),
        ("aws", "bedrock-api-key-0123", BearerKey, {}),
        (
            "google",
            service_account(),
            GoogleKey,
            {"project": "acme-prod-1", "region": "global", "region_prefix": ""},
        ),
        (
            "google",
            service_account(region="us-east5"),
            GoogleKey,
            {"project": "acme-prod-1", "region": "us-east5", "region_prefix": "us-east5-"},
        ),
    ],
)  # fmt: skip
def test_a_key_is_read_from_an_object_or_its_text(
    auth: Auth, given: Any, shape: type[ProviderKey], places: dict[str, str]
) -> None:
    text = sealed_text(given).get_secret_value()

    for one in (given, text):
        key = read_provider_key(auth, one)
        assert isinstance(key, shape)
        assert key.places() == places


@pytest.mark.parametrize(
    ("auth", "given", "field"),
    [
        ("bearer", "short", ""),
        ("bearer", "with a space in it", ""),
        ("bearer", AZURE, ""),
        ("bearer", "x" * (MAX_BYTES + 1), ""),
        ("azure", "azure-0123456789", ""),
        ("azure", "{not json", ""),
        ("azure", {"api_key": "azure-0123456789"}, "resource_name"),
        ("azure", AZURE | {"api_key": "short"}, "api_key"),
        ("azure", AZURE | {"resource_name": "evil.example/x"}, "resource_name"),
        ("azure", AZURE | {"endpoint_url": "https://evil.example"}, "endpoint_url"),
        ("aws", {name: AWS[name] for name in ("accessKeyId", "secretAccessKey")}, "region"),
        ("aws", AWS | {"region": "x.evil.example/"}, "region"),
        ("aws", AWS | {"accessKeyId": "lower"}, "accessKeyId"),
        ("google", "sk-0123456789", ""),
        ("google", service_account(private_key="x" * 200), "private_key"),
        ("google", service_account(private_key=pem_of(ec.generate_private_key(ec.SECP256R1()))), "private_key"),
        ("google", service_account(type="user"), "type"),
        ("google", service_account(project_id="Evil/.."), "project_id"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_not_said(auth: Auth, given: Any, field: str) -> None:
    with pytest.raises(KeyShapeError) as caught:
        read_provider_key(auth, given)

    assert caught.value.field == field
    said = f"{caught.value} {caught.value.__cause__} {caught.value.rule}"
    secrets = [given] if isinstance(given, str) else [v for v in given.values() if len(str(v)) > 12]
    for secret in secrets:
        assert str(secret)[:40] not in said


@pytest.mark.parametrize(
    ("auth", "given", "label"),
    [
        ("bearer", "sk-0123456789-0123456789", "...6789"),
        ("bearer", "sk-01234", "..."),
        ("aws", AWS, "...XAMP"),
        ("google", service_account(), "...cdef"),
        ("google", service_account(private_key_id=None), "....com"),
    ],
)
def test_a_label_tells_keys_apart_and_no_secret(auth: Auth, given: Any, label: str) -> None:
    assert read_provider_key(auth, given).label() == label


def test_every_secret_part_is_known() -> None:
    aws = read_provider_key("aws", AWS | {"sessionToken": "a-token-of-a-session"})
    google = read_provider_key("google", service_account())
    pem = pem_of(rsa_key())

    assert aws.secrets() == (AWS["secretAccessKey"], "a-token-of-a-session")
    assert read_provider_key("azure", AZURE).secrets() == (AZURE["api_key"],)
    assert pem in google.secrets()
    assert json.dumps(pem)[1:-1] in google.secrets()
    assert pem.split("\n")[3] in google.secrets()
    for key in (aws, google):
        assert not any(secret[:20] in f"{key!r} {key}" for secret in key.secrets())


def test_a_key_fills_the_operators_address_and_chooses_no_other() -> None:
    vertex = "https://{region_prefix}aiplatform.googleapis.com/v1/projects/{project}/locations/{region}/endpoints/openapi"
    key = read_provider_key("google", service_account(region="europe-west4"))

    assert address_of(vertex, key) == (
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/acme-prod-1/locations/europe-west4/endpoints/openapi"
    )
    assert address_of("https://plain.example/v1", None) == "https://plain.example/v1"
    with pytest.raises(KeyShapeError) as caught:
        address_of("https://{region}.example", read_provider_key("aws", "bedrock-api-key-0123"))
    assert caught.value.field == "region"


def test_a_shape_of_its_own_must_say_what_is_secret() -> None:
    with pytest.raises(NotImplementedError):
        ProviderKey().secrets()
    assert ProviderKey().places() == {}


# what goes into a header


@pytest.mark.parametrize(
    "secret", ["secretAA\nx: y", "s\xe9cr\xe9tAAAA", "secret AAAA", "secretAA\r"]
)
def test_a_secret_that_fits_no_header_is_refused_and_not_quoted(secret: str) -> None:
    cases: list[tuple[Auth, Any, str]] = [
        ("azure", {"resource_name": "acme", "api_key": secret}, "api_key"),
        ("aws", AWS | {"sessionToken": secret}, "sessionToken"),
        ("aws", {"api_key": secret, "region": "eu-west-1"}, "api_key"),
    ]
    for auth, given, field in cases:
        with pytest.raises(KeyShapeError) as refused:
            read_provider_key(auth, given)
        assert refused.value.field == field
        assert secret not in str(refused.value)


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(KeyShapeError, match="Invalid JSON"):
        read_provider_key("azure", '{"a":' * 3000)
