"""Files and uploads through the stock SDK."""

import json
from itertools import pairwise

import openai
import pytest

from support.dock import Dock, Line, chat_lines


def as_jsonl(lines: list[Line]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def test_a_file_is_created_read_listed_and_deleted(dock: Dock) -> None:
    client = dock.client
    content = as_jsonl(chat_lines(5))

    file = client.files.create(file=("five.jsonl", content), purpose="batch")
    found = client.files.retrieve(file.id)
    read = client.files.content(file.id).content
    listed = [item.id for item in client.files.list(purpose="batch")]
    deleted = client.files.delete(file.id)

    assert (file.bytes, file.filename, file.purpose) == (len(content), "five.jsonl", "batch")
    assert found == file
    assert file.status == "processed"
    assert file.expires_at == file.created_at + 30 * 86_400
    assert read == content
    assert listed.count(file.id) == 1
    assert (deleted.id, deleted.deleted) == (file.id, True)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    assert file.id not in [item.id for item in client.files.list()]


def test_files_are_listed_in_pages_in_both_orders(dock: Dock) -> None:
    client = dock.client
    made = [client.files.create(file=(f"{n}.jsonl", b"{}\n"), purpose="evals").id for n in range(5)]

    newest = [item.id for item in client.files.list(purpose="evals", limit=2)]
    oldest = [item.id for item in client.files.list(purpose="evals", limit=2, order="asc")]

    assert [file_id for file_id in newest if file_id in made] == made[::-1]
    assert [file_id for file_id in oldest if file_id in made] == made


def test_an_upload_in_parts_becomes_the_input_of_a_batch(dock: Dock) -> None:
    client = dock.client
    content = as_jsonl(chat_lines(300))
    cuts = (0, len(content) // 3, len(content) // 2 + 7, len(content))
    upload = client.uploads.create(
        bytes=len(content),
        filename="parts.jsonl",
        mime_type="application/jsonl",
        purpose="batch",
    )

    parts = [
        client.uploads.parts.create(upload.id, data=content[start:end])
        for start, end in pairwise(cuts)
    ]
    done = client.uploads.complete(upload.id, part_ids=[part.id for part in parts])
    assert done.file is not None
    batch = client.batches.create(
        input_file_id=done.file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch = dock.wait(batch.id)

    assert upload.status == "pending"
    assert done.status == "completed"
    assert client.files.content(done.file.id).content == content
    assert batch.status == "completed"
    answered, failed = dock.output(batch)
    assert {line["custom_id"] for line in answered} == {f"line-{n}" for n in range(300)}
    assert failed == []


def test_a_cancelled_upload_cannot_be_completed(dock: Dock) -> None:
    client = dock.client
    upload = client.uploads.create(
        bytes=3, filename="a.jsonl", mime_type="application/jsonl", purpose="batch"
    )
    part = client.uploads.parts.create(upload.id, data=b"abc")

    cancelled = client.uploads.cancel(upload.id)

    assert cancelled.status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        client.uploads.complete(upload.id, part_ids=[part.id])
