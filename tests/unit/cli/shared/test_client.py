"""What the API says, the command says; when nobody answers, it says what to do."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from crossdock.cli.shared.client import ApiClient, open_client
from crossdock.kernel.process.errors import ProcessError

Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def asked() -> list[httpx.Request]:
    return []


def make_client(answer: Answer, asked: list[httpx.Request] | None = None) -> ApiClient:
    def handle(request: httpx.Request) -> httpx.Response:
        request.read()
        if asked is not None:
            asked.append(request)
        return answer(request)

    return ApiClient("http://dock/v1", "sk-1", transport=httpx.MockTransport(handle))


def says(value: object, status: int = 200) -> Answer:
    return lambda _: httpx.Response(status, json=value)


def test_each_command_asks_its_own_path(asked: list[httpx.Request], tmp_path: Path) -> None:
    dock = make_client(says({"id": "x", "data": []}), asked)
    (tmp_path / "in.jsonl").write_text("{}")

    dock.upload(tmp_path / "in.jsonl")
    dock.create_batch("file-1", "/v1/embeddings", "24h", {"a": "b"})
    dock.create_batch("file-1", "/v1/embeddings", "24h", {})
    dock.batch("batch_1")
    dock.batches(5)
    dock.cancel("batch_1")
    dock.close()

    assert [(r.method, r.url.path) for r in asked] == [
        ("POST", "/v1/files"),
        ("POST", "/v1/batches"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/batches/batch_1"),
        ("GET", "/v1/batches"),
        ("POST", "/v1/batches/batch_1/cancel"),
    ]
    assert all(r.headers["authorization"] == "Bearer sk-1" for r in asked)
    assert b"metadata" in asked[1].content
    assert b"metadata" not in asked[2].content


def test_a_refusal_is_the_apis_own_words() -> None:
    dock = make_client(says({"error": {"message": "No such batch."}}, 404))

    with pytest.raises(ProcessError, match=r"^No such batch\.$"):
        dock.batch("batch_1")


def test_an_answer_that_is_no_json_is_told_by_its_status() -> None:
    dock = make_client(lambda _: httpx.Response(502, text="<html>"))

    with pytest.raises(ProcessError, match="HTTP 502"):
        dock.batch("batch_1")


def test_nobody_there_is_told_with_the_remedy() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(ProcessError, match=re.escape("no answer from http://dock/v1")) as caught:
        make_client(refuse).batch("batch_1")

    assert "crossdock status" in str(caught.value)


def test_a_files_content_comes_in_chunks() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    dock = make_client(lambda _: httpx.Response(200, content=chunks()))

    with dock.content("file-1") as content:
        assert b"".join(content) == b"onetwo"


def test_a_file_that_is_gone_is_told() -> None:
    dock = make_client(says({"error": {"message": "No such file."}}, 404))

    with pytest.raises(ProcessError, match="No such file"), dock.content("file-1"):
        pass


def test_without_a_key_it_says_what_to_set() -> None:
    with pytest.raises(ProcessError, match="OPENAI_API_KEY"):
        open_client({"OPENAI_BASE_URL": "http://dock/v1"})
    assert isinstance(open_client({"OPENAI_BASE_URL": "u", "OPENAI_API_KEY": "k"}), ApiClient)
