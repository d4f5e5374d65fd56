"""Presets as commands: set, replaced, cleared; and who may."""

from typing import Any

import pytest

from crossdock.accounts.commands import presets
from crossdock.accounts.core import AccountsCore
from crossdock.kernel.process.record import Page
from crossdock_schemas.accounts.account import Role
from crossdock_schemas.accounts.control import Change, PresetChange, PresetRemoval, Refusal
from crossdock_schemas.accounts.preset import PresetSettings
from unit.accounts.builders import ACME, NOW_MS, PROJECT, ask_key, common, make_founded, make_key


@pytest.fixture
def core() -> AccountsCore:
    made = AccountsCore()
    made.apply(make_founded(), NOW_MS)
    for role in (Role.ADMIN, Role.MEMBER, Role.ANALYST):
        made.apply(ask_key(make_key(f"key_{role.value}", role=role)), NOW_MS)
    return made


def set_preset(core: AccountsCore, slug: str = "brief", scope: str = ACME, actor: str = "key_owner", **settings: Any) -> Change:  # fmt: skip
    command = PresetChange(
        **common(actor), scope=scope, slug=slug, settings=PresetSettings(**settings)
    )
    return core.apply(command, NOW_MS)


def clear(core: AccountsCore, slug: str = "brief", scope: str = ACME) -> Change:
    return core.apply(PresetRemoval(**common(), scope=scope, slug=slug), NOW_MS)


def test_a_preset_is_replaced_as_a_whole_and_the_log_says_what_changed(core: AccountsCore) -> None:
    set_preset(core, model="tern", system="Be brief.")
    change = set_preset(core, model="gull")

    assert (change.target, change.before["model"], change.after["model"]) == (
        f"preset_brief_{ACME}",
        '"tern"',
        '"gull"',
    )
    (preset,) = core.states[ACME].presets.values()
    assert (preset.model, preset.system, preset.version) == ("gull", None, change.number)


def test_a_preset_is_an_organizations_or_a_projects(core: AccountsCore) -> None:
    assert set_preset(core, scope=PROJECT).refusal is None
    assert set_preset(core, scope="key_owner").refusal is Refusal.NOT_FOUND
    assert set_preset(core, scope="proj_of_others").refusal is Refusal.NOT_FOUND


def test_a_cleared_preset_is_gone(core: AccountsCore) -> None:
    set_preset(core)

    assert clear(core).refusal is None
    assert clear(core).refusal is Refusal.NOT_FOUND
    assert core.states[ACME].presets == {}


def test_presets_have_a_limit(core: AccountsCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "MAX_PRESETS", 1)
    set_preset(core)

    assert set_preset(core, "other").refusal is Refusal.CONFLICT
    assert set_preset(core, model="m").refusal is None


def test_presets_survive_a_restart(core: AccountsCore) -> None:
    set_preset(core, parameters={"stop": ["x"], "seed": 7})
    again = AccountsCore()
    again.restore([Page(page.key, page.value) for page in core.finish().pages])

    assert again.states[ACME].presets == core.states[ACME].presets


@pytest.mark.parametrize(
    ("actor", "is_allowed"), [("key_admin", True), ("key_member", False), ("key_analyst", False)]
)
def test_owners_and_admins_set_presets(core: AccountsCore, actor: str, is_allowed: bool) -> None:
    assert (set_preset(core, actor=actor).refusal is None) == is_allowed
