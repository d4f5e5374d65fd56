"""HTTP itself as a weapon: requests that are too large or too slow, and providers' statuses that HTTP does not have."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import repeat
from urllib.parse import urlsplit

import openai
import psutil

from bench.processes import peak_mib
from support.attacks import Attacked
from support.effort import Effort
from support.hostile import Received, Reply, completion
from support.slow_clients import slow_clients

MAX_MIB = 300.0
PIECE = b"x" * 262_144
GET = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n"


def address_of(attacked: Attacked) -> tuple[str, int]:
    parts = urlsplit(attacked.dock.addresses["OPENAI_BASE_URL"])
    return str(parts.hostname), int(parts.port or 80)


def ask(attacked: Attacked, pieces: Iterator[bytes]) -> tuple[int, str | None]:
    """Send until the server refuses to read; return status and code of its answer."""
    with closing(socket.create_connection(address_of(attacked), timeout=30)) as client:
        with suppress(ConnectionError, TimeoutError):
            for piece in pieces:
                client.sendall(piece)
        answer = b""
        with suppress(ConnectionError):
            while chunk := client.recv(65_536):
                answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def after(first: bytes, piece: bytes, total: int) -> Iterator[bytes]:
    yield first
    yield from repeat(piece, total // len(piece))


def ingress_mib(attacked: Attacked) -> float:
    pids = [pid for name, pid in attacked.dock.pids().items() if name.startswith("ingress")]
    return max(peak_mib(psutil.Process(pid)) for pid in pids)


HUGE = {
    "a header of 200 MB": (GET + b"a: ", PIECE, 200_000_000, 431, "request_headers_too_large"),
    "60 MB of small headers": (GET, b"a: b\r\n" * 40_000, 60_000_000, 431, "request_headers_too_large"),
    "a URL of 60 MB": (b"GET /", PIECE, 60_000_000, 414, "uri_too_long"),
}  # fmt: skip


def test_what_is_huge_is_refused_before_it_is_held(attacked: Attacked, effort: Effort) -> None:
    with attacked.unharmed(audit=False):
        answers = {
            name: {
                ask(attacked, after(first, piece, total)) for _ in range(effort(short=1, soak=20))
            }
            for name, (first, piece, total, _, _) in HUGE.items()
        }

    assert answers == {name: {(status, code)} for name, (*_, status, code) in HUGE.items()}
    assert ingress_mib(attacked) < MAX_MIB


def test_slow_clients_harm_no_one(
    attacked: Attacked, effort: Effort, tell: Callable[[str], None]
) -> None:
    """Memory grew tenfold and others waited: half-sent requests, trickling headers and bodies, idle uploads."""
    _, key = attacked.dock.make_key("slow")
    size = effort(1, 10)
    kinds = {"silent": 100, "half": 300, "trickle": 100, "body": 100, "upload": 30}
    huge = {"header": 2, "headers": 1, "url": 1, "pipeline": 2, "chunks": 2}
    counts = {kind: count * size for kind, count in kinds.items()} | huge
    host, port = address_of(attacked)

    with attacked.unharmed(audit=False), slow_clients(host, port, key, **counts):
        for _ in range(effort(1, 10)):
            assert ask(attacked, iter([GET])) == (408, "request_too_slow")

    tell(f"{sum(counts.values())} hostile clients: ingress {ingress_mib(attacked):.0f} MiB at most")
    assert ingress_mib(attacked) < MAX_MIB


STATUSES = (201, 204, 299, 304, 399, 402, 418, 499, 511, 599, 600, 700, 999)


def _answer(reply: Reply, _: Received) -> Reply:
    return reply


def status_of_chat(client: openai.OpenAI) -> int:
    try:
        client.chat.completions.create(
            model="hostile", messages=[{"role": "user", "content": "hi"}]
        )
    except openai.APIStatusError as error:
        return error.status_code
    return 200


def test_a_providers_status_does_not_break_the_answer(attacked: Attacked) -> None:
    """A 999 was passed on, and the server closed the connection without an answer."""
    errors = json.dumps({"error": {"message": "no", "type": "x", "code": "y", "param": None}})
    client = attacked.dock.client.with_options(max_retries=0)
    found: dict[int, int] = {}

    with attacked.unharmed():
        for status in STATUSES:
            body = completion().body if status < 300 else errors.encode()
            reply = Reply(b"" if status in {204, 304} else body, status)
            attacked.provider.behave("hostile", partial(_answer, reply))
            found[status] = status_of_chat(client)
        attacked.provider.behave("hostile", partial(_answer, completion()))

    assert all(code == 200 or 400 <= code <= 599 for code in found.values()), found
    assert {found[status] for status in (600, 700, 999)} == {502}
