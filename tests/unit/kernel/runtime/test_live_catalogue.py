"""A stage goes on with a newer catalogue without a restart, and with its own one if the newer is no good."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from crossdock.kernel.process.errors import SettingsError
from crossdock.kernel.runtime import live_catalogue
from crossdock.kernel.runtime.live_catalogue import LiveCatalogue
from crossdock_schemas.pricing.catalogue import Catalogue, Provider


def catalogue_of(*names: str) -> Catalogue:
    return Catalogue(
        providers=tuple(Provider(name=n, base_url="http://x.test/v1", models=()) for n in names)
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "catalogue.json", catalogue_of("one"))


def write(file: Path, catalogue: Catalogue) -> Path:
    """Replace the file at once, as operators' tools do."""
    newer = file.with_suffix(".new")
    newer.write_text(catalogue.model_dump_json())
    newer.replace(file)
    return file


def test_it_needs_a_valid_one_to_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        LiveCatalogue(tmp_path / "catalogue.json")


def test_its_users_get_each_other_one_once(file: Path) -> None:
    live = LiveCatalogue(file)
    got: list[Catalogue] = []
    live.on_change(got.append)

    assert not live.reload()
    write(file, catalogue_of("one", "two"))
    assert live.reload()
    assert not live.reload()

    assert got == [catalogue_of("one", "two")]
    assert live.current == got[0]


def test_one_that_a_user_refuses_changes_nothing_and_the_next_one_is_used(file: Path) -> None:
    live = LiveCatalogue(file)

    def refuse_two(newer: Catalogue) -> None:
        if "two" in newer.by_name:
            raise SettingsError("not in the catalogue: one")

    live.on_change(refuse_two)
    assert not live.reload()
    write(file, catalogue_of("two"))
    assert not live.reload()
    assert live.current == catalogue_of("one")

    write(file, catalogue_of("three"))
    assert live.reload()


@pytest.mark.parametrize("content", ["", "{", '{"providers": [{"name": "a"}]}', None])
def test_a_file_that_is_no_good_changes_nothing(file: Path, content: str | None) -> None:
    live = LiveCatalogue(file)
    if content is None:
        file.unlink()
    else:
        file.write_text(content)

    assert not live.reload()

    assert live.current == catalogue_of("one")


async def test_a_changed_file_is_read_by_itself_and_on_sighup(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_catalogue, "LOOK_S", 0.01)
    live, changed = LiveCatalogue(file), asyncio.Event()
    live.on_change(lambda _: changed.set())
    following = asyncio.ensure_future(live.follow())  # noqa: TID251  # cancelled below
    await asyncio.sleep(0.05)

    write(file, catalogue_of("two"))
    await asyncio.wait_for(changed.wait(), 10)
    assert live.current == catalogue_of("two")

    changed.clear()
    monkeypatch.setattr(live_catalogue, "LOOK_S", 1000)
    await asyncio.sleep(0.05)
    write(file, catalogue_of("three"))
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.wait_for(changed.wait(), 10)

    assert live.current == catalogue_of("three")
    following.cancel()
