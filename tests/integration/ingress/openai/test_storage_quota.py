"""Bytes and files that an organization may store."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from crossdock.ingress.openai.retention import Sweep
from crossdock.ingress.openai.storage_quota import ROOM_S
from crossdock.ingress.openai.upload_store import GRACE_MS, LIFE_MS
from integration.ingress.fakes import Ingress, running_ingress

KIB = 1024


async def put(ingress: Ingress, size: int) -> str:
    file = await ingress.sdk.files.create(file=("a.jsonl", b"x" * size), purpose="user_data")
    return file.id


async def begin(ingress: Ingress, size: int) -> str:
    upload = await ingress.sdk.uploads.create(
        filename="a.txt", purpose="user_data", bytes=size, mime_type="text/plain"
    )
    return upload.id


async def objects_of(ingress: Ingress, folder: str) -> list[str]:
    return [path async for path in ingress.dock.objects.list(folder)]


def refused(caught: pytest.ExceptionInfo[openai.APIStatusError]) -> tuple[int, str | None]:
    return caught.value.status_code, caught.value.code


FULL = (413, "storage_limit_exceeded")


async def test_files_are_stored_up_to_the_limit_and_again_after_a_deletion() -> None:
    async with running_ingress(max_stored_bytes_per_organization=100 * KIB) as ingress:
        first = await put(ingress, 60 * KIB)
        with pytest.raises(openai.APIStatusError) as caught:
            await put(ingress, 60 * KIB)
        left = await objects_of(ingress, "files")
        await ingress.sdk.files.delete(first)
        await put(ingress, 60 * KIB)

        assert refused(caught) == FULL
        assert "102,400 bytes" in caught.value.message
        assert "CROSSDOCK_INGRESS_MAX_STORED_BYTES_PER_ORGANIZATION" in caught.value.message
        assert len(left) == 1


async def test_files_that_arrive_at_the_same_time_are_counted_together() -> None:
    async with running_ingress(max_stored_bytes_per_organization=100 * KIB) as ingress:
        done = await asyncio.gather(
            *(put(ingress, 40 * KIB) for _ in range(6)), return_exceptions=True
        )

        stored = [one for one in done if isinstance(one, str)]
        assert 1 <= len(stored) <= 2
        assert len(await objects_of(ingress, "files")) == len(stored)


async def test_an_open_upload_counts_with_its_bytes_until_it_ends() -> None:
    async with running_ingress(max_stored_bytes_per_organization=100 * KIB) as ingress:
        upload = await begin(ingress, 90 * KIB)
        with pytest.raises(openai.APIStatusError) as caught:
            await put(ingress, 20 * KIB)
        with pytest.raises(openai.APIStatusError) as second:
            await begin(ingress, 20 * KIB)
        await ingress.sdk.uploads.cancel(upload)
        await put(ingress, 20 * KIB)

        assert [refused(caught), refused(second)] == [FULL, FULL]


async def test_a_completed_upload_counts_once() -> None:
    async with running_ingress(max_stored_bytes_per_organization=100 * KIB) as ingress:
        upload = await begin(ingress, 60 * KIB)
        part = await ingress.sdk.uploads.parts.create(upload, data=b"x" * 60 * KIB)
        await ingress.sdk.uploads.complete(upload, part_ids=[part.id])

        await put(ingress, 30 * KIB)
        with pytest.raises(openai.APIStatusError) as caught:
            await put(ingress, 30 * KIB)
        assert refused(caught) == FULL


async def test_an_expired_upload_gives_back_its_bytes_and_its_parts() -> None:
    async with running_ingress(max_stored_bytes_per_organization=100 * KIB) as ingress:
        upload = await begin(ingress, 90 * KIB)
        await ingress.sdk.uploads.parts.create(upload, data=b"x" * KIB)
        ingress.clock.advance(LIFE_MS + GRACE_MS + 1)
        await Sweep(ingress.dock).once()

        assert await objects_of(ingress, f"uploads/{upload}/parts") == []
        await put(ingress, 90 * KIB)


async def test_parts_hold_twice_the_bytes_of_their_upload_at_most() -> None:
    async with running_ingress() as ingress:
        upload = await begin(ingress, 10 * KIB)
        for _ in range(2):
            await ingress.sdk.uploads.parts.create(upload, data=b"x" * 10 * KIB)
        with pytest.raises(openai.APIStatusError) as caught:
            await ingress.sdk.uploads.parts.create(upload, data=b"x")
        with pytest.raises(openai.APIStatusError) as large:
            await ingress.sdk.uploads.parts.create(await begin(ingress, KIB), data=b"x" * 10 * KIB)

        assert refused(caught) == refused(large) == (413, "request_too_large")


async def test_parts_that_arrive_at_the_same_time_are_counted_together() -> None:
    async with running_ingress() as ingress:
        upload = await begin(ingress, 10 * KIB)
        await asyncio.gather(
            *(ingress.sdk.uploads.parts.create(upload, data=b"x" * 10 * KIB) for _ in range(8)),
            return_exceptions=True,
        )

        assert len(await objects_of(ingress, f"uploads/{upload}/parts")) <= 2


async def test_the_number_of_files_is_limited() -> None:
    async with running_ingress(max_files_per_organization=2) as ingress:
        await put(ingress, 1)
        await begin(ingress, 1)
        with pytest.raises(openai.APIStatusError) as caught:
            await put(ingress, 1)

        assert refused(caught) == FULL


@pytest.mark.parametrize("setting", ["max_held_bytes_per_organization", "max_held_bytes"])
async def test_uploads_hold_what_their_buffers_hold(setting: str) -> None:
    settings: dict[str, Any] = {setting: 300 * KIB, "body_timeout_s": 30}
    async with running_ingress(**settings) as ingress:
        stop = asyncio.Event()
        head = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'

        async def idle() -> AsyncIterator[bytes]:
            yield head + b"x" * 100 * KIB
            await stop.wait()
            yield b"x" * (100 * KIB - len(head))

        headers = {
            "content-type": "multipart/form-data; boundary=x",
            "content-length": str(200 * KIB),
        }
        waiting = [
            asyncio.ensure_future(  # noqa: TID251  # ended below
                ingress.http.post("/v1/files", headers=headers, content=idle())
            )
            for _ in range(10)
        ]
        await asyncio.sleep(ROOM_S + 1)
        held = ingress.dock.gate.held_bytes
        stop.set()
        answers = await asyncio.gather(*waiting)  # httpx reads an answer when its body has ended

        assert sorted(one.status_code for one in answers) == [400] + [429] * 9
        assert held == 200 * KIB
        assert ingress.dock.gate.held_bytes == 0
