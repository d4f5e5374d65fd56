"""Presets fill in what a request does not say itself, one field after the other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.requests.preparation import MAX_NAMED, PreparationFault, Prepared, prepare
from crossdock_schemas.accounts.content_filter import Action, Detector, GuardRules
from crossdock_schemas.accounts.preset import DEFAULT, Preparation, Preset, preparation_of
from crossdock_schemas.ids import AccountId

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
HELLO = [{"role": "user", "content": "Hello"}]
ORG = "org_1"
PROJECT = "proj_1"


def make_preset(slug: str = "brief", scope: str = ORG, **settings: Any) -> Preset:
    return Preset(
        account=AccountId(ORG), scope=scope, slug=slug, version=3, updated_at_ms=1, **settings
    )


def preparation(*presets: Preset) -> Preparation | None:
    scopes = [{p.slug: p for p in presets if p.scope == scope} for scope in (ORG, PROJECT)]
    return preparation_of(*scopes)


def prepared(body: dict[str, Any], *presets: Preset, operation: str = CHAT) -> dict[str, Any]:
    found = prepare(body, operation, preparation(*presets))
    assert isinstance(found, Prepared)
    return found.body


@pytest.mark.parametrize(
    "body",
    [
        {"model": "@preset/brief"},
        {"preset": "brief"},
        {"model": "@preset/brief", "preset": "brief"},
        {"model": None, "preset": "brief"},
    ],
)
def test_a_request_names_a_preset_in_one_of_three_ways(body: dict[str, Any]) -> None:
    preset = make_preset(model="tern-mini", parameters={"temperature": 0.5})

    found = prepare({**body, "messages": HELLO}, CHAT, preparation(preset))

    assert found == Prepared({"model": "tern-mini", "messages": HELLO, "temperature": 0.5}, True, preset)  # fmt: skip


def test_a_model_beside_the_preset_wins_over_its_model() -> None:
    preset = make_preset(model="tern-mini")

    assert prepared({"model": "gull-base@preset/brief"}, preset) == {"model": "gull-base"}
    assert prepared({"model": "gull-base", "preset": "brief"}, preset) == {"model": "gull-base"}


def test_a_requests_own_fields_win_also_when_they_are_null() -> None:
    preset = make_preset(parameters={"temperature": 0.5, "max_tokens": 9, "stop": ["x"]})

    found = prepared({"model": "m", "preset": "brief", "temperature": None, "stop": []}, preset)

    assert found == {"model": "m", "temperature": None, "stop": [], "max_tokens": 9}


def test_defaults_fill_in_what_neither_request_nor_preset_says() -> None:
    presets = [
        make_preset(parameters={"a": "named"}),
        make_preset(DEFAULT, PROJECT, model="of-project", parameters={"a": "p", "b": "p"}),
        make_preset(DEFAULT, model="of-org", parameters={"a": "o", "b": "o", "c": "o"}),
    ]

    assert prepared({"preset": "brief"}, *presets) == {
        "model": "of-project", "a": "named", "b": "p", "c": "o",
    }  # fmt: skip
    assert prepared({}, *presets) == {"model": "of-project", "a": "p", "b": "p", "c": "o"}
    assert prepared({"model": "m"}, presets[0]) == {"model": "m"}


def test_a_projects_preset_hides_its_organizations_of_the_same_slug() -> None:
    presets = [make_preset(model="of-org"), make_preset(scope=PROJECT, model="of-project")]

    assert prepared({"preset": "brief"}, *presets)["model"] == "of-project"


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_come_before_messages_that_bring_none(role: str) -> None:
    preset = make_preset(DEFAULT, system="Be brief.")
    own = [{"role": role, "content": "Be long."}, *HELLO]

    first = {"role": "system", "content": "Be brief."}
    assert prepared({"messages": HELLO}, preset)["messages"] == [first, *HELLO]
    assert prepared({"messages": own}, preset)["messages"] == own


@pytest.mark.parametrize("messages", [[], "text", None, ["text"]])
def test_what_are_no_messages_is_left_to_whoever_checks_it(messages: Any) -> None:
    found = prepared({"messages": messages}, make_preset(DEFAULT, system="Be brief."))

    assert found["messages"] in (messages, [{"role": "system", "content": "Be brief."}, "text"])


def test_an_embedding_takes_only_what_is_of_embeddings() -> None:
    preset = make_preset(
        DEFAULT,
        model="vec",
        system="Be brief.",
        parameters={"temperature": 1, "dimensions": 256},
    )

    found = prepared({"input": "x"}, preset, operation=EMBEDDINGS)

    assert found == {"input": "x", "model": "vec", "dimensions": 256}


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"model": "@preset/other"}, "preset_not_found", "model"),
        ({"model": "m", "preset": "other"}, "preset_not_found", "preset"),
        ({"model": "m", "preset": ""}, "preset_not_found", "preset"),
        ({"model": "m", "preset": 7}, "invalid_type", "preset"),
        ({"model": "@preset/brief", "preset": "other"}, "invalid_value", "preset"),
    ],
)
def test_what_names_no_preset_is_told_so(body: dict[str, Any], code: str, param: str) -> None:
    found = prepare(body, CHAT, preparation(make_preset()))

    assert isinstance(found, PreparationFault)
    assert (found.code, found.param) == (code, param)


def test_an_unknown_preset_is_told_with_those_that_there_are() -> None:
    none = prepare({"preset": "x"}, CHAT, None)
    many = prepare({"preset": "x"}, CHAT, preparation(*(make_preset(f"p{n:02}") for n in range(MAX_NAMED + 2))))  # fmt: skip

    assert isinstance(none, PreparationFault)
    assert isinstance(many, PreparationFault)
    assert none.message == "No such preset: 'x'. There are none."
    assert many.message.endswith("'p09' and 2 more.")


@given(st.dictionaries(st.sampled_from(["model", "temperature", "x"]), st.text() | st.integers()))
def test_without_presets_nothing_changes(body: dict[str, Any]) -> None:
    if "@preset/" not in str(body.get("model")):
        assert prepare(body, CHAT, None) == Prepared(body, is_changed=False)


def test_the_body_that_was_given_stays_as_it_was() -> None:
    body = {"messages": list(HELLO), "preset": "brief"}

    prepared(body, make_preset(system="Be brief.", parameters={"a": 1}))

    assert body == {"messages": HELLO, "preset": "brief"}


def test_a_body_that_takes_too_long_is_told_so() -> None:
    detector = Detector(name="slow", action=Action.FLAG, scope="org_1", pattern=r"\pL{2}")
    guarding = Preparation(guard=GuardRules(detectors=(detector,)))

    found = prepare({"messages": [{"content": "ab"}]}, CHAT, guarding)

    assert isinstance(found, PreparationFault)
    assert (found.status, found.code) == (403, "permission_denied")
    assert "takes too long" in found.message
    assert dict(found.metadata or {})["reason"] == "content_filter_too_slow"
