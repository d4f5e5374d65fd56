"""Files and uploads through the stock SDK."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import openai
import pytest

from crossdock.ingress.openai.retention import Sweep
from crossdock.ingress.openai.upload_store import LIFE_MS, UploadStore
from crossdock_schemas.batches.batch import BatchStatus
from crossdock_schemas.batches.file import StoredFile
from crossdock_schemas.ids import OPERATOR, make_file_id
from crossdock_schemas.topics import FILES
from integration.ingress.fakes import Ingress, World, running_ingress

INPUT = b'{"custom_id":"1"}\n{"custom_id":"2"}\n'


async def upload_input(ingress: Ingress, content: bytes = INPUT) -> str:
    file = await ingress.sdk.files.create(file=("in.jsonl", content), purpose="batch")
    return file.id


async def test_a_file_comes_back_as_it_was_sent() -> None:
    async with running_ingress() as ingress:
        file = await ingress.sdk.files.create(file=("in.jsonl", INPUT), purpose="batch")
        again = await ingress.sdk.files.retrieve(file.id)
        content = await ingress.sdk.files.content(file.id)
        processed = await ingress.sdk.files.wait_for_processing(file.id)

    assert content.content == INPUT
    assert again == file
    assert (file.bytes, file.filename, file.purpose) == (len(INPUT), "in.jsonl", "batch")
    assert file.expires_at == file.created_at + 30 * 86_400
    assert processed.status == "processed"


async def test_a_file_may_be_empty_and_its_name_may_be_odd() -> None:
    async with running_ingress() as ingress:
        file = await ingress.sdk.files.create(file=('ä "x".bin', b""), purpose="user_data")
        content = await ingress.sdk.files.content(file.id)

    assert content.content == b""
    assert "ä" in file.filename
    assert file.expires_at is None


@pytest.mark.parametrize(
    ("content", "is_input"),
    [
        pytest.param(INPUT, True, id="lines"),
        pytest.param(b"\xef\xbb\xbf" + INPUT, True, id="a mark of bytes"),
        pytest.param(b'{"a": "' + b"x" * 100_000 + b'"}\n', True, id="a long line"),
        pytest.param(b"{", False, id="no object"),
        pytest.param(b"[1]\n", False, id="a list"),
        pytest.param(b"PK\x03\x04" + b"\0" * 100_000, False, id="an archive"),
        pytest.param(b"", False, id="nothing"),
    ],
)
async def test_a_name_without_an_ending_is_judged_by_the_content(
    content: bytes, is_input: bool
) -> None:
    """The SDK names raw bytes `upload`."""
    async with running_ingress() as ingress:
        create = ingress.sdk.files.create(file=content, purpose="batch")
        if is_input:
            assert (await create).filename == "upload"
            return
        with pytest.raises(openai.BadRequestError) as caught:
            await create
        files = await ingress.sdk.files.list()

    assert caught.value.code == "invalid_file_format"
    assert not files.data


async def test_a_name_that_is_too_long_is_told_so() -> None:
    async with running_ingress() as ingress:
        with pytest.raises(openai.BadRequestError, match=r"too long.* 606 ") as caught:
            await ingress.sdk.files.create(file=("a" * 600 + ".jsonl", INPUT), purpose="batch")

    assert caught.value.param == "file"


async def test_fields_may_come_after_the_file() -> None:
    body = (
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\nabc\r\n'
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b--\r\n'
    )
    async with running_ingress() as ingress:
        response = await ingress.http.post(
            "/v1/files", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
        )

    assert response.status_code == 200
    assert response.json()["bytes"] == 3


async def test_a_file_lives_as_long_as_was_asked() -> None:
    async with running_ingress() as ingress:
        file = await ingress.sdk.files.create(
            file=("a.bin", b"x"),
            purpose="user_data",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
        ingress.clock.advance(3_600_001)
        with pytest.raises(openai.NotFoundError):
            await ingress.sdk.files.retrieve(file.id)
        listed = [f.id async for f in ingress.sdk.files.list()]
        await Sweep(ingress.dock).once()

        assert file.expires_at == file.created_at + 3600
        assert listed == []
        assert await ingress.dock.objects.head(f"files/{file.id}/content") is None


async def test_files_are_listed_in_pages() -> None:
    async with running_ingress() as ingress:
        ids = []
        for number in range(5):
            ingress.clock.advance(1000)
            purpose: Any = "batch" if number else "user_data"
            file = await ingress.sdk.files.create(file=("a.jsonl", b"x"), purpose=purpose)
            ids.append(file.id)
        newest = [f.id async for f in ingress.sdk.files.list(limit=2)]
        oldest = [f.id async for f in ingress.sdk.files.list(limit=2, order="asc")]
        batch = [f.id async for f in ingress.sdk.files.list(purpose="batch")]
        page = (await ingress.http.get("/v1/files?limit=2")).json()

    assert newest == ids[::-1]
    assert oldest == ids
    assert batch == ids[:0:-1]
    assert page["has_more"] is True
    assert (page["object"], page["first_id"], page["last_id"]) == ("list", ids[4], ids[3])


async def test_a_deleted_file_is_gone() -> None:
    async with running_ingress() as ingress:
        file_id = await upload_input(ingress)
        deleted = await ingress.sdk.files.delete(file_id)
        with pytest.raises(openai.NotFoundError) as caught:
            await ingress.sdk.files.content(file_id)

        assert deleted.deleted
        assert caught.value.param == "id"
        assert await ingress.dock.objects.head(f"files/{file_id}/content") is None


async def test_the_bytes_of_a_running_batchs_input_outlive_its_file() -> None:
    async with running_ingress() as ingress:
        file_id = await upload_input(ingress)
        made = await ingress.sdk.batches.create(
            input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        await ingress.sdk.files.delete(file_id)
        path = f"files/{file_id}/content"
        await Sweep(ingress.dock).once()
        while_running = await ingress.dock.objects.head(path)
        batch = ingress.dock.batches.find(made.id)
        assert batch is not None
        ingress.world.show(batch, status=BatchStatus.COMPLETED)
        await Sweep(ingress.dock).once()

        assert while_running == len(INPUT)
        assert await ingress.dock.objects.head(path) is None
        assert [path async for path in ingress.dock.objects.list("orphans")] == []


@pytest.mark.parametrize(
    ("wanted", "status", "expected"),
    [
        ("bytes=0-4", 206, INPUT[:5]),
        ("bytes=10-", 206, INPUT[10:]),
        ("bytes=-3", 206, INPUT[-3:]),
        ("bytes=0-9999", 206, INPUT),
        ("bytes=9999-", 416, None),
        ("bytes=5-1", 200, INPUT),
        ("nonsense", 200, INPUT),
    ],
)
async def test_a_range_of_the_content(wanted: str, status: int, expected: bytes | None) -> None:
    async with running_ingress() as ingress:
        file_id = await upload_input(ingress)
        response = await ingress.http.get(f"/v1/files/{file_id}/content", headers={"range": wanted})

    assert response.status_code == status
    if expected is not None:
        assert response.content == expected
    assert ("content-range" in response.headers) == (status != 200)


async def test_the_output_of_a_running_batch_can_be_read_as_far_as_it_is() -> None:
    async with running_ingress() as ingress:
        made = await ingress.sdk.batches.create(
            input_file_id=await upload_input(ingress),
            endpoint="/v1/chat/completions",
            completion_window="24h",
        )
        batch = ingress.dock.batches.find(made.id)
        assert batch is not None
        file_id = await ingress.world.show_parts(
            batch, [b"one\ntwo\n", b"three\n"], status=BatchStatus.IN_PROGRESS
        )
        shown = await ingress.sdk.batches.retrieve(made.id)
        whole = await ingress.http.get(f"/v1/files/{file_id}/content")
        later = await ingress.http.get(f"/v1/files/{file_id}/content?offset=1")
        nothing = await ingress.http.get(f"/v1/files/{file_id}/content?offset=3")
        middle = await ingress.http.get(
            f"/v1/files/{file_id}/content", headers={"range": "bytes=5-9"}
        )
        file = await ingress.sdk.files.retrieve(file_id)

    assert shown.output_file_id == file_id
    assert shown.error_file_id is None
    assert whole.content == b"one\ntwo\nthree\n"
    assert whole.headers["x-incomplete"] == "true"
    assert whole.headers["x-last-line"] == "3"
    assert later.content == b"two\nthree\n"
    assert nothing.content == b""
    assert middle.content == b"wo\nth"
    assert file.bytes == 14


async def test_a_finished_batchs_output_is_deleted_with_its_parts() -> None:
    async with running_ingress() as ingress:
        made = await ingress.sdk.batches.create(
            input_file_id="file-x", endpoint="/v1/chat/completions", completion_window="24h"
        )
        batch = ingress.dock.batches.find(made.id)
        assert batch is not None
        file_id = await ingress.world.show_parts(
            batch, [b"one\n", b"two\n"], status=BatchStatus.COMPLETED
        )
        whole = await ingress.http.get(f"/v1/files/{file_id}/content")
        await ingress.sdk.files.delete(file_id)

        assert whole.headers["x-incomplete"] == "false"
        assert [path async for path in ingress.dock.objects.list("batches")] == []


async def test_prepared_lines_are_deleted_with_their_input() -> None:
    async with running_ingress() as ingress:
        file_id = await upload_input(ingress)
        made = await ingress.sdk.batches.create(
            input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        batch = ingress.dock.batches.find(made.id)
        assert batch is not None
        paths = [f"batches/{made.id}/{name}" for name in ("preparation", "prepared")]
        for path in paths:
            await ingress.dock.objects.put(path, b"{}")
        prepared = batch.model_copy(
            update={"preparation_path": paths[0], "prepared_path": paths[1]}
        )
        ingress.world.show(prepared, status=BatchStatus.CANCELLED)
        await ingress.sdk.files.delete(file_id)

        assert [path async for path in ingress.dock.objects.list("batches")] == []


async def test_the_sweep_goes_on_after_a_fault_and_ends_when_told() -> None:
    async with running_ingress(World(is_down=True)) as ingress:
        ingress.world.show_file(make_stored(ingress, expires_at_ms=1))
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            sweeping = group.create_task(Sweep(ingress.dock).run(stop))
            await asyncio.sleep(0.05)
            assert not sweeping.done()
            stop.set()

        assert len(ingress.dock.files.expired(ingress.clock.now_ms())) == 1


@pytest.mark.parametrize(
    ("filename", "purpose", "param"),
    [("in.txt", "batch", "file"), ("in.jsonl", "nonsense", "purpose")],
)
async def test_an_unsound_file_is_refused_and_leaves_nothing(
    filename: str, purpose: Any, param: str
) -> None:
    async with running_ingress() as ingress:
        with pytest.raises(openai.BadRequestError) as caught:
            await ingress.sdk.files.create(file=(filename, b"x"), purpose=purpose)

        assert caught.value.param == param
        assert [path async for path in ingress.dock.objects.list("files")] == []
        assert ingress.world.sent_to(FILES.name) == []


async def test_a_file_over_the_limit_is_refused_and_leaves_nothing() -> None:
    async with running_ingress(max_file_bytes=100_000) as ingress:
        with pytest.raises(openai.APIStatusError) as caught:
            await upload_input(ingress, b"x" * 100_001)
        exact = await upload_input(ingress, b"x" * 100_000)

        assert caught.value.status_code == 413
        assert [path async for path in ingress.dock.objects.list("files")] == [
            f"files/{exact}/content"
        ]


@pytest.mark.parametrize(
    "body", [b"", b"--b", b"garbage", b"--b\r\n\r\nno name\r\n--b--\r\n"], ids=repr
)
async def test_a_broken_form_is_refused(body: bytes) -> None:
    async with running_ingress() as ingress:
        response = await ingress.http.post(
            "/v1/files", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
        )
        plain = await ingress.http.post("/v1/files", json={"file": "x"})

    assert (response.status_code, plain.status_code) == (400, 400)
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_a_file_that_another_ingress_just_took_is_waited_for() -> None:
    async with running_ingress() as ingress:
        file = make_stored(ingress)
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ingress.sdk.files.retrieve(file.file_id))
            await asyncio.sleep(0.1)
            ingress.world.show_file(file)

    assert asking.result().id == file.file_id


async def test_without_kafka_a_file_is_not_taken() -> None:
    async with running_ingress(World(is_down=True)) as ingress:
        with pytest.raises(openai.InternalServerError) as caught:
            await upload_input(ingress)

    assert caught.value.status_code == 503


async def test_an_upload_becomes_a_file() -> None:
    data = bytes(range(256)) * 1000
    async with running_ingress() as ingress:
        upload = await ingress.sdk.uploads.upload_file_chunked(
            file=data,
            filename="big.jsonl",
            bytes=len(data),
            mime_type="application/jsonl",
            purpose="batch",
            part_size=100_000,
            md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        )
        assert upload.file is not None
        content = await ingress.sdk.files.content(upload.file.id)
        left = [path async for path in ingress.dock.objects.list(f"uploads/{upload.id}/parts")]

    assert upload.status == "completed"
    assert content.content == data
    assert left == []


async def start_upload(ingress: Ingress, size: int) -> str:
    upload = await ingress.sdk.uploads.create(
        bytes=size, filename="a.jsonl", mime_type="text/jsonl", purpose="batch"
    )
    assert upload.status == "pending"
    return upload.id


async def test_an_upload_completed_twice_is_one_file() -> None:
    async with running_ingress() as ingress:
        upload_id = await start_upload(ingress, 3)
        part = await ingress.sdk.uploads.parts.create(upload_id, data=b"abc")
        first = await ingress.sdk.uploads.complete(upload_id, part_ids=[part.id])
        second = await ingress.sdk.uploads.complete(upload_id, part_ids=[part.id])

    assert first.file is not None
    assert second.file is not None
    assert first.file.id == second.file.id


async def test_an_upload_may_go_on_at_another_ingress(tmp_path: Path) -> None:
    url = tmp_path.as_uri()
    async with running_ingress(objects_url=url) as first, running_ingress(objects_url=url) as other:
        upload_id = await start_upload(first, 6)
        parts = [
            await ingress.sdk.uploads.parts.create(upload_id, data=data)
            for ingress, data in ((first, b"abc"), (other, b"def"))
        ]
        done = await other.sdk.uploads.complete(upload_id, part_ids=[part.id for part in parts])
        assert done.file is not None
        content = await other.sdk.files.content(done.file.id)
        again = await first.sdk.uploads.complete(upload_id, part_ids=[part.id for part in parts])

    assert content.content == b"abcdef"
    assert again.file == done.file


@pytest.mark.parametrize(
    ("size", "md5", "param"), [(4, None, "part_ids"), (3, "0" * 32, "md5")], ids=["size", "md5"]
)
async def test_an_upload_that_is_not_what_was_announced_is_no_file(
    size: int, md5: str | None, param: str
) -> None:
    async with running_ingress() as ingress:
        upload_id = await start_upload(ingress, size)
        part = await ingress.sdk.uploads.parts.create(upload_id, data=b"abc")
        with pytest.raises(openai.BadRequestError) as caught:
            await ingress.sdk.uploads.complete(
                upload_id, part_ids=[part.id], md5=md5 or openai.omit
            )

        assert caught.value.param == param
        assert [path async for path in ingress.dock.objects.list("files")] == []


async def test_a_cancelled_upload_takes_nothing_more() -> None:
    async with running_ingress() as ingress:
        upload_id = await start_upload(ingress, 3)
        part = await ingress.sdk.uploads.parts.create(upload_id, data=b"abc")
        cancelled = await ingress.sdk.uploads.cancel(upload_id)
        with pytest.raises(openai.BadRequestError):
            await ingress.sdk.uploads.parts.create(upload_id, data=b"abc")
        with pytest.raises(openai.BadRequestError):
            await ingress.sdk.uploads.complete(upload_id, part_ids=[part.id])

    assert cancelled.status == "cancelled"


async def test_an_upload_expires_and_is_swept_a_day_later() -> None:
    async with running_ingress() as ingress:
        upload_id = await start_upload(ingress, 3)
        ingress.clock.advance(LIFE_MS)
        with pytest.raises(openai.BadRequestError, match="expired"):
            await ingress.sdk.uploads.parts.create(upload_id, data=b"abc")
        store = UploadStore(ingress.dock.objects)
        await store.sweep(ingress.clock.now_ms())
        kept = await store.load(upload_id)
        ingress.clock.advance(86_400_001)
        await store.sweep(ingress.clock.now_ms())

        assert kept is not None
        assert await store.load(upload_id) is None


@pytest.mark.parametrize("upload_id", ["upload_nope", "..", "upload_" + "0" * 32])
async def test_an_unknown_upload_is_not_found(upload_id: str) -> None:
    async with running_ingress() as ingress:
        response = await ingress.http.post(
            f"/v1/uploads/{upload_id}/complete".replace("..", "%2e%2e"), json={"part_ids": ["x"]}
        )

    assert response.status_code == 404


def make_stored(ingress: Ingress, expires_at_ms: int | None = None) -> StoredFile:
    now_ms = ingress.clock.now_ms()
    return StoredFile(
        file_id=make_file_id(now_ms),
        account=OPERATOR,
        filename="a",
        purpose="batch",
        bytes=0,
        created_at_ms=now_ms,
        expires_at_ms=expires_at_ms,
        path="a",
    )
