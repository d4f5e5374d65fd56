"""Single requests through the stock SDK and through plain HTTP."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.parcel.parcel import MAX_INLINE_BYTES, Parcel
from crossdock_schemas.topics import REQUESTS
from integration.ingress.fakes import (
    CHAT_MODEL,
    EMBEDDING_MODEL,
    Ingress,
    Json,
    World,
    make_completion,
    running_ingress,
)

HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Hello"}]
BODY = {"model": CHAT_MODEL, "messages": HELLO}
CHAT = "/v1/chat/completions"


async def test_a_completion_is_the_pipelines_answer() -> None:
    async with running_ingress() as ingress:
        completion = await ingress.sdk.chat.completions.create(model=CHAT_MODEL, messages=HELLO)

    assert completion.choices[0].message.content == "Hello"
    assert completion._request_id is not None
    assert completion._request_id.startswith("req_")


async def test_the_parcel_carries_the_callers_body_verbatim() -> None:
    raw = '{ "model":"atlas-large",\n "messages":[{"role":"user","content":"ä\\n1.50"}],"x":1.50 }'
    async with running_ingress() as ingress:
        await ingress.http.post(CHAT, content=raw.encode())
        (message,) = ingress.world.sent_to(REQUESTS.name)

    parcel = decode_envelope(message.headers, Parcel)
    assert message.key == parcel.account.encode()
    assert parcel.lines == (0,)
    assert message.value is not None
    assert b"\n" not in message.value
    assert message.value.endswith(b'"body":' + raw.replace("\n", " ").encode() + b"}")
    assert json.loads(message.value)["custom_id"] == parcel.request_id


async def test_the_parcel_says_whom_it_is_for_and_what_it_is_tagged_with() -> None:
    said = {"user": "old", "safety_identifier": "alice", "metadata": {"team": "search"}}
    async with running_ingress() as ingress:
        for body in (BODY | said, BODY):
            await ingress.http.post(CHAT, json=body)
        marked, plain = (
            decode_envelope(message.headers, Parcel)
            for message in ingress.world.sent_to(REQUESTS.name)
        )

    assert (marked.users, marked.tags) == (("alice",), {"team": "search"})
    assert (plain.users, plain.tags) == ((), {})


async def test_the_answer_is_passed_on_byte_for_byte() -> None:
    world = World(answer=lambda *_: None)
    body = b'{"n": 1.500, "odd" :"\\u00e4"}'

    def answer(parcel: Parcel, _: Json) -> None:
        world.give_line(
            parcel,
            b'{"id":"x","custom_id":"y","response":{"status_code":200,"request_id":"z","body":'
            + body
            + b'},"error":null}',
        )

    world.answer = answer
    async with running_ingress(world) as ingress:
        response = await ingress.http.post(CHAT, json=BODY)

    assert response.content == body
    assert "openai-processing-ms" in response.headers


async def test_a_large_body_goes_by_reference() -> None:
    async with running_ingress(World(answer=lambda *_: (200, make_completion()))) as ingress:
        long = "x" * (MAX_INLINE_BYTES + 1)
        await ingress.sdk.chat.completions.create(
            model=CHAT_MODEL, messages=[{"role": "user", "content": long}]
        )
        (message,) = ingress.world.sent_to(REQUESTS.name)
        reference = decode_envelope(message.headers, Parcel).body_ref
        assert reference is not None
        line = json.loads(await ingress.dock.objects.get(reference.path))

    assert message.value == b""
    assert line["body"]["messages"][0]["content"] == long


async def test_embeddings_pass_through() -> None:
    answer = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}],
        "model": EMBEDDING_MODEL,
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
    async with running_ingress(World(answer=lambda *_: (200, answer))) as ingress:
        made = await ingress.sdk.embeddings.create(
            model=EMBEDDING_MODEL, input="x", encoding_format="float"
        )

    assert made.data[0].embedding == [0.5, 1.0]


async def test_a_stream_tells_the_finished_answer_in_pieces() -> None:
    text = "A long answer. " * 20
    async with running_ingress(World(answer=lambda *_: (200, make_completion(text)))) as ingress:
        stream = await ingress.sdk.chat.completions.create(
            model=CHAT_MODEL,
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        (message,) = ingress.world.sent_to(REQUESTS.name)

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert len(chunks) > 5
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 5
    assert b"stream" not in (message.value or b"")


async def test_a_stream_that_failed_is_a_plain_error() -> None:
    error = {"error": {"message": "no", "type": "server_error", "param": None, "code": "bad"}}
    async with running_ingress(World(answer=lambda *_: (500, error))) as ingress:
        with pytest.raises(openai.InternalServerError) as caught:
            await ingress.sdk.chat.completions.create(model=CHAT_MODEL, messages=HELLO, stream=True)

    assert caught.value.code == "bad"


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        pytest.param(b"{not json", 400, None, None, id="not json"),
        pytest.param(b"[]", 400, None, None, id="not an object"),
        pytest.param(b'{"messages":[{}]}', 400, "model", "missing_required_parameter", id="model"),
        pytest.param(
            b'{"model":"atlas-large"}', 400, "messages", "missing_required_parameter", id="messages"
        ),
        pytest.param(
            b'{"model":"atlas-large","messages":"hi"}', 400, "messages", "invalid_type", id="type"
        ),
        pytest.param(
            b'{"model":"none","messages":[{}]}', 404, "model", "model_not_found", id="unknown"
        ),
        pytest.param(
            b'{"model":"atlas-large","messages":[{}],"user":7}',
            400,
            "user",
            "invalid_type",
            id="user",
        ),
        pytest.param(
            b'{"model":"atlas-large","messages":[{}],"safety_identifier":"%s"}' % (b"x" * 257),
            400,
            "safety_identifier",
            "string_above_max_length",
            id="long user",
        ),
        pytest.param(
            b'{"model":"atlas-large","messages":[{}],"metadata":{"a":1}}',
            400,
            "metadata.a",
            "invalid_type",
            id="metadata",
        ),
    ],
)
async def test_an_unsound_request_is_refused_before_it_costs(
    body: bytes, status: int, param: str | None, code: str | None
) -> None:
    async with running_ingress() as ingress:
        response = await ingress.http.post(CHAT, content=body)

    error = response.json()["error"]
    assert response.status_code == status
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == (
        "invalid_request_error",
        param,
        code,
    )


async def test_a_model_for_another_path_is_refused_with_what_excludes_each_endpoint() -> None:
    async with running_ingress() as ingress:
        response = await ingress.http.post(CHAT, content=b'{"model":"atlas-embed","messages":[{}]}')

    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (
        404,
        "model_not_found",
        "model",
    )
    assert "not served by /v1/chat/completions, but by /v1/embeddings" in error["message"]
    (told,) = error["metadata"]["excluded_by"]
    assert told["endpoint"].endswith("/atlas-embed")
    assert (told["rule"], told["scope"], told["level"]) == ("operations", "catalogue", "catalogue")
    assert ingress.world.sent == []


async def test_a_body_over_the_limit_is_refused() -> None:
    async with running_ingress(max_body_bytes=1000) as ingress:
        declared = await ingress.http.post(CHAT, content=b"x" * 1001)

        async def chunks() -> Any:
            for _ in range(11):
                yield b"x" * 100

        undeclared = await ingress.http.post(CHAT, content=chunks())

    assert (declared.status_code, undeclared.status_code) == (413, 413)
    assert declared.json()["error"]["code"] == "request_too_large"


async def test_a_body_of_too_many_values_is_refused() -> None:
    """A body of 32 MiB in empty lists took 700 MiB and blocked all others for three seconds."""
    body = b'{"model":"atlas-large","messages":[' + b"[]," * 1_000_000 + b"0]}"
    async with running_ingress() as ingress:
        refused = await ingress.http.post(CHAT, content=body)

    assert refused.status_code == 413
    assert "500,000" in refused.json()["error"]["message"]


async def test_a_wrong_key_is_refused() -> None:
    async with running_ingress() as ingress:
        wrong = ingress.sdk.with_options(api_key="sk-wrong")
        with pytest.raises(openai.AuthenticationError) as caught:
            await wrong.models.list()
        async with httpx.AsyncClient(base_url=ingress.url) as anonymous:
            none = await anonymous.get("/v1/models")
            health = await anonymous.get("/healthz")

    assert caught.value.code == "invalid_api_key"
    assert "sk-wrong" not in str(caught.value)
    assert none.status_code == 401
    assert health.status_code == 200


async def test_an_unknown_path_or_method_gets_the_envelope() -> None:
    async with running_ingress() as ingress:
        unknown = await ingress.http.get("/v1/nothing")
        method = await ingress.http.put("/v1/batches")

    assert unknown.status_code == 404
    assert unknown.json()["error"]["message"] == "Invalid URL (GET /v1/nothing)"
    assert method.status_code == 405
    assert method.json()["error"]["type"] == "invalid_request_error"
    assert unknown.headers["x-request-id"].startswith("req_")


async def test_when_too_many_wait_the_next_is_told_to_come_back() -> None:
    async with (
        running_ingress(World(answer=lambda *_: None), max_waiting=1) as ingress,
        asyncio.TaskGroup() as group,
    ):
        first = group.create_task(ingress.http.post(CHAT, json=BODY))
        await until(lambda: ingress.dock.ring.waiting == 1)
        second = await ingress.http.post(CHAT, json=BODY)
        give_all(ingress)

    assert second.status_code == 429
    assert second.headers["retry-after"] == "1"
    assert first.result().status_code == 200


async def test_without_kafka_the_caller_is_told_to_come_back() -> None:
    async with running_ingress(World(is_down=True)) as ingress:
        response = await ingress.http.post(CHAT, json=BODY)

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


async def test_no_answer_in_time_is_a_timeout() -> None:
    async with running_ingress(World(answer=lambda *_: None), request_timeout_s=0.05) as ingress:
        response = await ingress.http.post(CHAT, json=BODY)

    assert response.status_code == 504
    assert response.json()["error"]["type"] == "timeout"
    assert ingress.dock.ring.waiting == 0


async def test_a_caller_that_hangs_up_ends_only_its_waiting() -> None:
    async with running_ingress(World(answer=lambda *_: None)) as ingress:
        with pytest.raises(httpx.ReadTimeout):
            await ingress.http.post(CHAT, json=BODY, timeout=0.3)
        await until(lambda: ingress.dock.ring.waiting == 0)

        assert len(ingress.world.sent_to(REQUESTS.name)) == 1
        assert ingress.dock.gate.waiting == 0


async def test_a_request_that_was_never_executed_says_why() -> None:
    world = World(answer=lambda *_: None)

    def answer(parcel: Parcel, _: Json) -> None:
        error = '{"code":"request_expired","message":"too late"}'
        line = f'{{"id":"x","custom_id":"y","response":null,"error":{error}}}'
        world.give_line(parcel, line.encode())

    world.answer = answer
    async with running_ingress(world) as ingress:
        response = await ingress.http.post(CHAT, json=BODY)

    assert response.status_code == 504
    assert response.json()["error"] == {
        "message": "too late",
        "type": "timeout",
        "param": None,
        "code": "request_timeout",
    }


@pytest.mark.parametrize(
    ("told", "header"),
    [({"retry_after": 7}, "7"), ({}, None), ({"retry_after": "soon"}, None)],
    ids=["with a time", "without one", "not a number"],
)
async def test_a_key_that_is_too_fast_is_told_when_to_come_back(
    told: Json, header: str | None
) -> None:
    error = {"message": "too fast", "type": "requests", "param": None, "code": "rate_limit_exceeded"} | told  # fmt: skip
    world = World(answer=lambda *_: (429, {"error": error}))
    async with running_ingress(world) as ingress:
        response = await ingress.http.post(CHAT, json=BODY)

    assert response.status_code == 429
    assert response.headers.get("retry-after") == header


async def test_an_unreadable_result_is_a_server_error() -> None:
    world = World(answer=lambda *_: None)
    world.answer = lambda parcel, _: world.give_line(parcel, b"no json")
    async with running_ingress(world) as ingress:
        response = await ingress.http.post(CHAT, json=BODY)

    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"


async def test_many_at_once_each_get_their_own_answer() -> None:
    async with running_ingress() as ingress:

        async def ask(number: int) -> str | None:
            made = await ingress.sdk.chat.completions.create(
                model=CHAT_MODEL, messages=[{"role": "user", "content": f"n{number}"}]
            )
            return made.choices[0].message.content

        answers = await asyncio.gather(*map(ask, range(100)))

    assert answers == [f"n{number}" for number in range(100)]


async def test_the_catalogues_models_are_listed() -> None:
    async with running_ingress() as ingress:
        models = [model.id async for model in ingress.sdk.models.list()]
        one = await ingress.sdk.models.retrieve(CHAT_MODEL)
        with pytest.raises(openai.NotFoundError) as caught:
            await ingress.sdk.models.retrieve("none/such")

    assert models == [CHAT_MODEL, EMBEDDING_MODEL]
    assert one.owned_by == "atlas"
    assert caught.value.code == "model_not_found"


def give_all(ingress: Ingress) -> None:
    for message in ingress.world.sent_to(REQUESTS.name):
        ingress.world.give(decode_envelope(message.headers, Parcel), 200, make_completion())


async def until(condition: Any) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110  # the condition is in a server without an event for it
            await asyncio.sleep(0.01)
