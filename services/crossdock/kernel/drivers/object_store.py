"""The door to the object store: a local folder, S3, GCS or Azure through obstore, imported here and nowhere else.

A write becomes visible whole or not at all, under any crash; memory stays flat however large the object is.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from obstore import open_writer_async
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore, from_url

from crossdock.kernel.process.errors import NoSuchObjectError, SettingsError, StoreError

if TYPE_CHECKING:
    from obstore import AsyncWritableFile
    from obstore.store import ClientConfig, ObjectStore

PIECE_BYTES = 8 * 1024**2  # of a multi-part write; S3 takes 5 MiB to 5 GiB, 10,000 of them
PIECES_AT_ONCE = 2
WRITER_BYTES = PIECE_BYTES * (PIECES_AT_ONCE + 1)  # that a writer holds at most
CHUNK_BYTES = 1024**2  # least size of a chunk of `stream`, except the last
_REMOTE = ("s3:", "s3a:", "gs:", "az:", "azure:", "abfs:", "abfss:", "https:")
_FIRST_LINE = 200
_CLIENT: "ClientConfig" = {
    "timeout": "3600s",  # the default of 30 s counts the whole body, which a slow reader of a large file exceeds
    "connect_timeout": "10s",
    "allow_http": True,  # the operator chose an endpoint with http://; options here hide AWS_ALLOW_HTTP
}


class Writer:
    """An object that is being written. It becomes visible only if its context ends without an error."""

    def __init__(self, raw: "AsyncWritableFile", path: str) -> None:
        self._raw = raw
        self._path = path
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Append `data`.

        Raises:
            StoreError: if the store refused.
        """
        with _translated(self._path):
            await self._raw.write(data)
        self.size += len(data)


class Objects:
    """Objects by path. Every foreign error arrives as `StoreError` or `NoSuchObjectError`."""

    def __init__(self, store: "ObjectStore") -> None:
        self._store = store

    async def put(self, path: str, data: bytes) -> None:
        """Write `data` as a whole; it replaces an earlier object."""
        with _translated(path):
            await self._store.put_async(path, data)

    async def create(self, path: str, data: bytes) -> bool:
        """Write `data` unless the object exists; return whether it was written. One of many writers wins."""
        try:
            with _translated(path):
                await self._store.put_async(path, data, mode="create")
        except FileExistsError:
            return False
        return True

    @asynccontextmanager
    async def writer(self, path: str) -> AsyncIterator[Writer]:
        """Write an object piece by piece; an exception inside discards it."""
        raw = open_writer_async(
            self._store, path, buffer_size=PIECE_BYTES, max_concurrency=PIECES_AT_ONCE
        )
        with _translated(path):
            await raw.__aenter__()
        writer = Writer(raw, path)
        try:
            yield writer
        except BaseException as error:
            await raw.__aexit__(type(error), error, error.__traceback__)
            raise
        with _translated(path):
            await raw.__aexit__(None, None, None)

    async def put_stream(self, path: str, chunks: AsyncIterable[bytes]) -> int:
        """Write all `chunks`; return their length."""
        async with self.writer(path) as writer:
            async for chunk in chunks:
                await writer.write(chunk)
        return writer.size

    async def get(self, path: str) -> bytes:
        with _translated(path):
            result = await self._store.get_async(path)
            return bytes(await result.bytes_async())

    async def get_range(self, path: str, start: int, length: int) -> bytes:
        """Return bytes [start, start + length), fewer where the object ends before."""
        if length <= 0:
            return b""
        try:
            with _translated(path):
                return bytes(await self._store.get_range_async(path, start=start, length=length))
        except NoSuchObjectError:
            raise
        except StoreError:
            if start >= (await self.head(path) or 0):
                return b""
            raise

    async def stream(
        self, path: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield bytes [start, end) in chunks."""
        size = await self.head(path)
        if size is None:
            raise NoSuchObjectError(path)
        stop = size if end is None else min(end, size)
        if start >= stop:
            return
        with _translated(path):
            result = await self._store.get_async(path, options={"range": (start, stop)})
            chunks = result.stream(min_chunk_size=CHUNK_BYTES)
        while True:
            with _translated(path):
                chunk = await anext(chunks, b"")
            if not chunk:
                return
            yield chunk

    async def head(self, path: str) -> int | None:
        """Return the size in bytes, or None if there is no such object."""
        try:
            with _translated(path):
                return int((await self._store.head_async(path))["size"])
        except NoSuchObjectError:
            return None

    async def delete(self, path: str) -> None:
        """Remove the object, if it exists."""
        try:
            with _translated(path):
                await self._store.delete_async(path)
        except NoSuchObjectError:
            return

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """Yield the paths of all objects below the folder `prefix`."""
        async for path, _ in self.sizes(prefix):
            yield path

    async def sizes(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        """Yield path and bytes of all objects below the folder `prefix`."""
        with _translated(prefix):
            pages = self._store.list(prefix)
        while True:
            with _translated(prefix):
                page = await anext(pages, None)
            if page is None:
                return
            for meta in page:
                yield meta["path"], meta["size"]


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NoSuchObjectError(path) from None
    except AlreadyExistsError:
        raise FileExistsError(path) from None
    except (BaseError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0][:_FIRST_LINE]
        raise StoreError(f"object store: {path!r}: {reason}") from error


def open_objects(url: str) -> Objects:
    """Return the store at `url`: file:///folder (created if missing), s3://bucket/prefix, gs://, az://, memory://.

    A remote store takes its credentials and endpoint from the variables that its own tools use (AWS_*, GOOGLE_*,
    AZURE_*).

    Raises:
        SettingsError: if `url` names no supported store.
    """
    if not url:
        raise SettingsError(
            "CROSSDOCK_OBJECTS_URL: not set: use file:///folder, s3://bucket/prefix, gs:// or az://"
        )
    try:
        return Objects(_open_store(url))
    except (BaseError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0][:_FIRST_LINE]
        raise SettingsError(f"CROSSDOCK_OBJECTS_URL: cannot use {url!r}: {reason}") from error


def _open_store(url: str) -> "ObjectStore":
    if url.startswith("memory:"):
        return MemoryStore()
    if url.startswith("file:"):
        return LocalStore.from_url(url, mkdir=True)
    if url.startswith(_REMOTE):
        return from_url(url, client_options=_CLIENT)
    raise ValueError("unknown scheme: use file:///folder, s3://, gs:// or az://")
