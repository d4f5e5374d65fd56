"""No one locks the organization out by mistake: a change that does is refused, unless it is forced."""

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.accounts.core import AccountsCore
from crossdock_schemas.accounts.account import Project, Role
from crossdock_schemas.accounts.control import (
    Command,
    KeyChange,
    KeyDeletion,
    KeyRotation,
    OrganizationChange,
    ProjectAsked,
    ProjectChange,
    Recovered,
    Refusal,
)
from crossdock_schemas.ids import KeyId, ProjectId
from crossdock_schemas.topics import CANCELS
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

HERE = "192.0.2.7"
OTHER = ProjectId("proj_other")
NUMBER = count()


@pytest.fixture
def core() -> AccountsCore:
    core = AccountsCore()
    core.apply(make_founded(), NOW_MS)
    stamps = {"created_at_ms": NOW_MS, "updated_at_ms": NOW_MS}
    other = Project(account=ACME, project=OTHER, name="other", **stamps)
    core.apply(ProjectAsked(**common(), project=other), NOW_MS)
    core.apply(ask_key(make_key("key_app")), NOW_MS)
    core.apply(ask_key(make_key("key_admin", role=Role.ADMIN, project=OTHER)), NOW_MS)
    core.finish()
    return core


def here(actor: str = OWNER, **fields: Any) -> dict[str, Any]:
    return common(actor) | {"address": HERE} | fields


def rotation(key_id: KeyId = OWNER, overlap_s: int = 60, **fields: Any) -> KeyRotation:
    return KeyRotation(**here(**fields), key_id=key_id, successor=f"key_s{next(NUMBER)}", hash="a" * 64, label="x", overlap_s=overlap_s)  # fmt: skip


LOCKING: dict[str, Command] = {
    "own project off": ProjectChange(**here(), project=PROJECT, disabled=True),
    "organization's networks": OrganizationChange(**here(), allowed_ips=("10.0.0.0/8",)),
    "own networks": KeyChange(**here(), key_id=OWNER, allowed_ips=("10.0.0.0/8", "2001:db8::/32")),
    "own key off": KeyChange(**here(), key_id=OWNER, disabled=True),
    "own key gone": KeyDeletion(**here(), key_id=OWNER),
}


@pytest.mark.parametrize("name", LOCKING)
def test_what_locks_the_last_owner_out_is_refused_unless_it_is_forced(
    core: AccountsCore, name: str
) -> None:
    command = LOCKING[name]

    refused = core.apply(command, NOW_MS)
    forced = core.apply(command.model_copy(update={"force": True}), NOW_MS)

    assert refused.refusal is Refusal.CONFLICT
    assert "?force=lock_out" in (refused.reason or "")
    assert forced.refusal is None
    assert "forced" in forced.after  # the log shows it


def test_the_last_key_that_never_expires_is_not_rotated_into_one_that_does(
    core: AccountsCore,
) -> None:
    core.apply(OrganizationChange(**here(), max_key_life_s=3600), NOW_MS)

    refused = core.apply(rotation(), NOW_MS)

    assert refused.refusal is Refusal.CONFLICT
    assert "never expires" in (refused.reason or "")
    assert core.apply(ask_key(make_key("key_second", role=Role.OWNER)), NOW_MS).refusal is None
    assert core.apply(rotation(), NOW_MS).refusal is None


def test_a_rotated_owner_keeps_a_key_that_never_expires(core: AccountsCore) -> None:
    change = core.apply(rotation(overlap_s=0), NOW_MS)

    alive = [key for key in core.states[ACME].keys.values() if key.is_alive(NOW_MS + 1)]
    assert change.refusal is None
    assert any(key.role is Role.OWNER and key.expires_at_ms is None for key in alive)


def test_the_old_key_of_a_rotation_does_not_count_as_the_last_one(core: AccountsCore) -> None:
    change = rotation(overlap_s=3600)
    core.apply(change, NOW_MS)

    gone = core.apply(KeyDeletion(**here(), key_id=change.successor), NOW_MS)

    assert gone.refusal is Refusal.CONFLICT


def test_an_admin_does_not_switch_off_the_project_of_an_owner(core: AccountsCore) -> None:
    off, forced = (
        ProjectChange(**here("key_admin", force=force), project=PROJECT, disabled=True)
        for force in (False, True)
    )
    rename = ProjectChange(**here("key_admin"), project=PROJECT, name="live")
    own = ProjectChange(**here("key_admin"), project=OTHER, disabled=True)

    said = [core.apply(command, NOW_MS).refusal for command in (off, forced, rename, own)]

    assert said == [Refusal.PERMISSION_DENIED, Refusal.PERMISSION_DENIED, None, Refusal.CONFLICT]


@pytest.mark.parametrize(
    "networks", [("192.0.2.0/24",), ("0.0.0.0/0",), ("10.0.0.0/8", "192.0.2.7/32"), ()], ids=str
)
def test_networks_that_include_the_caller_are_set(
    core: AccountsCore, networks: tuple[str, ...]
) -> None:
    assert core.apply(OrganizationChange(**here(), allowed_ips=networks), NOW_MS).refusal is None
    assert core.apply(KeyChange(**here(), key_id=OWNER, allowed_ips=networks), NOW_MS).refusal is None  # fmt: skip


def test_a_caller_that_speaks_ipv6_to_an_ipv4_network_is_within(core: AccountsCore) -> None:
    mapped = here() | {"address": f"::ffff:{HERE}"}

    assert core.apply(OrganizationChange(**mapped, allowed_ips=(f"{HERE}/32",)), NOW_MS).refusal is None  # fmt: skip


def test_keys_of_others_are_locked_out_freely(core: AccountsCore) -> None:
    changes: list[Command] = [
        KeyChange(**here(), key_id=KeyId("key_app"), allowed_ips=("10.0.0.0/8",)),
        KeyChange(**here(), key_id=KeyId("key_app"), disabled=True),
        ProjectChange(**here(), project=OTHER, disabled=True),
        KeyDeletion(**here(), key_id=KeyId("key_admin")),
    ]

    assert [core.apply(change, NOW_MS).refusal for change in changes] == [None] * 4


def test_recovery_makes_an_owners_key_that_works_and_lifts_what_locked_it_out(
    core: AccountsCore,
) -> None:
    core.apply(OrganizationChange(**here(force=True), allowed_ips=("10.0.0.0/8",)), NOW_MS)
    core.apply(ProjectChange(**here(force=True), project=PROJECT, disabled=True), NOW_MS)
    core.apply(KeyDeletion(**here(force=True), key_id=OWNER), NOW_MS)
    core.finish()
    command = Recovered(**common() | {"actor": None}, key_id="key_back", hash="b" * 64, label="x")

    change = core.apply(command, NOW_MS)
    cancels = [r for r in core.finish().outgoing if r.topic == CANCELS.name]
    again = core.apply(command, NOW_MS)

    state = core.states[ACME]
    made = state.keys[KeyId("key_back")]
    assert (change.refusal, change.action, again.refusal) == (None, "recover", Refusal.CONFLICT)
    assert (made.role, made.expires_at_ms, made.allowed_ips) == (Role.OWNER, None, ())
    assert not state.projects[made.project].disabled
    assert state.organization is not None
    assert state.organization.allowed_ips == ()
    assert {"lifted_ips", "hash"} <= change.after.keys()
    assert [one.key for one in cancels] == [b"key_app"]  # what it asked for may run again


def test_an_unknown_organization_is_not_recovered() -> None:
    command = Recovered(**common() | {"actor": None}, key_id="key_back", hash="b" * 64, label="x")

    assert AccountsCore().apply(command, NOW_MS).refusal is Refusal.NOT_FOUND


KEYS = st.sampled_from([OWNER, *(KeyId(f"key_o{n}") for n in range(3))])
NETWORKS = st.sampled_from([(), ("192.0.2.0/24",), ("10.0.0.0/8",)])
CHANGES = st.one_of(
    st.builds(lambda k, d: KeyChange(**here(), key_id=k, disabled=d), KEYS, st.booleans()),
    st.builds(lambda k, n: KeyChange(**here(), key_id=k, allowed_ips=n), KEYS, NETWORKS),
    st.builds(lambda k: KeyDeletion(**here(), key_id=k), KEYS),
    st.builds(rotation, KEYS, st.sampled_from([0, 60])),
    st.builds(lambda n: OrganizationChange(**here(), allowed_ips=n), NETWORKS),
    st.builds(lambda s: OrganizationChange(**here(), max_key_life_s=s), st.sampled_from([0, 60])),
    st.builds(
        lambda p, d: ProjectChange(**here(), project=p, disabled=d),
        st.sampled_from([PROJECT, OTHER]),
        st.booleans(),
    ),
)


@given(changes=st.lists(st.tuples(CHANGES, KEYS), max_size=30))
def test_whatever_owners_do_a_key_that_never_expires_still_works_from_here(
    changes: list[tuple[Command, KeyId]],
) -> None:
    core = AccountsCore()
    core.apply(make_founded(), NOW_MS)
    stamps = {"created_at_ms": NOW_MS, "updated_at_ms": NOW_MS}
    core.apply(ProjectAsked(**common(), project=Project(account=ACME, project=OTHER, name="o", **stamps)), NOW_MS)  # fmt: skip
    for n in range(2):
        core.apply(ask_key(make_key(f"key_o{n}", role=Role.OWNER, project=OTHER)), NOW_MS)

    for change, actor in changes:
        core.apply(change.model_copy(update={"actor": actor}), NOW_MS)

    state = core.states[ACME]
    off = {project.project for project in state.projects.values() if project.disabled}
    lists = state.organization.allowed_ips if state.organization else ()
    assert any(
        key.role is Role.OWNER
        and not key.disabled
        and key.expires_at_ms is None
        and key.project not in off
        and all("10.0.0.0/8" not in one for one in (lists, key.allowed_ips))
        for key in state.keys.values()
    )


def test_recovery_of_an_organization_that_is_open_makes_a_key_and_nothing_else(
    core: AccountsCore,
) -> None:
    command = Recovered(**common() | {"actor": None}, key_id="key_back", hash="b" * 64, label="x")

    change = core.apply(command, NOW_MS)

    assert change.refusal is None
    assert not {"lifted_ips", "enabled_project"} & change.after.keys()
    assert not [r for r in core.finish().outgoing if r.topic == CANCELS.name]
