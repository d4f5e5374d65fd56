"""A provider whose answers a test chooses: any bytes, any status, any header, at any pace."""

import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import override


class Received(NamedTuple):
    """A call as the provider received it."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Reply(NamedTuple):
    """An answer, byte for byte."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)


Behaviour = Callable[[Received], Reply]


def completion(
    content: str = "all aboard", *, prompt: Any = 10, output: Any = 5, **fields: Any
) -> Reply:
    """Return a chat completion; `fields` replace those of the answer."""
    message = {"role": "assistant", "content": content}
    usage = {"prompt_tokens": prompt, "completion_tokens": output}
    answer = {
        "id": "chatcmpl-hostile",
        "object": "chat.completion",
        "created": 1,
        "model": "hostile",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    return Reply(json.dumps(answer | fields).encode())


def _sound(_: Received) -> Reply:
    return completion()


class HostileProvider:
    """Each model has a behaviour of its own: the part of the path before /v1 names it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._behaviours: dict[str, Behaviour] = {}
        self.calls: dict[str, list[Received]] = defaultdict(list)

    def behave(self, provider: str, behaviour: Behaviour) -> None:
        """From now on, `provider` answers with `behaviour`."""
        self._behaviours[provider] = behaviour

    def answer(self, received: Received) -> Reply:
        provider = received.path.strip("/").split("/")[0]
        self.calls[provider].append(received)
        behaviour = self._behaviours.get(provider, _sound)
        return behaviour(received)


@contextmanager
def hostile_provider() -> Iterator[HostileProvider]:
    """Serve on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = provider.answer(Received(self.path, headers, body))
            head = [f"HTTP/1.1 {reply.status} Hostile", f"content-length: {len(reply.body)}"]
            head += [f"{name}: {value}" for name, value in reply.headers]
            self.wfile.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + reply.body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = socket.SOMAXCONN

    with Server(("127.0.0.1", 0), Handler) as server:
        provider = HostileProvider(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield provider
        server.shutdown()
        thread.join()


def hostile_catalogue(file: Path, url: str, models: dict[str, str]) -> Path:
    """Write a catalogue of one provider for each model; a value is the model's own lines of TOML."""
    entries = [
        f"""
        [[providers]]
        name = "{model}"
        base_url = "{url}/{model}/v1"
        api_key_env = "HOSTILE_PROVIDER_KEY"

        [[providers.models]]
        model = "{model}"
        upstream_model = "{model}"
        prices = {{ input = "2.00", output = "8.00" }}
        {more}
        """
        for model, more in models.items()
    ]
    file.write_text("\n".join(entries))
    return file
