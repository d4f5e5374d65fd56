"""Bad input gets the answers that OpenAI's API gives, and every process lives on."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from support.dock import Dock, Line, chat_lines

MIB = 1024**2
INVALID = "invalid_request_error"
CHAT = "/v1/chat/completions"
SOUND: dict[str, Any] = {"endpoint": CHAT, "completion_window": "24h"}

Answer = tuple[int, str | None, str | None, str | None]


@pytest.fixture(autouse=True, scope="module")
def same_processes(dock: Dock) -> Iterator[None]:
    """After all of it the very processes that saw the bad input complete a batch."""
    before = dock.pids()

    yield

    batch = dock.wait(dock.submit(chat_lines(6)))
    answered, failed = dock.output(batch)
    assert batch.status == "completed"
    assert len(answered) == 6
    assert failed == []
    assert dock.pids() == before


def changed(line: Line, **changes: Any) -> Line:
    copy: Line = json.loads(json.dumps(line))
    return copy | changes


def refused(call: Callable[[], object]) -> Answer:
    """Return status, type, code and param of the refusal, as the SDK understands it."""
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    error = caught.value
    assert error.message
    return error.status_code, error.type, error.code, error.param


def raw(dock: Dock, method: str, path: str, **arguments: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {dock.client.api_key}"} | arguments.pop("headers", {})
    base = dock.addresses["OPENAI_BASE_URL"].removesuffix("/v1")
    return httpx.request(method, f"{base}{path}", headers=headers, timeout=120, **arguments)


def answer_of(response: httpx.Response) -> Answer:
    error = response.json()["error"]
    assert set(response.json()) == {"error"}
    assert set(error) - {"metadata"} == {"message", "type", "param", "code"}
    assert error["message"]
    assert response.headers["x-request-id"].startswith("req_")
    return response.status_code, error["type"], error["code"], error["param"]


FIRST, SECOND, THIRD = chat_lines(3)
INPUTS: dict[str, tuple[list[Line | bytes], list[tuple[str, int | None, str | None]]]] = {
    "no JSON": ([FIRST, b"not json", b"[1]"], [("invalid_json_line", 2, None), ("invalid_json_line", 3, None)]),
    "bytes that are no text": ([b"\xff\xfe\x00"], [("invalid_json_line", 1, None)]),
    "empty": ([], [("empty_file", None, None)]),
    "blank lines only": ([b"", b"  ", b""], [("empty_file", None, None)]),
    "a custom_id twice": (
        [FIRST, SECOND, changed(FIRST)],
        [("duplicate_custom_id", 3, "custom_id")],
    ),
    "another URL": ([FIRST, changed(SECOND, url="/v1/embeddings")], [("mismatched_endpoint", 2, "url")]),
    "every line for another endpoint": (
        [changed(FIRST, url="/v1/responses"), changed(SECOND, url="/v1/embeddings")],
        [("mismatched_endpoint", 1, "url"), ("mismatched_endpoint", 2, "url")],
    ),
    "an unknown model": (
        [changed(FIRST, body=FIRST["body"] | {"model": "nope"})],
        [("model_not_found", 1, "body.model")],
    ),
    "a model of the other endpoint": (
        [changed(FIRST, body=FIRST["body"] | {"model": "wren-embed"})],
        [("model_not_found", 1, "body.model")],
    ),
    "no messages": ([changed(FIRST, body={"model": "tern-mini"})], [("missing_required_parameter", 1, "body.messages")]),
    "no custom_id": ([changed(FIRST, custom_id=None)], [("missing_required_parameter", 1, "custom_id")]),
    "GET": ([changed(FIRST, method="GET")], [("invalid_method", 1, "method")]),
    "a stream": (
        [changed(FIRST, body=FIRST["body"] | {"stream": True})],
        [("invalid_parameter", 1, "body.stream")],
    ),
    "a line over 16 MiB": (
        [FIRST, changed(SECOND, body=SECOND["body"] | {"user": "x" * 16 * MIB}), THIRD],
        [("line_too_long", 2, None)],
    ),
    "several faults": (
        [b"{", FIRST, changed(FIRST), changed(THIRD, url="/v1/embeddings")],
        [("invalid_json_line", 1, None), ("duplicate_custom_id", 3, "custom_id"), ("mismatched_endpoint", 4, "url")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS)
def test_a_bad_input_fails_the_batch_and_every_bad_line_is_named(dock: Dock, name: str) -> None:
    lines, expected = INPUTS[name]
    content = b"\n".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
    )

    batch = dock.wait(dock.submit_bytes(content))

    assert batch.status == "failed"
    assert batch.errors is not None
    assert [(e.code, e.line, e.param) for e in batch.errors.data or ()] == expected
    assert all(e.message for e in batch.errors.data or ())
    assert batch.failed_at is not None
    assert batch.output_file_id is None
    assert batch.error_file_id is None
    assert batch.request_counts is not None
    assert batch.request_counts.total == 0


def test_a_batch_of_a_missing_file_fails(dock: Dock) -> None:
    client = dock.client

    created = client.batches.create(input_file_id="file-doesnotexist", **SOUND)
    batch = dock.wait(created.id)

    assert created.status == "validating"
    assert batch.status == "failed"
    assert batch.errors is not None
    found = [(e.code, e.line, e.param) for e in batch.errors.data or ()]
    assert found == [("invalid_request", None, "file_id")]


def test_a_batch_of_a_deleted_file_fails(dock: Dock) -> None:
    client = dock.client
    file = client.files.create(file=("a.jsonl", json.dumps(FIRST).encode()), purpose="batch")
    client.files.delete(file.id)

    batch = dock.wait(client.batches.create(input_file_id=file.id, **SOUND).id)

    assert batch.status == "failed"
    assert batch.errors is not None
    assert [e.code for e in batch.errors.data or ()] == ["invalid_request"]


def test_a_batch_of_a_file_with_another_purpose_fails(dock: Dock) -> None:
    client = dock.client
    file = client.files.create(file=("a.jsonl", json.dumps(FIRST).encode()), purpose="user_data")

    batch = dock.wait(client.batches.create(input_file_id=file.id, **SOUND).id)

    assert batch.status == "failed"
    assert batch.errors is not None
    assert [(e.code, e.param) for e in batch.errors.data or ()] == [("invalid_request", "file_id")]


WISHES: dict[str, tuple[dict[str, Any], Answer]] = {
    "17 pairs of metadata": (
        {"metadata": {f"k{n}": "v" for n in range(17)}},
        (400, INVALID, "object_above_max_properties", "metadata"),
    ),
    "a long key": ({"metadata": {"k" * 65: "v"}}, (400, INVALID, "string_above_max_length", "metadata")),
    "a long value": ({"metadata": {"k": "v" * 513}}, (400, INVALID, "string_above_max_length", "metadata.k")),
    "a number as value": ({"metadata": {"k": 1}}, (400, INVALID, "invalid_type", "metadata.k")),
    "metadata that is a list": ({"metadata": ["k"]}, (400, INVALID, "invalid_type", "metadata")),
    "an unknown window": ({"completion_window": "1y"}, (400, INVALID, "invalid_value", "completion_window")),
    "too long a window": ({"completion_window": "8d"}, (400, INVALID, "invalid_value", "completion_window")),
    "an unknown endpoint": ({"endpoint": "/v1/nope"}, (400, INVALID, "invalid_value", "endpoint")),
    "no endpoint": ({"endpoint": None}, (400, INVALID, "missing_required_parameter", "endpoint")),
    "an expiry too soon": (
        {"output_expires_after": {"anchor": "created_at", "seconds": 60}},
        (400, INVALID, "invalid_value", "output_expires_after.seconds"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WISHES)
def test_a_bad_wish_for_a_batch_is_refused(dock: Dock, name: str) -> None:
    changes, expected = WISHES[name]
    client = dock.client

    answer = refused(
        lambda: client.batches.create(**{"input_file_id": "file-x", **SOUND, **changes})
    )

    assert answer == expected


def test_a_wrong_key_is_refused_everywhere(dock: Dock) -> None:
    client = dock.client.with_options(api_key="sk-wrong", max_retries=0)
    calls: list[Callable[[], object]] = [
        client.models.list,
        client.batches.list,
        lambda: client.files.create(file=("a.jsonl", b"{}"), purpose="batch"),
        lambda: client.embeddings.create(model="wren-embed", input="x"),
    ]

    answers = [refused(call) for call in calls]

    assert set(answers) == {(401, INVALID, "invalid_api_key", None)}


def test_a_call_without_a_key_is_refused(dock: Dock) -> None:
    base = dock.addresses["OPENAI_BASE_URL"]

    responses = [
        httpx.get(f"{base}/models"),
        httpx.get(f"{base}/models", headers={"authorization": "Basic abc"}),
    ]
    unknown = httpx.get(f"{base}/nowhere")

    assert {answer_of(r) for r in responses} == {(401, INVALID, "invalid_api_key", None)}
    assert answer_of(unknown) == (404, INVALID, None, None)  # as with a key


def test_a_body_over_the_limit_is_refused(dock: Dock) -> None:
    body = json.dumps(
        {"model": "tern-mini", "messages": [{"role": "user", "content": "x" * 33 * MIB}]}
    ).encode()

    chat = raw(dock, "POST", CHAT, content=body)
    batch = raw(dock, "POST", "/v1/batches", content=body)

    assert answer_of(chat) == (413, INVALID, "request_too_large", None)
    assert answer_of(batch) == (413, INVALID, "request_too_large", None)


def test_a_body_over_the_limit_of_unknown_length_is_refused(dock: Dock) -> None:
    chunks = iter([b"x" * MIB] * 40)

    response = raw(dock, "POST", CHAT, content=chunks)

    assert answer_of(response) == (413, INVALID, "request_too_large", None)


def test_an_upload_over_the_limit_is_refused(dock: Dock) -> None:
    client = dock.client

    answer = refused(
        lambda: client.uploads.create(
            bytes=3 * 1024 * MIB, filename="a.jsonl", mime_type="application/jsonl", purpose="batch"
        )
    )

    assert answer == (413, INVALID, "request_too_large", "bytes")


def test_a_bad_file_is_refused(dock: Dock) -> None:
    client = dock.client
    create: Any = client.files.create  # what the SDK's types forbid, other clients send

    wrong_name = refused(lambda: create(file=("a.txt", b"{}"), purpose="batch"))
    wrong_purpose = refused(lambda: create(file=("a.jsonl", b"{}"), purpose="nope"))

    assert wrong_name == (400, INVALID, "invalid_file_format", "file")
    assert wrong_purpose == (400, INVALID, "invalid_value", "purpose")


BOUNDARY = {"content-type": "multipart/form-data; boundary=xyz"}
PART = b'--xyz\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
FORMS: dict[str, tuple[dict[str, str], bytes]] = {
    "no multipart at all": ({"content-type": "application/json"}, b"{}"),
    "no boundary": ({"content-type": "multipart/form-data"}, b"--xyz--\r\n"),
    "garbage": (BOUNDARY, b"garbage"),
    "nothing": (BOUNDARY, b""),
    "cut off": (BOUNDARY, PART + b"{}"),
    "no file": (BOUNDARY, b'--xyz\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--xyz--\r\n'),
    "no purpose": (BOUNDARY, PART + b"{}\r\n--xyz--\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_broken_multipart_form_is_refused(dock: Dock, name: str) -> None:
    headers, body = FORMS[name]

    response = raw(dock, "POST", "/v1/files", headers=headers, content=body)

    status, kind, _, _ = answer_of(response)
    assert (status, kind) == (400, INVALID)


BODIES: dict[str, tuple[bytes, Answer]] = {
    "broken JSON": (b'{"model": ', (400, INVALID, None, None)),
    "no text": (b"\xff\xfe", (400, INVALID, None, None)),
    "nothing": (b"", (400, INVALID, None, None)),
    "a list": (b"[]", (400, INVALID, None, None)),
    "not a number": (b'{"model": "tern-mini", "temperature": NaN}', (400, INVALID, None, None)),
    "no model": (b"{}", (400, INVALID, "missing_required_parameter", "model")),
    "no messages": (b'{"model": "tern-mini"}', (400, INVALID, "missing_required_parameter", "messages")),
    "messages of another type": (
        b'{"model": "tern-mini", "messages": "hello"}',
        (400, INVALID, "invalid_type", "messages"),
    ),
    "no message": (b'{"model": "tern-mini", "messages": []}', (400, INVALID, "invalid_value", "messages")),
    "an unknown model": (
        b'{"model": "nope", "messages": [{"role": "user", "content": "x"}]}',
        (404, INVALID, "model_not_found", "model"),
    ),
    "an embedding model": (
        b'{"model": "wren-embed", "messages": [{"role": "user", "content": "x"}]}',
        (404, INVALID, "model_not_found", "model"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_bad_single_request_is_refused(dock: Dock, name: str) -> None:
    body, expected = BODIES[name]

    response = raw(dock, "POST", CHAT, content=body)

    assert answer_of(response) == expected
    says_why = "metadata" in response.json()["error"]
    assert says_why == (name == "an embedding model")


PLACES: dict[str, tuple[str, str, int]] = {
    "an unknown path": ("GET", "/v1/nowhere", 404),
    "no path": ("GET", "/", 404),
    "a trailing slash": ("GET", "/v1/models/", 404),
    "an unknown method": ("DELETE", "/v1/batches", 405),
    "an unknown batch": ("GET", "/v1/batches/batch_nope", 404),
    "an unknown batch to cancel": ("POST", "/v1/batches/batch_nope/cancel", 404),
    "an unknown file": ("GET", "/v1/files/file-nope", 404),
    "an unknown file's content": ("GET", "/v1/files/file-nope/content", 404),
    "a file that climbs out": ("GET", "/v1/files/..%2f..%2fapi-key/content", 404),
    "an unknown upload": ("POST", "/v1/uploads/upload_nope/complete", 404),
    "a page of a size that is no number": ("GET", "/v1/batches?limit=many", 400),
    "too large a page": ("GET", "/v1/batches?limit=101", 400),
    "a cursor that is no id": ("GET", "/v1/files?after=x", 400),
}


@pytest.mark.parametrize("name", PLACES)
def test_what_does_not_exist_is_told_in_the_envelope(dock: Dock, name: str) -> None:
    method, path, expected = PLACES[name]

    body = {"part_ids": ["part_nope"]} if "/uploads/" in path else None
    response = raw(dock, method, path, json=body)

    status, kind, _, _ = answer_of(response)
    assert (status, kind) == (expected, INVALID)
