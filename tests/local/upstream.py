"""A provider of the user's own: a tiny OpenAI-shaped server, and the catalogue file that names it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from typing_extensions import override


class Upstream(BaseHTTPRequestHandler):
    """An OpenAI-shaped provider of the user's own."""

    protocol_version = "HTTP/1.1"
    calls: list[tuple[str, str, dict[str, Any]]] = []  # noqa: RUF012  # the server makes the handlers

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.calls.append((self.path, self.headers.get("authorization", ""), body))
        message = {"role": "assistant", "content": "all aboard"}
        answer = {
            "id": "chatcmpl-own",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010},
        }
        raw = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


@contextmanager
def upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()


def catalogue(folder: Path, base_url: str) -> Path:
    file = folder / "own.toml"
    file.write_text(
        f"""
        [[providers]]
        name = "own"
        base_url = "{base_url}"
        api_key_env = "OWN_PROVIDER_KEY"

        [[providers.models]]
        model = "own-model"
        upstream_model = "upstream-name"
        prices = {{ input = "2.00", output = "8.00" }}
        """
    )
    return file
