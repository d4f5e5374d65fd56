"""The translator of validation errors: OpenAI's envelope, and a message with the field, the value and the remedy."""

from typing import Any

import pytest
from pydantic import ValidationError

from crossdock.ingress.management.byok_models import ByokCreate
from crossdock.ingress.management.key_models import KeyCreate, KeyQuery
from crossdock.ingress.management.policy_models import PolicySet
from crossdock.ingress.management.preset_models import PresetSet
from crossdock.ingress.values.errors import RefusedError
from crossdock.ingress.values.models import RequestModel
from crossdock.ingress.values.validation import read_model, refusal_of


@pytest.mark.parametrize(
    ("kind", "body", "param", "code", "message"),
    [
        (KeyCreate, {}, "name", "missing_required_parameter", "Missing required parameter: 'name'."),
        (KeyCreate, {"name": None}, "name", "missing_required_parameter", "Missing required parameter: 'name'."),
        (KeyCreate, {"name": 7}, "name", "invalid_type",
         "Invalid type for 'name': expected a string, but got an integer instead."),
        (KeyCreate, {"name": "a", "rpm": True}, "rpm", "invalid_type",
         "Invalid type for 'rpm': expected an integer, but got a boolean instead."),
        (KeyCreate, {"name": "a", "rpm": -1}, "rpm", "invalid_value",
         "Invalid value for 'rpm': -1. Expected at least 0."),
        (KeyCreate, {"name": "a", "rpm": 1_000_001}, "rpm", "invalid_value",
         "Invalid value for 'rpm': 1000001. Expected at most 1000000."),
        (KeyCreate, {"name": ""}, "name", "invalid_value", "Invalid value for 'name': ''. Expected 1 or more characters."),
        (KeyCreate, {"name": "a", "role": "king"}, "role", "invalid_value",
         "Invalid value for 'role': 'king'. Supported values are: 'owner', 'admin', 'member', 'analyst'."),
        (KeyCreate, {"name": "a", "limit": "dear"}, "limit", "invalid_value",
         "Invalid value for 'limit': 'dear'. Expected USD such as 12.50: from 0 to below 10^14, with at most 6 decimal places."),
        (KeyCreate, {"name": "a", "limit": []}, "limit", "invalid_type",
         "Invalid type for 'limit': expected a number or a string, but got an array instead."),
        (KeyCreate, {"name": "a", "expires_at": "soon"}, "expires_at", "invalid_value",
         "Invalid value for 'expires_at': 'soon'. Expected a time with its offset, such as 2027-01-31T12:00:00Z."),
        (KeyCreate, {"name": "a", "allowed_ips": ["here"]}, "allowed_ips", "invalid_value",
         "Invalid value for 'allowed_ips': 'here'. Expected an address or a network such as 10.1.0.0/16 or 2001:db8::/32."),
        (KeyCreate, {"name": "a", "tags": {"k": "v" * 513}}, "tags.k", "string_above_max_length",
         "Invalid 'tags.k': expected a string of at most 512 characters, but got one of 513."),
        (KeyQuery, {"offset": "1_0"}, "offset", "invalid_type",
         "Invalid type for 'offset': expected an integer, but got a string instead."),
        (KeyQuery, {"include_expired": "yes"}, "include_expired", "invalid_value",
         "Invalid value for 'include_expired': 'yes'. Supported values are: 'true', 'false'."),
        (PolicySet, {"max_price": {"prompt": "dear"}}, "max_price.prompt", "invalid_value",
         "Invalid value for 'max_price.prompt': 'dear'. Expected USD such as 0.25: from 0 to below 10^6, with at most 6 "
         "decimal places."),
        (PolicySet, {"max_price": {"image": 1}}, "max_price.image", "unknown_parameter",
         "Unknown parameter: 'max_price.image'. Known fields are: completion, prompt, request."),
        (PolicySet, {"content_filters": [{"pattern": "(", "action": "flag"}]}, "content_filters.0.pattern", "invalid_value",
         "Invalid value for 'content_filters.0.pattern': '('. Invalid RE2 pattern: missing ): (."),
        (PresetSet, {"parameters": {"messages": []}}, "parameters", "invalid_value",
         "Invalid value for 'parameters': 'messages'. A preset sets none of input, messages, model, preset, stream, "
         "stream_options among its parameters."),
    ],
)  # fmt: skip
def test_a_refusal_names_the_field_the_value_and_the_remedy(
    kind: type[RequestModel], body: dict[str, Any], param: str, code: str, message: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        read_model(kind, body)

    refused = caught.value
    assert (refused.status, refused.param, refused.reason) == (400, param, code)
    assert str(refused) == message


def test_a_long_value_is_cut() -> None:
    with pytest.raises(RefusedError) as caught:
        read_model(PresetSet, {"system": "x" * 40_000})

    assert len(str(caught.value)) < 300
    assert str(caught.value).endswith("... Expected at most 32768 characters.".removeprefix("..."))


@pytest.mark.parametrize("key", [7, ["sk-secret-of-ones-own"], True])
def test_a_providers_key_is_never_repeated(key: object) -> None:
    body = {"provider": "atlas", "key": key, "nmae": "sk-secret"}
    with pytest.raises(RefusedError) as caught:
        read_model(ByokCreate, {"provider": "atlas", "key": key})
    with pytest.raises(ValidationError) as raw:
        ByokCreate.model_validate(body)

    assert "secret" not in str(caught.value)
    assert "secret" not in str(refusal_of(raw.value))


def test_a_model_that_holds_a_providers_key_does_not_show_it() -> None:
    body = read_model(ByokCreate, {"provider": "atlas", "key": "sk-secret-of-ones-own"})

    assert "secret" not in repr(body)
