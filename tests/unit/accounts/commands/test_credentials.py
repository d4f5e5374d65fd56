"""BYOK keys in the accounts shard: how they change, and which keys and end users they may serve."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from crossdock.accounts.admission.byok_selection import (
    MAX_BYOK_KEYS,
    ByokSelection,
    select_byok_keys,
)
from crossdock.accounts.commands.credentials import MAX_CREDENTIALS
from crossdock.accounts.core import AccountsCore
from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock.kernel.process.record import Page
from crossdock_schemas.accounts.account import Role
from crossdock_schemas.accounts.control import (
    Command,
    CredentialAsked,
    CredentialChange,
    CredentialDeletion,
    CredentialRewrap,
    KeyRotation,
    Refusal,
)
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.policy import Policy, Rules, permit
from crossdock_schemas.accounts.secret import SealedSecret
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.ids import CredentialId, ProjectId
from crossdock_schemas.pricing.catalogue import REGIONS, Endpoint
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.topics import ACCOUNT_DIRECTORY, ACCOUNT_SECRETS, CANCELS
from unit.accounts.builders import ACME, NOW_MS, OWNER, PROJECT, common, make_founded, make_key

BYOK = CredentialId("byok_1")
KEYS = MasterKeys([b"m" * 32])
ENDPOINTS = tuple(
    Endpoint(provider=name, model="tern", upstream_model="tern", operations=(), prices=Prices())
    for name in ("atlas", "borealis")
)


def make_credential(identifier: str = BYOK, **fields: Any) -> Credential:
    values: dict[str, Any] = {
        "credential_id": CredentialId(identifier),
        "account": ACME,
        "provider": "atlas",
        "name": "ours",
        "label": "...6391",
        "created_at_ms": NOW_MS,
        "updated_at_ms": NOW_MS,
    }
    return Credential(**values | fields)


def seal(identifier: str = BYOK, version: int = 1) -> SealedSecret:
    return KEYS.seal(SecretStr("sk-own-0123456789"), ACME, CredentialId(identifier), version)


def asked(credential: Credential, sealed: SealedSecret | None = None) -> CredentialAsked:
    return CredentialAsked(**common(), credential=credential, sealed=sealed or seal(credential.credential_id))  # fmt: skip


@pytest.fixture
def core() -> AccountsCore:
    """Acme with a key for each role, an inference key, and one own provider key."""
    core = AccountsCore()
    roles = (make_key(f"key_{role.value}", role=role) for role in Role)
    core.apply(make_founded(keys=(*roles, make_key("key_app"))), NOW_MS)
    core.apply(asked(make_credential()), NOW_MS)
    core.finish()
    return core


def change(**fields: Any) -> CredentialChange:
    return CredentialChange(**common(), credential_id=BYOK, **fields)


def of(core: AccountsCore, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    return [(r.key, r.value) for r in core.finish().outgoing if r.topic == topic]


def test_a_new_one_is_in_the_directory_its_secret_on_its_own_topic_and_in_no_log(
    core: AccountsCore,
) -> None:
    sealed = seal("byok_2")

    said = core.apply(asked(make_credential("byok_2"), sealed), NOW_MS)
    step = core.finish()

    on = {record.topic: record for record in step.outgoing}
    shown = Credential.from_json(on[ACCOUNT_DIRECTORY.name].value or b"")
    assert (shown.name, shown.secret_version, shown.version) == ("ours", 1, said.number)
    assert on[ACCOUNT_SECRETS.name].value == sealed.to_json()
    others = [r for r in step.outgoing if r.topic != ACCOUNT_SECRETS.name]
    written = [r.value or b"" for r in others] + [page.value or b"" for page in step.pages]
    assert all(sealed.ciphertext.encode() not in value for value in written)


def test_another_secret_is_the_next_version_and_the_log_says_that_there_is_one(
    core: AccountsCore,
) -> None:
    sealed = seal(version=2)

    said = core.apply(change(sealed=sealed, label="...abcd"), NOW_MS)

    assert of(core, ACCOUNT_SECRETS.name) == [(b"byok_1", sealed.to_json())]
    assert said.after["secret"] == '"replaced"'
    assert (said.before["secret_version"], said.after["secret_version"]) == ("1", "2")


@pytest.mark.parametrize("version", [1, 3], ids=["the present one's", "one too far"])
def test_a_secret_that_was_sealed_for_another_version_changes_nothing(
    core: AccountsCore, version: int
) -> None:
    assert refused(core, change(sealed=seal(version=version))) is Refusal.CONFLICT
    assert of(core, ACCOUNT_SECRETS.name) == []


def refused(core: AccountsCore, command: Command) -> Refusal | None:
    return core.apply(command, NOW_MS).refusal


def test_what_is_not_said_stays_and_what_is_emptied_demands_nothing(core: AccountsCore) -> None:
    limits = {"allowed_keys": ("key_app",), "allowed_users": ("alice",)}
    core.apply(change(allowed_models=("tern-*",), sort_order=7, **limits), NOW_MS)
    core.apply(change(emptied=("allowed_models", "allowed_users")), NOW_MS)

    found = core.states[ACME].credentials[BYOK]

    assert (found.allowed_models, found.allowed_keys, found.sort_order) == (None, ("key_app",), 7)
    assert found.allowed_users is None


def test_a_disabled_one_is_told_to_workers_and_lifted_again(core: AccountsCore) -> None:
    core.apply(change(disabled=True), NOW_MS)
    core.apply(change(disabled=True), NOW_MS)
    core.apply(change(disabled=False), NOW_MS)

    told = [Cancelled.from_json(value or b"") for _, value in of(core, CANCELS.name)]
    assert [(one.id, one.is_lifted) for one in told] == [(BYOK, False), (BYOK, True)]


def test_a_deleted_one_and_its_secret_are_gone(core: AccountsCore) -> None:
    assert refused(core, CredentialDeletion(**common(), credential_id=BYOK)) is None
    step = core.finish()

    gone = {(r.topic, r.key, r.value) for r in step.outgoing}
    assert (ACCOUNT_SECRETS.name, b"byok_1", None) in gone
    assert (ACCOUNT_DIRECTORY.name, b"byok_1", None) in gone
    assert Page(f"{ACME}/byok_1".encode(), None) in step.pages
    assert refused(core, CredentialDeletion(**common(), credential_id=BYOK)) is Refusal.NOT_FOUND


def test_a_rewrap_changes_the_secret_alone(core: AccountsCore) -> None:
    before = core.states[ACME].credentials[BYOK]
    sealed = seal()
    command = CredentialRewrap(**common("key_of_the_operator"), credential_id=BYOK, sealed=sealed)

    said = core.apply(command, NOW_MS)

    assert (said.refusal, said.after) == (None, {"master_key": f'"{sealed.master_key_id}"'})
    assert of(core, ACCOUNT_SECRETS.name) == [(b"byok_1", sealed.to_json())]
    assert core.states[ACME].credentials[BYOK] == before


def test_a_rewrap_of_an_older_secret_does_not_bring_it_back(core: AccountsCore) -> None:
    core.apply(change(sealed=seal(version=2)), NOW_MS)
    command = CredentialRewrap(**common(), credential_id=BYOK, sealed=seal())

    assert refused(core, command) is Refusal.CONFLICT


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (asked(make_credential()), Refusal.CONFLICT),
        (asked(make_credential("byok_2", project=ProjectId("proj_none"))), Refusal.NOT_FOUND),
        (asked(make_credential("byok_2", is_byok_only=True, is_fallback=True)), Refusal.INVALID),
        (asked(make_credential("byok_2", allowed_keys=("key_none",))), Refusal.INVALID),
        (asked(make_credential("byok_2", allowed_keys=())), Refusal.INVALID),
        (asked(make_credential("byok_2", allowed_users=())), Refusal.INVALID),
        (asked(make_credential("byok_2"), seal("byok_3")), Refusal.INVALID),
        (asked(make_credential("byok_2"), seal("byok_2", 2)), Refusal.INVALID),
        (change(is_byok_only=True, is_fallback=True), Refusal.INVALID),
        (change(allowed_keys=("key_none",)), Refusal.INVALID),
        (change(allowed_users=()), Refusal.INVALID),
        (CredentialChange(**common(), credential_id="byok_0"), Refusal.NOT_FOUND),
        (CredentialRewrap(**common(), credential_id="byok_0", sealed=seal()), Refusal.NOT_FOUND),
    ],
    ids=[
        "there already", "no such project", "both", "no such key", "no key", "nobody", "another's secret", "another version",
        "both by a change", "no such key by a change", "nobody by a change", "none to change", "none to rewrap",
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(core: AccountsCore, command: Command, why: Refusal) -> None:
    assert refused(core, command) is why
    assert of(core, ACCOUNT_SECRETS.name) == []


def test_an_organization_has_so_many_at_most() -> None:
    core = AccountsCore()
    core.apply(make_founded(), NOW_MS)
    state = core.states[ACME]
    for number in range(MAX_CREDENTIALS):
        state.put(make_credential(f"byok_{number:04}"))

    assert refused(core, asked(make_credential("byok_more"))) is Refusal.CONFLICT


@pytest.mark.parametrize("role", Role)
def test_owners_and_admins_manage_them_and_nobody_else(core: AccountsCore, role: Role) -> None:
    commands: list[Command] = [
        asked(make_credential("byok_2")),
        change(name="x"),
        CredentialDeletion(**common(), credential_id=BYOK),
    ]

    found = {refused(core, c.model_copy(update={"actor": f"key_{role.value}"})) for c in commands}

    may = role in {Role.OWNER, Role.ADMIN}
    assert found == ({None} if may else {Refusal.PERMISSION_DENIED})


def test_a_rotated_keys_successor_may_use_what_it_might() -> None:
    core = AccountsCore()
    core.apply(make_founded(), NOW_MS)
    core.apply(asked(make_credential(allowed_keys=(OWNER,))), NOW_MS)
    rotation = KeyRotation(**common(), key_id=OWNER, successor="key_next", hash="a" * 64, label="x", overlap_s=60)  # fmt: skip

    assert core.apply(rotation, NOW_MS).refusal is None

    assert core.states[ACME].credentials[BYOK].allowed_keys == (OWNER, "key_next")


def test_a_rotated_key_that_no_provider_key_names_hands_nothing_on(core: AccountsCore) -> None:
    before = dict(core.states[ACME].credentials)
    rotation = KeyRotation(**common(), key_id=OWNER, successor="key_next", hash="a" * 64, label="x", overlap_s=60)  # fmt: skip

    assert core.apply(rotation, NOW_MS).refusal is None
    assert before != {}
    assert core.states[ACME].credentials == before


def test_the_next_owner_knows_them(core: AccountsCore) -> None:
    state = core.states[ACME]
    core.apply(change(declared_region="europe"), NOW_MS)
    heir = AccountsCore()
    pages = {page.key: page for page in core.finish().pages}

    heir.restore([*pages.values()])

    assert heir.states[ACME].credentials == state.credentials
    assert isinstance(core.states[ACME].find(BYOK), Credential)


# whom they serve


def own(*credentials: Credential, model: str = "tern", rules: Rules | None = None) -> ByokSelection:
    policies = [] if rules is None else [make_policy(rules)]
    permitted = permit(ENDPOINTS, policies).permitted
    return select_byok_keys(credentials, ENDPOINTS, permitted, policies, model)


def make_policy(rules: Rules) -> Policy:
    return Policy(account=ACME, scope=ACME, rules=rules, version=1, updated_at_ms=1)


def test_without_any_all_endpoints_are_the_installations() -> None:
    assert own() == ByokSelection(ENDPOINTS)


@pytest.mark.parametrize(
    ("fields", "bears"),
    [
        ({}, True),
        ({"allowed_models": ("te*",)}, True),
        ({"allowed_models": ("gull",)}, False),
        ({"allowed_models": ("gull",), "is_required": True}, False),
        ({"allowed_models": ("gull",), "is_byok_only": True}, True),
    ],
    ids=["every model", "the model", "another model", "required for another", "closing all"],
)
def test_it_bears_on_models_that_it_opens_or_closes(fields: dict[str, Any], bears: bool) -> None:
    assert make_credential(**fields).bears_on("tern") == bears


@pytest.mark.parametrize(
    ("fields", "key", "serves"),
    [
        ({}, make_key("key_a"), True),
        ({"disabled": True}, make_key("key_a"), False),
        ({"project": PROJECT}, make_key("key_a"), True),
        ({"project": ProjectId("proj_b")}, make_key("key_a"), False),
        ({"allowed_keys": ("key_a",)}, make_key("key_a"), True),
        ({"allowed_keys": ("key_b",)}, make_key("key_a"), False),
    ],
    ids=["open", "disabled", "its project", "another project", "its key", "another key"],
)
def test_it_concerns_whom_it_names(fields: dict[str, Any], key: Any, serves: bool) -> None:
    assert make_credential(**fields).concerns(key) == serves


def test_it_goes_along_beside_the_installations_capacity() -> None:
    found = own(make_credential(sort_order=3))

    assert found.endpoints == ENDPOINTS
    assert found.shared is None
    assert found.credentials is not None
    (ref,) = found.credentials
    assert (ref.credential_id, ref.provider, ref.sort_order, ref.version) == (BYOK, "atlas", 3, 1)


@pytest.mark.parametrize(
    ("fields", "shared"),
    [
        ({"is_required": True}, {"borealis/tern"}),
        ({"is_required": True, "allowed_models": ("gull",)}, {"atlas/tern", "borealis/tern"}),
        ({"is_byok_only": True}, {"borealis/tern"}),
        ({"is_byok_only": True, "allowed_models": ("gull",)}, {"borealis/tern"}),
        ({"is_byok_only": True, "provider": "cinder"}, {"atlas/tern", "borealis/tern"}),
    ],
    ids=["required", "required for another model", "only", "only, for another model", "elsewhere"],
)
def test_some_close_their_provider_to_the_installations_key(
    fields: dict[str, Any], shared: set[str]
) -> None:
    found = ways(make_credential(**fields))

    assert {name for name, identifier in found if identifier is None} == shared


def test_an_endpoint_that_nobodys_key_reaches_counts_for_nothing() -> None:
    found = own(make_credential(is_byok_only=True, allowed_models=("gull",)))

    assert [endpoint.provider for endpoint in found.endpoints] == ["borealis"]
    assert found.credentials is None


def test_a_plan_holds_so_many_those_that_come_first() -> None:
    many = [make_credential(f"byok_{n:02}", sort_order=99 - n) for n in range(MAX_BYOK_KEYS + 3)]

    refs = own(make_credential("byok_last", is_fallback=True), *many).credentials

    assert refs is not None
    assert len(refs) == MAX_BYOK_KEYS
    assert [ref.sort_order for ref in refs] == sorted(99 - n for n in range(MAX_BYOK_KEYS + 3))[
        :MAX_BYOK_KEYS
    ]


def ways(*credentials: Credential, rules: Rules | None = None) -> set[tuple[str, str | None]]:
    """Return every endpoint that may be called, with the own key that calls it, or None for the installation's."""
    found = own(*credentials, rules=rules)
    names = {endpoint.name for endpoint in found.endpoints}
    shared = names if found.shared is None else set(found.shared)
    return {(name, None) for name in shared} | {
        (endpoint.name, ref.credential_id)
        for ref in found.credentials or ()
        for endpoint in found.endpoints
        if ref.may_call(endpoint)
    }


def test_what_its_owner_declares_opens_the_endpoint_to_that_key_alone() -> None:
    keeps_nothing = make_credential(declared_zdr=True)
    other = make_credential("byok_2")

    assert ways(keeps_nothing, other, rules=Rules(zdr=True)) == {("atlas/tern", BYOK)}
    assert ways(other, rules=Rules(zdr=True)) == set()


def test_a_declared_region_counts_in_both_directions() -> None:
    in_europe = make_credential(declared_region="europe")
    both = {("atlas/tern", None), ("borealis/tern", None)}

    assert ways(in_europe, rules=Rules(allowed_data_regions=("europe",))) == {("atlas/tern", BYOK)}
    assert ways(in_europe, rules=Rules(allowed_data_regions=("global",))) == both
    assert ways(in_europe, rules=Rules(allowed_data_regions=("us",))) == set()


CREDENTIALS = st.lists(
    st.builds(
        make_credential,
        st.sampled_from([f"byok_{n}" for n in range(6)]),
        provider=st.sampled_from(["atlas", "borealis", "cinder"]),
        is_fallback=st.booleans(),
        is_required=st.booleans(),
        is_byok_only=st.booleans(),
        allowed_models=st.sampled_from([None, ("tern",), ("gull",), ()]),
        sort_order=st.integers(0, 3),
        declared_zdr=st.booleans(),
        declared_region=st.sampled_from([None, "europe", "us"]),
    ),
    max_size=6,
    unique_by=lambda one: one.credential_id,
)
RULES = st.none() | st.builds(
    Rules,
    zdr=st.booleans(),
    allowed_data_regions=st.none() | st.lists(st.sampled_from(REGIONS), max_size=2),
    ignored_providers=st.sampled_from([(), ("atlas",)]),
)


@given(CREDENTIALS, RULES)
def test_a_policy_opens_no_way(found: list[Credential], rules: Rules | None) -> None:
    assert ways(*found, rules=rules) <= ways(*found)


@given(CREDENTIALS, RULES)
def test_a_declaration_changes_what_its_own_key_may_call_and_nothing_else(
    found: list[Credential], rules: Rules | None
) -> None:
    declared = [one.model_copy(update={"declared_zdr": True}) for one in found[:1]]

    before, after = ways(*found, rules=rules), ways(*declared, *found[1:], rules=rules)

    changed = before ^ after
    assert {identifier for _, identifier in changed} <= {one.credential_id for one in declared}


@given(CREDENTIALS, RULES)
def test_a_key_that_does_not_bear_on_the_model_changes_no_way(
    found: list[Credential], rules: Rules | None
) -> None:
    bearing = [one for one in found if one.bears_on("tern")]

    assert own(*found, rules=rules) == own(*bearing, rules=rules)


@given(CREDENTIALS)
def test_what_is_shared_is_permitted_and_every_key_is_of_use(found: list[Credential]) -> None:
    """One more own key never opens the installation's capacity, and none is given that has nothing to call."""
    chosen = own(*found)

    names = {endpoint.name for endpoint in ENDPOINTS}
    assert set(chosen.shared or ()) <= names
    for ref in chosen.credentials or ():
        assert ref.provider in {endpoint.provider for endpoint in chosen.endpoints}
    before, after = ways(*found[:-1]), ways(*found)
    assert {way for way in after if way[1] is None} <= {way for way in before if way[1] is None}
