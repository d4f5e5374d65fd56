"""The guides under infra/docs/guides, and the examples in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

GUIDES = Path(__file__).parents[2] / "infra/docs/guides"


class Example(NamedTuple):
    """A code block with a language."""

    language: str
    text: str


def pages() -> list[Path]:
    return sorted(GUIDES.glob("*.md"))


def examples(page: Path) -> Iterator[Example]:
    for language, text in re.findall(
        r"^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL
    ):
        yield Example(language, text)
