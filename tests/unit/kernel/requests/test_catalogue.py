"""The merged catalogue is read once at the start; what is wrong with it is one clear line."""

from pathlib import Path

import pytest

from crossdock.kernel.process.errors import LogUnreachableError, SettingsError
from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock.local.catalogue import simulated_catalogue


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    catalogue = simulated_catalogue(1234)
    (tmp_path / "c.json").write_text(catalogue.model_dump_json())

    assert load_catalogue(tmp_path / "c.json") == catalogue


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "cannot read"), ("{", "Invalid JSON"), ('{"providers": [{"name": "a"}]}', "base_url")],
)
def test_what_is_wrong_is_told(tmp_path: Path, content: str | None, told: str) -> None:
    file = tmp_path / "c.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(SettingsError, match=told) as caught:
        load_catalogue(file)

    assert str(caught.value).startswith("CROSSDOCK_CATALOGUE: ")


def test_a_process_without_one_says_what_to_set() -> None:
    with pytest.raises(SettingsError, match="CROSSDOCK_CATALOGUE: not set"):
        load_catalogue(None)


def test_a_broker_that_does_not_answer_is_named_with_the_remedy() -> None:
    error = LogUnreachableError("k:9092")

    assert (error.servers, error.retryable, error.code) == ("k:9092", True, "kafka_unreachable")
    assert "set KAFKA_BOOTSTRAP_SERVERS" in str(error)
