"""The accounts of a partition: who may do what, what a command makes of an account, and the log of it."""

import hashlib
import json

import pytest

from crossdock.accounts.commands.decision import Refused
from crossdock.accounts.commands.dispatch import Commands
from crossdock.accounts.core import AccountsCore
from crossdock.accounts.state.account import AccountState
from crossdock.kernel.process.record import Outgoing, Page
from crossdock_schemas.accounts.account import ApiKey, Organization, Role
from crossdock_schemas.accounts.control import (
    COMMANDS,
    Change,
    Command,
    KeyChange,
    KeyDeletion,
    KeyRotation,
    OrganizationAsked,
    OrganizationChange,
    PolicyChange,
    PolicyRemoval,
    PresetChange,
    ProjectAsked,
    ProjectChange,
    Refusal,
    account_command,
)
from crossdock_schemas.accounts.credit import Terms
from crossdock_schemas.accounts.policy import Policy, Rules
from crossdock_schemas.accounts.preset import PresetSettings
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.ids import AccountId, KeyId, ProjectId
from crossdock_schemas.topics import ACCOUNT_CHANGES, ACCOUNT_COMMANDS, ACCOUNT_DIRECTORY, CANCELS
from unit.accounts.builders import (
    ACME,
    NOW_MS,
    OWNER,
    PROJECT,
    ask_key,
    common,
    make_founded,
    make_key,
)

DAY_S = 86_400


@pytest.fixture
def core() -> AccountsCore:
    """Acme with an owner's key, an admin's, a member's, an analyst's, and an inference key."""
    core = AccountsCore()
    keys = (
        make_key(OWNER, role=Role.OWNER),
        *(make_key(f"key_{role.value}", role=role) for role in Role if role is not Role.OWNER),
        make_key("key_app"),
    )
    core.apply(make_founded(keys=keys), NOW_MS)
    core.finish()
    return core


def written(core: AccountsCore, topic: str) -> list[Outgoing]:
    return [record for record in core.finish().outgoing if record.topic == topic]


def refusal(core: AccountsCore, command: Command, now_ms: int = NOW_MS) -> Refusal | None:
    return core.apply(command, now_ms).refusal


def test_a_new_key_is_in_the_directory_and_in_the_log(core: AccountsCore) -> None:
    key = make_key("key_new")

    core.apply(ask_key(key), NOW_MS)
    step = core.finish()

    (entry,) = [r for r in step.outgoing if r.topic == ACCOUNT_DIRECTORY.name]
    (logged,) = [r for r in step.outgoing if r.topic == ACCOUNT_CHANGES.name]
    assert (entry.key, ApiKey.from_json(entry.value or b"")) == (b"key_new", key)
    change = Change.from_json(logged.value or b"")
    assert (change.action, change.target, change.actor) == ("create_key", "key_new", OWNER)
    assert change.after["name"] == '"key_new"'
    assert change.before == {}


def test_changes_are_numbered_without_a_gap_refused_ones_too(core: AccountsCore) -> None:
    numbers = [
        core.apply(ask_key(make_key("key_1")), NOW_MS).number,
        core.apply(KeyDeletion(**common(), key_id=KeyId("key_none")), NOW_MS).number,
        core.apply(ask_key(make_key("key_2")), NOW_MS).number,
    ]

    assert numbers == [2, 3, 4]


def test_an_accounts_clock_never_goes_back(core: AccountsCore) -> None:
    core.apply(ask_key(make_key("key_1")), NOW_MS + 5000)

    assert core.apply(ask_key(make_key("key_2")), NOW_MS).at_ms == NOW_MS + 5000


def test_the_log_tells_which_fields_changed_from_what_to_what(core: AccountsCore) -> None:
    change = core.apply(KeyChange(**common(), key_id=KeyId("key_app"), name="app 2"), NOW_MS + 1)

    assert change.before == {"name": '"key_app"'}
    assert change.after == {"name": '"app 2"'}


def test_founding_again_changes_nothing(core: AccountsCore) -> None:
    core.apply(KeyChange(**common(), key_id=KeyId("key_app"), name="renamed"), NOW_MS)
    core.finish()

    core.apply(make_founded(keys=(make_key(OWNER, role=Role.OWNER), make_key("key_app"))), NOW_MS)
    step = core.finish()

    assert [record.topic for record in step.outgoing] == [ACCOUNT_CHANGES.name]
    assert core.states[ACME].keys[KeyId("key_app")].name == "renamed"


def test_founding_again_does_not_bring_a_deleted_key_back(core: AccountsCore) -> None:
    """A key that leaked and was deleted worked again after the next start."""
    core.apply(KeyDeletion(**common(), key_id=KeyId("key_app")), NOW_MS)

    core.apply(make_founded(keys=(make_key(OWNER, role=Role.OWNER), make_key("key_app"))), NOW_MS)

    assert KeyId("key_app") not in core.states[ACME].keys


def test_founding_with_another_text_for_a_key_replaces_it(core: AccountsCore) -> None:
    other = make_key("key_app", hash="f" * 64)

    core.apply(make_founded(keys=(other,)), NOW_MS)

    assert core.states[ACME].keys[KeyId("key_app")].hash == "f" * 64


@pytest.mark.parametrize(
    ("actor", "allowed"),
    [
        (OWNER, {"inference", "member", "owner", "project", "organization"}),
        ("key_admin", {"inference", "member", "project"}),
        ("key_member", {"inference"}),
        ("key_analyst", set()),
        ("key_app", set()),
        ("key_unknown", set()),
    ],
    ids=["owner", "admin", "member", "analyst", "inference key", "unknown key"],
)
def test_a_role_may_do_what_it_is_for(core: AccountsCore, actor: str, allowed: set[str]) -> None:
    by_name: dict[str, Command] = {
        "inference": ask_key(make_key("key_n1"), actor),
        "member": ask_key(make_key("key_n2", role=Role.MEMBER), actor),
        "owner": ask_key(make_key("key_n3", role=Role.OWNER), actor),
        "project": ProjectChange(**common(actor), project=PROJECT, name="live"),
        "organization": OrganizationChange(**common(actor), name="Acme Ltd"),
    }

    refused = {name: refusal(core, command) for name, command in by_name.items()}

    assert {name for name, why in refused.items() if why is None} == allowed
    assert set(refused.values()) <= {None, Refusal.PERMISSION_DENIED}


def test_a_member_stays_in_its_own_project(core: AccountsCore) -> None:
    other = make_key("key_other", project=ProjectId("proj_other"))

    assert refusal(core, ask_key(other, "key_member")) is Refusal.PERMISSION_DENIED


def test_an_expired_owner_may_nothing(core: AccountsCore) -> None:
    core.apply(ask_key(make_key("key_late", role=Role.OWNER, expires_at_ms=NOW_MS + 1000)), NOW_MS)
    command = ask_key(make_key("key_new"), "key_late")

    assert refusal(core, command, NOW_MS + 1000) is Refusal.PERMISSION_DENIED


def test_the_last_owners_key_stays(core: AccountsCore) -> None:
    disable = KeyChange(**common(), key_id=OWNER, disabled=True)
    delete = KeyDeletion(**common(), key_id=OWNER)

    assert [refusal(core, disable), refusal(core, delete)] == [Refusal.CONFLICT] * 2
    core.apply(ask_key(make_key("key_owner2", role=Role.OWNER)), NOW_MS)
    assert refusal(core, delete) is None


def test_a_deleted_key_is_taken_from_the_directory_and_what_it_asked_for_is_cancelled(
    core: AccountsCore,
) -> None:
    core.apply(KeyDeletion(**common(), key_id=KeyId("key_app")), NOW_MS)
    step = core.finish()

    (entry,) = [r for r in step.outgoing if r.topic == ACCOUNT_DIRECTORY.name]
    (cancel,) = [r for r in step.outgoing if r.topic == CANCELS.name]
    assert (entry.key, entry.value) == (b"key_app", None)
    assert Cancelled.from_json(cancel.value or b"") == Cancelled(id=KeyId("key_app"), at_ms=NOW_MS)


def test_a_disabled_key_that_is_enabled_again_is_called_for_again(core: AccountsCore) -> None:
    for disabled in (True, False):
        core.apply(KeyChange(**common(), key_id=KeyId("key_app"), disabled=disabled), NOW_MS)

    cancels = [Cancelled.from_json(r.value or b"") for r in written(core, CANCELS.name)]
    assert [cancel.is_lifted for cancel in cancels] == [False, True]


def test_a_disabled_project_cancels_what_its_keys_asked_for(core: AccountsCore) -> None:
    core.apply(ProjectChange(**common(), project=PROJECT, disabled=True, force=True), NOW_MS)
    cancelled = {Cancelled.from_json(r.value or b"").id for r in written(core, CANCELS.name)}

    assert cancelled == set(core.states[ACME].keys)
    assert refusal(core, ask_key(make_key("key_new"))) is Refusal.CONFLICT


def test_a_rotated_key_lives_on_for_the_overlap(core: AccountsCore) -> None:
    rotation = KeyRotation(
        **common(), key_id=KeyId("key_app"), successor=KeyId("key_app2"), hash="e" * 64, label="l", overlap_s=60
    )  # fmt: skip

    core.apply(rotation, NOW_MS)

    keys = core.states[ACME].keys
    old, new = keys[KeyId("key_app")], keys[KeyId("key_app2")]
    assert old.expires_at_ms == NOW_MS + 60_000
    assert (new.rotated_from, new.hash, new.name) == ("key_app", "e" * 64, "key_app")
    assert new.expires_at_ms is None


def test_a_key_must_end_within_the_life_that_the_organization_allows(core: AccountsCore) -> None:
    core.apply(OrganizationChange(**common(), max_key_life_s=DAY_S), NOW_MS)
    endless, long, fine = (
        ask_key(make_key(f"key_{number}", expires_at_ms=end))
        for number, end in enumerate((None, NOW_MS + DAY_S * 1000 + 1, NOW_MS + DAY_S * 1000))
    )

    assert [refusal(core, c) for c in (endless, long, fine)] == [Refusal.INVALID, Refusal.INVALID, None]  # fmt: skip


def test_only_the_operator_founds_organizations_and_its_shard_hands_them_on(
    core: AccountsCore,
) -> None:
    new = AccountId("org_new")
    founded = make_founded(new)
    asked = OrganizationAsked(
        **common(), organization=founded.organization, project=founded.project, keys=founded.keys
    )
    denied = refusal(core, asked)
    operator = AccountsCore()
    stamps = {"created_at_ms": NOW_MS, "updated_at_ms": NOW_MS}
    organization = Organization(account=ACME, name="Acme", is_operator=True, **stamps)
    operator.apply(make_founded(organization=organization), NOW_MS)

    operator.apply(asked, NOW_MS)
    (record,) = written(operator, ACCOUNT_COMMANDS.name)

    assert denied is Refusal.PERMISSION_DENIED
    assert record.key == b"org_new"
    core.apply(account_command.validate_json(record.value or b""), NOW_MS)
    assert core.states[new].organization == founded.organization


def test_two_projects_have_two_names(core: AccountsCore) -> None:
    project = core.states[ACME].projects[PROJECT].model_copy(update={"project": ProjectId("proj_2")})  # fmt: skip

    assert refusal(core, ProjectAsked(**common(), project=project)) is Refusal.CONFLICT


def test_what_is_asked_of_an_account_that_does_not_exist_leaves_nothing_behind() -> None:
    core = AccountsCore()

    assert refusal(core, ask_key(make_key("key_1"))) is Refusal.PERMISSION_DENIED
    assert core.states == {}
    assert core.finish().pages == []


def rotation(key_id: str, successor: str = "key_next") -> KeyRotation:
    return KeyRotation(
        **common(), key_id=KeyId(key_id), successor=KeyId(successor), hash="e" * 64, label="l", overlap_s=60
    )  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        KeyChange(**common(), key_id=KeyId("key_none"), name="a"),
        KeyDeletion(**common(), key_id=KeyId("key_none")),
        rotation("key_none"),
        ProjectChange(**common(), project=ProjectId("proj_none"), name="a"),
        ask_key(make_key("key_new", project=ProjectId("proj_none"))),
    ],
    ids=["change", "delete", "rotate", "project", "key of a project"],
)
def test_what_is_not_there_is_not_found(core: AccountsCore, command: Command) -> None:
    assert refusal(core, command) is Refusal.NOT_FOUND


def test_a_member_may_nothing_about_a_key_that_is_not_there(core: AccountsCore) -> None:
    command = KeyDeletion(**common("key_member"), key_id=KeyId("key_none"))

    assert refusal(core, command) is Refusal.PERMISSION_DENIED


def test_what_is_dead_or_taken_cannot_be_rotated_to_life(core: AccountsCore) -> None:
    core.apply(KeyChange(**common(), key_id=KeyId("key_app"), disabled=True), NOW_MS)

    assert refusal(core, rotation("key_app")) is Refusal.CONFLICT
    assert refusal(core, rotation("key_member", "key_app")) is Refusal.CONFLICT


def test_a_successor_lives_as_long_as_its_key_did(core: AccountsCore) -> None:
    """And the old one no longer than it would have."""
    core.apply(ask_key(make_key("key_week", expires_at_ms=NOW_MS + 7 * DAY_S * 1000)), NOW_MS)
    later_ms = NOW_MS + 7 * DAY_S * 1000 - 1000

    core.apply(rotation("key_week"), later_ms)

    keys = core.states[ACME].keys
    assert keys[KeyId("key_week")].expires_at_ms == NOW_MS + 7 * DAY_S * 1000
    assert keys[KeyId("key_next")].expires_at_ms == later_ms + 7 * DAY_S * 1000


def test_a_successor_lives_as_long_as_the_organization_allows(core: AccountsCore) -> None:
    core.apply(OrganizationChange(**common(), max_key_life_s=DAY_S), NOW_MS)

    core.apply(rotation("key_app"), NOW_MS)

    assert core.states[ACME].keys[KeyId("key_next")].expires_at_ms == NOW_MS + DAY_S * 1000


def test_a_life_of_nothing_lifts_the_limit(core: AccountsCore) -> None:
    for life_s in (DAY_S, 0):
        core.apply(OrganizationChange(**common(), max_key_life_s=life_s), NOW_MS)

    assert refusal(core, ask_key(make_key("key_endless"))) is None


def test_a_key_cannot_end_before_it_begins(core: AccountsCore) -> None:
    assert refusal(core, ask_key(make_key("key_1", expires_at_ms=NOW_MS))) is Refusal.INVALID


def test_keys_and_projects_have_a_limit(
    core: AccountsCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossdock.accounts.commands.keys.MAX_KEYS", 5)
    monkeypatch.setattr("crossdock.accounts.commands.projects.MAX_PROJECTS", 1)
    project = (
        core.states[ACME]
        .projects[PROJECT]
        .model_copy(update={"project": ProjectId("proj_2"), "name": "two"})
    )

    assert refusal(core, ask_key(make_key("key_1"))) is Refusal.CONFLICT
    assert refusal(core, ProjectAsked(**common(), project=project)) is Refusal.CONFLICT


def test_a_project_is_made_once(core: AccountsCore) -> None:
    project = (
        core.states[ACME]
        .projects[PROJECT]
        .model_copy(update={"project": ProjectId("proj_2"), "name": "two"})
    )
    command = ProjectAsked(**common(), project=project)

    assert [refusal(core, command), refusal(core, command)] == [None, Refusal.CONFLICT]


def test_enabling_a_key_of_a_disabled_project_lifts_nothing(core: AccountsCore) -> None:
    core.apply(KeyChange(**common(), key_id=KeyId("key_app"), disabled=True), NOW_MS)
    core.apply(ProjectChange(**common(), project=PROJECT, disabled=True, force=True), NOW_MS)
    core.finish()

    core.apply(KeyChange(**common(), key_id=KeyId("key_app"), disabled=False), NOW_MS)

    assert written(core, CANCELS.name) == []


def test_an_account_without_an_organization_has_none_to_change() -> None:
    state = AccountState(ACME)
    state.put(make_key(OWNER, role=Role.OWNER))

    decision = Commands(Terms()).decide(state, OrganizationChange(**common(), name="a"))

    assert isinstance(decision, Refused)
    assert decision.refusal is Refusal.NOT_FOUND


def test_every_command_has_a_handler() -> None:
    assert set(Commands(Terms()).specs) == set(COMMANDS)


def test_pages_that_were_taken_away_are_passed_over(core: AccountsCore) -> None:
    core.apply(make_founded(), NOW_MS)
    pages = [Page(b"org_acme/key_gone", None), *core.finish().pages]
    other = AccountsCore()

    other.restore(pages)

    assert other.states[ACME].number == 2


def set_policy(scope: str, actor: str = OWNER, **rules: tuple[str, ...]) -> PolicyChange:
    return PolicyChange(**common(actor), scope=scope, rules=Rules(**rules))


@pytest.mark.parametrize("scope", [ACME, PROJECT, "key_app"])
def test_a_policy_replaces_the_one_before_as_a_whole(core: AccountsCore, scope: str) -> None:
    core.apply(set_policy(scope, ignored_models=("a",)), NOW_MS)
    change = core.apply(set_policy(scope, ignored_providers=("b",)), NOW_MS)

    last = written(core, ACCOUNT_DIRECTORY.name)[-1]
    policy = Policy.from_json(last.value or b"")
    assert last.key == f"policy_{scope}".encode()
    assert (policy.scope, policy.version) == (scope, change.number)
    assert policy.rules == Rules(ignored_providers=("b",))
    assert set(change.before) == set(change.after) == {"rules", "version"}


def test_a_cleared_policy_is_gone(core: AccountsCore) -> None:
    core.apply(set_policy(PROJECT), NOW_MS)
    removal = PolicyRemoval(**common(), scope=PROJECT)
    said = [refusal(core, removal), refusal(core, removal)]

    last = written(core, ACCOUNT_DIRECTORY.name)[-1]
    assert said == [None, Refusal.NOT_FOUND]
    assert (last.key, last.value) == (f"policy_{PROJECT}".encode(), None)


def test_a_policy_binds_what_there_is(core: AccountsCore) -> None:
    assert refusal(core, set_policy("key_none")) is Refusal.NOT_FOUND
    assert refusal(core, set_policy(PROJECT, "key_member")) is Refusal.PERMISSION_DENIED
    assert refusal(core, set_policy(PROJECT, "key_admin")) is None


def test_a_deleted_key_takes_its_policy_along(core: AccountsCore) -> None:
    core.apply(set_policy("key_app"), NOW_MS)
    core.finish()

    core.apply(KeyDeletion(**common(), key_id=KeyId("key_app")), NOW_MS)
    gone = {r.key for r in written(core, ACCOUNT_DIRECTORY.name) if r.value is None}

    assert gone == {b"key_app", b"policy_key_app"}
    assert core.states[ACME].policies == {}


def test_policies_survive_a_restart(core: AccountsCore) -> None:
    core.apply(make_founded(), NOW_MS)
    core.apply(set_policy("key_app", ignored_models=("a*",)), NOW_MS)
    other = AccountsCore()

    other.restore(core.finish().pages)

    assert other.states[ACME].policies == core.states[ACME].policies


def test_a_change_of_a_long_field_is_logged_by_its_length_and_digest() -> None:
    """Before and after of a preset with a long text in emoji made a record of more than 1 MB."""
    core = AccountsCore()
    core.apply(make_founded(), NOW_MS)
    texts = ["\U0001f600" * 32_768, "short"]
    changes = [
        PresetChange(**common(), scope=ACME, slug="long", settings=PresetSettings(system=text))
        for text in texts
    ]
    _, logged = [core.apply(change, NOW_MS) for change in changes]

    raw = json.dumps(texts[0], ensure_ascii=False).encode()
    assert json.loads(logged.before["system"]) == {
        "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
    }
    assert logged.after["system"] == '"short"'
