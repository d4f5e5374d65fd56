"""The README is true: its links, commands and example are those of the tree."""

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossdock.cli.app import ENTRIES
from crossdock_schemas.pricing.catalogue import Catalogue

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "infra").rglob("*.md"))]


def blocks(text: str, language: str = "") -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> set[tuple[str, ...]]:
    """Return the subcommands of `crossdock` that the code blocks run."""
    told = "\n".join(blocks(text))
    found = re.findall(
        r"(?:^|\(|\.\.\. )crossdock ([a-z-]+)(?: ([a-z][a-z-]*))?", told, re.MULTILINE
    )
    return {tuple(word for word in pair if word) for pair in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())

    missing = [link for link in links if not (page.parent / link).exists()]

    assert missing == []


def anchors(page: Path) -> set[str]:
    """Return the names of a page's headings in a link."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text())

    missing = [
        f"{target}#{name}"
        for target, name in links
        if name not in anchors(page.parent / target if target else page)
    ]

    assert missing == []


def test_every_command_is_one() -> None:
    told = commands((ROOT / "README.md").read_text())

    assert len(told) >= 5
    for command in told:
        assert command[0] in ENTRIES, command
        loaded = ENTRIES[command[0]].load(command[0])
        if len(command) > 1 and hasattr(loaded, "commands"):
            assert command[1] in loaded.commands, command


def test_every_script_can_be_run() -> None:
    told = set(re.findall(r"infra/scripts/\w+", (ROOT / "README.md").read_text()))

    assert {"infra/scripts/demo", "infra/scripts/test"} <= told
    assert all(os.access(ROOT / script, os.X_OK) for script in told)


def test_the_two_commands_come_first() -> None:
    first = next(blocks((ROOT / "README.md").read_text()))

    assert [line.split()[0] for line in first.splitlines()] == [
        "infra/scripts/demo",
        "infra/scripts/test",
    ]


def test_the_catalogue_in_the_readme_is_one() -> None:
    text = next(blocks((ROOT / "README.md").read_text(), "toml"))

    catalogue = Catalogue.model_validate(tomllib.loads(text))

    assert (
        catalogue.serving("tern-mini", "/v1/chat/completions")[0].upstream_model == "acme-small-3"
    )
