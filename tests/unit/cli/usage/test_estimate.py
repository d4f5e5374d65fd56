"""crossdock batches estimate: what a file would cost, from the file, the catalogue and what ClickHouse knows."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices
from support.builders import make_line
from support.management import Answer, Outcome, Shell, make_preset

PRICES = Prices(input=Decimal(1), output=Decimal(4))
CATALOGUE = Catalogue(
    providers=(
        Provider(
            name="atlas",
            base_url="http://none",
            models=(Offer(model="tern", max_output_tokens=1000, prices=PRICES),),
        ),
    )
)


@pytest.fixture
def dock(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-app")
    monkeypatch.setenv("CLICKHOUSE_URL", "http://clickhouse")
    (tmp_path / "own.json").write_text(CATALOGUE.model_dump_json())
    shell.answer = answering()
    return shell


def answering(*presets: dict[str, Any]) -> Answer:
    """Answer whose key it is, and which presets there are."""

    def answer(request: httpx.Request) -> httpx.Response:
        is_key = request.url.path.endswith("/key")
        key = {"organization_id": "org_1", "project_id": "proj_1"}
        return httpx.Response(200, json={"data": key if is_key else presets})

    return answer


def estimate(dock: Shell, folder: Path, *lines: bytes, words: tuple[str, ...] = ()) -> Outcome:
    file = folder / "input.jsonl"
    file.write_bytes(b"\n".join((*lines, b"")))
    return dock.run(
        *("batches", "estimate", str(file), "--catalogue", str(folder / "own.json"), *words)
    )


def test_a_file_is_reckoned_without_being_sent(dock: Shell, tmp_path: Path) -> None:
    dock.usual = {"tern": 10.0}

    outcome = estimate(dock, tmp_path, make_line(0), make_line(1), words=("--json",))

    size = len(make_line(0)) + len(make_line(1))
    assert outcome.json["lines"] == 2
    assert outcome.json["worst_usd"] == f"{(size + 2000 * 4) * Decimal('0.000001')}"
    assert Decimal(outcome.json["likely_usd"]) == (Decimal(size) / 4 + 20 * 4) * Decimal("0.000001")
    assert outcome.json["is_from_history"]
    assert dock.calls == [("GET", "/v1/key"), ("GET", "/v1/presets")]


def test_people_see_a_table_and_what_is_assumed(dock: Shell, tmp_path: Path) -> None:
    outcome = estimate(dock, tmp_path, b"\xef\xbb\xbf" + make_line(0), b"")

    assert outcome.code == 0
    assert "tern" in outcome.out
    assert "256 tokens per answer are assumed" in outcome.out


def test_lines_that_are_not_sound_are_told_and_end_it_with_1(dock: Shell, tmp_path: Path) -> None:
    outcome = estimate(dock, tmp_path, make_line(0), b"{", make_line(1, model="none"))

    assert outcome.code == 1
    assert "line 2: invalid_json_line" in outcome.err
    assert "line 3: model_not_found" in outcome.err
    assert "2 lines are invalid" in outcome.err


def test_an_empty_file_is_said_to_be_empty(dock: Shell, tmp_path: Path) -> None:
    outcome = estimate(dock, tmp_path, b"")

    assert "is empty: write one request per line" in outcome.err


@pytest.mark.parametrize("missing", ["CLICKHOUSE_URL", "OPENAI_API_KEY"])
def test_without_history_it_goes_on(
    dock: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    dock.usual = {"tern": 10.0}

    outcome = estimate(dock, tmp_path, make_line(0), words=("--json",))

    assert not outcome.json["is_from_history"]


def test_an_api_that_refuses_is_passed_over(dock: Shell, tmp_path: Path) -> None:
    dock.says({"error": {"message": "no"}}, 401)

    outcome = estimate(dock, tmp_path, make_line(0), words=("--json",))

    assert (outcome.code, outcome.json["is_from_history"]) == (0, False)


def test_lines_are_reckoned_as_presets_make_them(dock: Shell, tmp_path: Path) -> None:
    brief = make_preset(model="tern", parameters={"max_tokens": 10}, system=None)
    default = make_preset(slug="default", scope="proj_1", model="tern", parameters={}, system=None)
    dock.answer = answering(brief, default)
    hello = [{"role": "user", "content": "hello"}]
    lines = [make_line(0, body={"messages": hello, "preset": "brief"}), make_line(1, body={"messages": hello})]  # fmt: skip

    outcome = estimate(dock, tmp_path, *lines, words=("--json",))
    unknown = estimate(dock, tmp_path, make_line(0, model="@preset/none"))

    assert outcome.json["models"][0]["lines"] == 2
    assert Decimal(outcome.json["worst_usd"]) < (10 + 1000) * 4 * Decimal("0.000001") + Decimal("0.001")  # fmt: skip
    assert "line 1: preset_not_found" in unknown.err


def test_without_the_api_a_file_is_reckoned_all_the_same(dock: Shell, tmp_path: Path) -> None:
    dock.says({"error": {"message": "no"}}, 401)

    outcome = estimate(dock, tmp_path, make_line(0))

    assert outcome.code == 0
