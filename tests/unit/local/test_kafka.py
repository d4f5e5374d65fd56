"""The folder of the local Kafka node: who made it, and who may read it."""

from pathlib import Path

import pytest

from crossdock.kernel.process.errors import ProcessError
from crossdock.local.aot_training import train
from crossdock.local.jars import memory_path
from crossdock.local.kafka import KafkaNode


def node_on(folder: Path, *, made_by: str | None) -> KafkaNode:
    """Return a node on a folder that was formatted before."""
    (folder / "data").mkdir()
    (folder / "data" / "meta.properties").touch()
    if made_by is not None:
        (folder / "version").write_text(f"{made_by}\n")
    return KafkaNode(folder, 1, 2, Path("java"), Path("jars"))


@pytest.mark.parametrize("made_by", [None, "4.3.0", "4.10.0"])
def test_what_a_newer_kafka_made_is_refused_with_a_way_out(
    tmp_path: Path, made_by: str | None
) -> None:
    """Before its version was written down it was 4.3.1. Kafka itself ends with a stack trace."""
    with pytest.raises(ProcessError, match=f"created by Kafka {made_by or '4.3.1'}.*--data-dir"):
        node_on(tmp_path, made_by=made_by).prepare()

    assert not (tmp_path / "server.properties").exists()


@pytest.mark.parametrize("made_by", ["4.2.1", "4.2.0", "4.1.2"])
def test_what_this_kafka_or_an_older_one_made_is_used(tmp_path: Path, made_by: str) -> None:
    node_on(tmp_path, made_by=made_by).prepare()

    assert (tmp_path / "server.properties").exists()


@pytest.mark.parametrize(
    ("learned", "options"),
    [
        (None, ["-XX:TieredStopAtLevel=1"]),
        (b"", ["-XX:TieredStopAtLevel=1"]),
        (b"classes and methods", ["-XX:AOTCache={}"]),
    ],
)
def test_a_node_uses_what_another_one_learned(
    tmp_path: Path, learned: bytes | None, options: list[str]
) -> None:
    """Without it, and where none could learn, the quick compiler alone is the better one."""
    memory = memory_path(tmp_path)
    if learned is not None:
        memory.write_bytes(learned)

    argv = KafkaNode(tmp_path, 1, 2, Path("java"), tmp_path).argv()

    told = [option for option in argv if "Tiered" in option or "AOT" in option]
    assert told == [option.format(memory) for option in options]


def test_a_node_that_cannot_be_trained_is_not_trained_again(tmp_path: Path) -> None:
    jars = tmp_path / "jars"
    jars.mkdir()

    train(Path("/bin/false"), jars)
    train(tmp_path / "no java at all", jars)

    assert memory_path(jars).read_bytes() == b""
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tmp")]
