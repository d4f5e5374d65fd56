"""Which endpoints serve a line in a whole installation: by what it demands, by presets, and by whose it is."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from support.dock import Dock, Line, chat_lines, until

MODEL = "gull-base"  # at sim-borealis and at sim-cumulus
LINES = 240
HELLO: Any = [{"role": "user", "content": "Where do the crates go?"}]
ONLY_BOREALIS: dict[str, Any] = {"provider": {"only": ["sim-bor*"]}}


def every_third(**fields: Any) -> list[Line]:
    """Return lines for one model, every third of which has `fields` in its body."""
    lines = []
    for number, line in enumerate(chat_lines(LINES)):
        more = {} if number % 3 else fields
        lines.append(line | {"body": line["body"] | {"model": MODEL} | more})
    return lines


def rows_of(dock: Dock, batch_id: str, columns: str) -> list[list[Any]]:
    """Return `columns` of the batch's calls, once all are in ClickHouse."""
    sql = f"SELECT {columns} FROM crossdock.attempts FINAL WHERE batch_id = '{batch_id}' AND outcome = 'ok'"
    until(lambda: len(dock.rows(sql)) == LINES, what="the row of every call")
    return dock.rows(sql)


def ask(dock: Dock, count: int = 8, model: str = MODEL, **body: Any) -> set[str]:
    """Ask for `count` single answers; return the providers that gave them."""
    create = dock.client.chat.completions.with_raw_response.create
    answers = [create(model=model, messages=HELLO, extra_body=body) for _ in range(count)]
    asked = tuple(answer.headers["x-request-id"] for answer in answers)
    sql = (
        "SELECT request_id, provider FROM crossdock.attempts FINAL WHERE outcome = 'ok' AND "
        f"request_id IN {(*asked, '')}"
    )
    until(lambda: len(dock.rows(sql)) == count, what="the row of every call")
    return {str(provider) for _, provider in dock.rows(sql)}


@pytest.fixture(autouse=True)
def calm(dock: Dock) -> None:
    dock.reset_simulator()


def test_lines_of_a_batch_go_where_each_demands_it(dock: Dock) -> None:
    batch = dock.wait(dock.submit(every_third(**ONLY_BOREALIS)))
    answered, failed = dock.output(batch)

    rows = rows_of(dock, batch.id, "line % 3 = 0, provider")

    assert (len(answered), failed) == (LINES, [])
    assert {provider for is_third, provider in rows if is_third} == {"sim-borealis"}
    assert {provider for is_third, provider in rows if not is_third} == {
        "sim-borealis",
        "sim-cumulus",
    }


def test_a_single_request_goes_where_it_demands_it(dock: Dock) -> None:
    assert ask(dock, **ONLY_BOREALIS) == {"sim-borealis"}
    with pytest.raises(openai.NotFoundError) as caught:
        ask(dock, 1, provider={"only": ["sim-atlas"]})

    error: Any = caught.value.body
    assert (error["code"], error["param"]) == ("no_endpoint_found", "provider")
    assert {one["endpoint"] for one in error["metadata"]["excluded_by"]} == {
        f"{provider}/{MODEL}" for provider in ("sim-borealis", "sim-cumulus")
    }


@pytest.fixture
def preset(dock: Dock) -> Iterator[str]:
    settings = {"model": MODEL, "parameters": ONLY_BOREALIS}
    dock.manage("PUT", "presets/proj_default/borealis-only", settings)
    yield "borealis-only"
    dock.manage("DELETE", "presets/proj_default/borealis-only")


def test_a_preset_says_what_its_requests_demand_unless_they_say_it_themselves(
    dock: Dock, preset: str
) -> None:
    other: dict[str, Any] = {"provider": {"ignore": ["sim-borealis"]}}

    assert ask(dock, model=f"@preset/{preset}") == {"sim-borealis"}
    assert ask(dock, model=f"@preset/{preset}", **other) == {"sim-cumulus"}


@pytest.fixture
def alices_key(dock: Dock) -> Iterator[str]:
    asked = {
        "provider": "sim-cumulus",
        "key": "sk-alices-own-key-at-cumulus",
        "name": "for alice",
        "allowed_user_ids": ["alice"],
    }
    made = dock.manage("POST", "byok", asked)["data"]["id"]
    yield made
    dock.manage("DELETE", f"byok/{made}")


def test_lines_of_an_end_user_are_called_with_the_key_that_is_for_him(
    dock: Dock, alices_key: str
) -> None:
    batch = dock.wait(dock.submit(every_third(safety_identifier="alice")))

    rows = rows_of(dock, batch.id, "line % 3 = 0, credential_id, is_byok, provider")

    third = [row[1:] for row in rows if row[0]]
    assert third == [[alices_key, 1, "sim-cumulus"]] * (LINES // 3)
    assert {is_byok for is_third, _, is_byok, _ in rows if not is_third} == {0}
