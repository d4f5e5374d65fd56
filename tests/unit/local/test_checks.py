"""How much room the disk has is shown where it is too little."""

from pathlib import Path

import pytest

from crossdock.local.checks import findings, lack_of_space
from crossdock.local.datadir import DataDir

MIB = 1024**2


@pytest.mark.parametrize(
    ("free", "shown"),
    [(1024 * MIB, ""), (1024 * MIB - 1, "only 1023 MiB free"), (0, "only 0 MiB free")],
    ids=["enough", "a byte too little", "none"],
)
def test_too_little_room_is_shown_with_what_is_needed(
    tmp_path: Path, free: int, shown: str
) -> None:
    lack = lack_of_space(DataDir(tmp_path), lambda _: free)

    assert lack == (f"{tmp_path}: {shown}, at least 1 GiB is required" if shown else "")


def test_a_kafka_of_ones_own_is_checked_before_it_is_used(tmp_path: Path) -> None:
    given = {"KAFKA_BOOTSTRAP_SERVERS": "there:1", "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}
    user = {"KAFKA_SASL_USERNAME": "crossdock", "KAFKA_SASL_PASSWORD": "s3cret"}

    refused, taken = (findings(DataDir(tmp_path), [], env)[1] for env in (given, given | user))

    assert refused[:2] == (False, "Kafka")
    assert "needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD" in refused[2]
    assert taken == (True, "Kafka", "yours, at there:1, SASL_SSL")
