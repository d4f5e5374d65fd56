"""What the stock SDK does beside submitting a batch: single requests, listings, cancellation."""

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from support.dock import MODELS, Dock, chat_lines, repeated, until

PROVIDERS = ("sim-atlas", "sim-borealis", "sim-cumulus")
HELLO: Any = [{"role": "user", "content": "Where do the crates go?"}]


@pytest.fixture
def slow(dock: Dock) -> Iterator[None]:
    """Providers that answer after 700 ms, so that a batch can be met while it runs."""
    dock.reset_simulator()
    for provider in PROVIDERS:
        dock.behave(provider, latency={"ms": 700})
    yield
    dock.reset_simulator()


def running(dock: Dock, batch_id: str, at_least: int) -> openai.types.Batch:
    """Return the batch once `at_least` lines are done."""
    seen: list[openai.types.Batch] = []

    def far_enough() -> bool:
        seen.append(dock.client.batches.retrieve(batch_id))
        counts = seen[-1].request_counts
        return counts is not None and counts.completed >= at_least

    until(far_enough, what=f"{at_least} finished lines")
    return seen[-1]


def test_a_single_completion_waits_for_the_pipelines_answer(dock: Dock) -> None:
    answer = dock.client.chat.completions.create(model="tern-mini", messages=HELLO)

    assert answer.object == "chat.completion"
    assert answer.model == "tern-mini"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_single_completion_is_booked(dock: Dock) -> None:
    response = dock.client.chat.completions.with_raw_response.create(
        model="gull-base", messages=HELLO
    )
    usage = response.parse().usage
    request_id = response.headers["x-request-id"]
    sql = (
        "SELECT outcome, input_tokens, output_tokens, toFloat64(cost_usd) > 0 "
        f"FROM crossdock.attempts FINAL WHERE request_id = '{request_id}'"
    )

    until(lambda: bool(dock.rows(sql)), what="the row of the call")

    assert usage is not None
    assert dock.rows(sql) == [["ok", usage.prompt_tokens, usage.completion_tokens, 1]]


def test_a_stream_is_the_answer_in_chunks(dock: Dock) -> None:
    chunks = list(
        dock.client.chat.completions.create(
            model="heron-large",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert text
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_many_requests_at_once_get_each_its_own_answer(dock: Dock) -> None:
    client = dock.client

    def ask(number: int) -> tuple[str, int]:
        limit = 1 + number % 7
        answer = client.chat.completions.create(
            model=MODELS[number % 3], messages=HELLO, max_tokens=limit
        )
        assert answer.usage is not None
        assert answer.usage.completion_tokens <= limit
        return answer.model, number

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, range(64)))

    assert [model for model, _ in answers] == [MODELS[number % 3] for number in range(64)]


def test_a_providers_refusal_reaches_the_caller(dock: Dock) -> None:
    dock.behave("sim-atlas", models=["another"])

    with pytest.raises(openai.InternalServerError) as caught:
        dock.client.with_options(max_retries=0).embeddings.create(model="wren-embed", input="a")
    dock.reset_simulator()

    # why not its 404: the model exists at our face; that the provider lacks it is not the caller's mistake
    assert caught.value.status_code == 502
    assert caught.value.type
    assert "another" not in caught.value.message


def test_embeddings_come_for_each_input(dock: Dock) -> None:
    client = dock.client

    one = client.embeddings.create(model="wren-embed", input="a crate")
    three = client.embeddings.create(model="wren-embed", input=["a", "b", "c"])
    encoded: Any = client.embeddings.create(
        model="wren-embed", input="a crate", encoding_format="base64"
    )

    assert len(one.data[0].embedding) > 1
    assert [item.index for item in three.data] == [0, 1, 2]
    assert len(base64.b64decode(encoded.data[0].embedding)) == 4 * len(one.data[0].embedding)
    assert one.usage.prompt_tokens > 0


def test_models_are_listed(dock: Dock) -> None:
    models = {model.id: model for model in dock.client.models.list()}

    assert set(models) == {*MODELS, "wren-embed"}
    assert models["tern-mini"].object == "model"
    assert models["tern-mini"].owned_by == "sim-atlas"


def test_batches_are_listed_newest_first_in_pages(dock: Dock) -> None:
    client = dock.client
    made = [dock.submit(chat_lines(1)) for _ in range(5)]

    first = client.batches.list(limit=2)
    page = client.batches.list(limit=2, after=first.data[-1].id)
    found = []
    for batch in client.batches.list(limit=2):
        found.append(batch.id)
        if len(found) == 5:
            break

    assert [batch.id for batch in first.data] == made[:2:-1]
    assert first.has_more is True
    assert [batch.id for batch in page.data] == made[2:0:-1]
    assert found == made[::-1]
    for batch_id in made:
        assert dock.wait(batch_id).status == "completed"


@pytest.mark.usefixtures("slow")
def test_a_batch_cancelled_mid_way_keeps_what_was_done_and_calls_nothing_more(dock: Dock) -> None:
    """More lines of one model than a window holds (4096): what was not fed is never called."""
    client = dock.client
    batch_id = dock.submit(chat_lines(9000, models=("heron-large",)))
    running(dock, batch_id, at_least=100)

    asked = client.batches.cancel(batch_id)
    batch = dock.wait(batch_id)
    calls = len(dock.ledger())
    answered, failed = dock.output(batch)
    time.sleep(1.5)  # two calls' length: what would come late has come

    assert asked.status in {"cancelling", "cancelled"}
    assert batch.status == "cancelled"
    assert batch.cancelling_at is not None
    assert batch.cancelled_at is not None
    assert batch.request_counts is not None
    assert batch.request_counts.total == 9000
    assert 100 <= len(answered) == batch.request_counts.completed
    assert len(failed) == batch.request_counts.failed
    ids = [line["custom_id"] for line in answered + failed]
    assert repeated(ids) == []
    assert set(ids) <= {f"line-{n}" for n in range(9000)}
    assert calls == len(dock.ledger()) == len(answered)


def test_a_cancel_stops_lines_that_were_fed_but_not_called(dock: Dock) -> None:
    for provider in PROVIDERS:
        dock.behave(provider, latency={"ms": 2000})
    batch_id = dock.submit(chat_lines(4000))
    running(dock, batch_id, at_least=1)

    dock.client.batches.cancel(batch_id)
    dock.wait(batch_id)
    calls = len(dock.ledger())
    dock.reset_simulator()

    assert calls < 4000


def test_a_caller_that_hangs_up_cancels_what_was_not_called(dock: Dock) -> None:
    """The provider asked to wait; nobody waits for the answer any more, so there is no second call."""
    dock.reset_simulator()
    for provider in PROVIDERS:
        dock.behave(provider, faults={"429": 1.0}, retry_after_s=3)
    impatient = dock.client.with_options(timeout=1, max_retries=0)

    with pytest.raises(openai.APITimeoutError):
        impatient.chat.completions.create(
            model="tern-mini", messages=[{"role": "user", "content": "Hi"}]
        )
    calls = dock.ledger()
    (asked,) = {entry["request_id"] for entry in calls}
    sql = f"SELECT outcome FROM crossdock.requests FINAL WHERE request_id = '{asked}'"
    until(lambda: dock.rows(sql) == [["cancelled"]], what="its end as cancelled")
    later = dock.ledger()
    dock.reset_simulator()

    assert len(later) == len(calls) == 1


@pytest.mark.usefixtures("slow")
def test_the_output_is_readable_while_the_batch_runs(dock: Dock) -> None:
    client = dock.client
    batch_id = dock.submit(chat_lines(3000))
    batch = running(dock, batch_id, at_least=50)

    assert batch.output_file_id is not None
    early = client.files.content(batch.output_file_id)
    lines = early.content.splitlines()
    ended = dock.wait(batch_id)
    late = client.files.content(batch.output_file_id)

    assert batch.status == "in_progress"
    assert len(lines) >= 50
    assert all(json.loads(line)["response"]["status_code"] == 200 for line in lines)
    assert early.response.headers["x-incomplete"] == "true"
    assert ended.output_file_id == batch.output_file_id
    assert late.content.startswith(early.content)
    assert len(late.content.splitlines()) == 3000
    assert client.files.retrieve(batch.output_file_id).purpose == "batch_output"


def test_a_batch_of_embeddings(dock: Dock) -> None:
    lines = [
        {
            "custom_id": f"e-{number}",
            "method": "POST",
            "url": "/v1/embeddings",
            "body": {"model": "wren-embed", "input": [f"text {number}", "another"]},
        }
        for number in range(100)
    ]

    batch = dock.wait(dock.submit(lines, endpoint="/v1/embeddings"))
    answered, failed = dock.output(batch)

    assert batch.status == "completed"
    assert batch.model == "wren-embed"
    assert failed == []
    assert {line["custom_id"] for line in answered} == {f"e-{n}" for n in range(100)}
    assert all(len(line["response"]["body"]["data"]) == 2 for line in answered)


def test_a_batch_may_mix_models_and_each_line_gets_its_own(dock: Dock) -> None:
    lines = chat_lines(90)

    batch = dock.wait(dock.submit(lines, metadata={"kind": "mixed"}))
    answered, _ = dock.output(batch)

    asked = {line["custom_id"]: line["body"]["model"] for line in lines}
    assert batch.metadata == {"kind": "mixed"}
    assert batch.model is None
    assert {a["custom_id"]: a["response"]["body"]["model"] for a in answered} == asked


def test_a_batch_whose_every_line_fails_completes_with_an_error_file(dock: Dock) -> None:
    for provider in PROVIDERS:
        dock.behave(provider, models=["another"])

    batch = dock.wait(dock.submit(chat_lines(10)))
    answered, failed = dock.output(batch)
    dock.reset_simulator()

    assert batch.status == "completed"
    assert batch.output_file_id is None
    assert answered == []
    assert {line["custom_id"] for line in failed} == {f"line-{n}" for n in range(10)}
    assert {line["response"]["status_code"] for line in failed} == {502}
    assert {line["error"] for line in failed} == {None}
    assert all(line["response"]["body"]["error"]["message"] for line in failed)


def test_a_finished_batch_cannot_be_cancelled(dock: Dock) -> None:
    client = dock.client
    batch = dock.wait(dock.submit(chat_lines(3)))

    with pytest.raises(openai.ConflictError) as caught:
        client.batches.cancel(batch.id)

    assert caught.value.status_code == 409
    assert caught.value.type == "invalid_request_error"
    assert (caught.value.code, caught.value.param) == (None, None)
    assert "'completed'" in caught.value.message
    assert caught.value.response.headers["x-should-retry"] == "false"
