"""A stage's package docstring names its topics and its guarantee as the tables of `crossdock_schemas` do."""

import ast
import re
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import pytest

from crossdock_schemas.stages import PROVISION, STAGES, Stage
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import TOPICS, topics_in, topics_out

ROOT = Path(__file__).parents[2]
every_stage = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)


def names(topics: Iterable[Topic]) -> str:
    """Return the names in their order; topics that differ in their delay alone are one."""
    return ", ".join(
        dict.fromkeys(re.sub(r"later\.\d+[smh]", "later.<delay>", t.name) for t in topics)
    )


@every_stage
@pytest.mark.parametrize("part", ["In", "Out", "Guarantee"])
def test_a_stages_docstring_agrees_with_the_tables(stage: Stage, part: str) -> None:
    wanted = {
        "In": names(topics_in(stage.name)),
        "Out": names(topics_out(stage.name)),
        "Guarantee": stage.guarantee.name,
    }
    docstring = import_module(f"crossdock.{stage.name}").__doc__ or ""

    said = re.search(rf"\b{part}: (.*?)\.(?:\s|$)", docstring, re.DOTALL)

    assert said is not None, f"{part}: {wanted[part]}."
    assert " ".join(said[1].split()) == wanted[part]


def test_topics_are_written_and_read_by_stages_only() -> None:
    named = {stage for topic in TOPICS for stage in (*topic.producers, *topic.consumers)}

    assert named == {stage.name for stage in (PROVISION, *STAGES)}


@every_stage
def test_a_stage_uses_no_topic_that_the_table_does_not_give_it(stage: Stage) -> None:
    allowed = {topic.name for topic in (*topics_in(stage.name), *topics_out(stage.name))}
    topics = import_module("crossdock_schemas.topics")
    used = {
        found.name
        for file in (ROOT / "services/crossdock" / stage.name).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == topics.__name__
        for alias in node.names
        if isinstance(found := getattr(topics, alias.name), Topic)
    }

    assert used
    assert used <= allowed
