"""The commands' client of the OpenAI-compatible API."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from crossdock.cli.shared.files import write
from crossdock.kernel.process.errors import ProcessError


class ApiClient:
    """The API of one installation.

    Every method raises ProcessError if the API refuses a request, with the API's message, or does not answer.
    """

    def __init__(
        self, base_url: str, api_key: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"authorization": f"Bearer {api_key}"}
        self._client = httpx.Client(
            base_url=base_url,
            headers=headers,
            timeout=httpx.Timeout(60.0, read=600.0),
            transport=transport,
        )
        self._base_url = base_url

    def close(self) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Send a request, and return the JSON of its response."""
        try:
            response = self._client.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise self._unanswered(error) from error
        return self._checked(response)

    def _unanswered(self, error: httpx.TransportError) -> ProcessError:
        kind = type(error).__name__
        return ProcessError(f"no answer from {self._base_url} ({kind}): see `crossdock status`")

    @staticmethod
    def _checked(response: httpx.Response) -> dict[str, Any]:
        try:
            value: dict[str, Any] = response.json()
        except ValueError:
            value = {}
        if response.is_error:
            message = value.get("error", {}).get("message") or f"HTTP {response.status_code}"
            raise ProcessError(message)
        return value

    def upload(self, file: Path) -> dict[str, Any]:
        with file.open("rb") as content:
            parts = {"file": (file.name, content, "application/jsonl")}
            return self.ask("POST", "/files", data={"purpose": "batch"}, files=parts)

    def create_batch(
        self, input_file_id: str, endpoint: str, window: str, metadata: dict[str, str]
    ) -> dict[str, Any]:
        body = {"input_file_id": input_file_id, "endpoint": endpoint, "completion_window": window}
        return self.ask(
            "POST", "/batches", json=body | ({"metadata": metadata} if metadata else {})
        )

    def batch(self, batch_id: str) -> dict[str, Any]:
        return self.ask("GET", f"/batches/{batch_id}")

    def batches(self, limit: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "/batches", params={"limit": limit})["data"]
        return found

    def cancel(self, batch_id: str) -> dict[str, Any]:
        return self.ask("POST", f"/batches/{batch_id}/cancel")

    @contextmanager
    def content(self, file_id: str) -> Iterator[Iterator[bytes]]:
        """Stream a file's content."""
        try:
            with self._client.stream("GET", f"/files/{file_id}/content") as response:
                if response.is_error:
                    response.read()
                    self._checked(response)
                yield response.iter_bytes()
        except httpx.TransportError as error:
            raise self._unanswered(error) from error


def open_client(found: dict[str, str]) -> ApiClient:
    """Return a client for the addresses in `found`.

    Raises:
        ProcessError: if they have no API key.
    """
    if "OPENAI_API_KEY" not in found:
        raise ProcessError('no API key: set OPENAI_API_KEY, or eval "$(crossdock env)"')
    return ApiClient(found["OPENAI_BASE_URL"], found["OPENAI_API_KEY"])


def save(client: ApiClient, file_id: str, path: Path) -> None:
    """Write a file's content to `path`, which appears only when it is complete."""
    with client.content(file_id) as chunks:
        write(path, chunks)
