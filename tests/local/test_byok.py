"""A run with an own provider key, a worker killed in its midst: the plain key is nowhere but where it was handed in."""

import asyncio
import json
import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
from typing_extensions import override

from crossdock.kernel.drivers.kafka import open_reader, places_of
from crossdock.kernel.drivers.kafka.tail import reached
from crossdock_schemas.topics import ACCOUNT_SECRETS
from local.upstream import Upstream, catalogue
from support.dock import Dock, chat_lines, crossdock, running_dock, until

SECRET = f"sk-own-{secrets.token_hex(24)}"
ANOTHER = f"sk-own-{secrets.token_hex(24)}"
LINES = 80
QUICK_S = 0.1


class Demanding(Upstream):
    """A provider that serves the customer's own account only."""

    accepted = SECRET
    calls: list[tuple[str, str, dict[str, Any]]] = []  # noqa: RUF012  # the server makes the handlers

    @override
    def do_POST(self) -> None:
        time.sleep(QUICK_S)
        if self._is_known():
            super().do_POST()
        else:
            self.rfile.read(int(self.headers["content-length"]))
            self._refuse()

    def do_GET(self) -> None:  # noqa: N802  # the server's name for it
        if self._is_known():
            self._say(200, {"object": "list", "data": []})
        else:
            self._refuse()

    def _is_known(self) -> bool:
        return bool(self.headers.get("authorization") == f"Bearer {self.accepted}")

    def _refuse(self) -> None:
        """Quote the key, as careless providers do."""
        given = self.headers.get("authorization", "none")
        self._say(401, {"error": {"message": f"Incorrect API key: {given}", "code": "bad"}})

    def _say(self, status: int, value: Any) -> None:
        raw = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@contextmanager
def demanding() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Demanding)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()


def forms(secret: str) -> list[bytes]:
    """Return what a secret may look like: plain, in hexadecimal, and in base64 at each of its three places."""
    raw = secret.encode()
    shifted = [b64encode(b"\0" * shift + raw)[shift and 4 : -4] for shift in range(3)]
    return [raw, raw.hex().encode(), raw.hex().upper().encode(), *shifted]


def found_in(content: bytes, *texts: str) -> bool:
    return any(form in content for text in texts for form in forms(text))


def files_with(folder: Path, *texts: str) -> list[str]:
    """Return the files that hold one of `texts`."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return [str(file.relative_to(folder)) for file in files if found_in(file.read_bytes(), *texts)]


async def on_topics(servers: str, topics: set[str]) -> bytes:
    """Return all that lies on `topics`, uncompressed."""
    found = bytearray()
    for topic in sorted(topics):
        places = await places_of(servers, topic)
        async with open_reader(servers, places, client="test") as reader:
            ends = await reader.end_offsets(places)
            while not await reached(reader, ends):
                for record in await reader.poll(max_records=2000, timeout_ms=200):
                    parts = (record.key, record.value, *(value for _, value in record.headers))
                    found += b"\n".join(part or b"" for part in parts)
    return bytes(found)


def topics_of(dock: Dock) -> set[str]:
    logs = (dock.data.path / "kafka").rglob("*-[0-9]*")
    names = {folder.name.rpartition("-")[0] for folder in logs if folder.is_dir()}
    return {name for name in names if not name.startswith("__")}


def in_tables(dock: Dock) -> bytes:
    """Return every row of every table and view, as JSON."""
    tables = dock.rows("SELECT name FROM system.tables WHERE database = 'crossdock'")
    return json.dumps([dock.rows(f"SELECT * FROM crossdock.{name}") for (name,) in tables]).encode()


def own_lines(count: int) -> list[dict[str, Any]]:
    return chat_lines(count, models=("own-model",), chars=20)


def test_the_plain_key_is_nowhere_after_a_run_with_kill_rotation_and_refusal(  # noqa: PLR0915  # one story
    tmp_path: Path,
) -> None:
    said: list[str] = []
    with demanding() as url:
        file = catalogue(tmp_path, url)
        file.write_text(file.read_text().replace('api_key_env = "OWN_PROVIDER_KEY"', ""))
        with running_dock(tmp_path / "data", "--catalogue", str(file)) as dock:
            where = ("--data-dir", str(dock.data.path))

            def run(*words: str, **env: str) -> str:
                done = crossdock(*words, *where, env=env)
                said.append(done.stdout + done.stderr)
                assert done.returncode == 0, done.stderr
                return done.stdout

            made = json.loads(run("byok", "create", "own", "--key-env", "OWN", "--byok-only", "--test", "--json", OWN=SECRET))  # fmt: skip
            byok = made["data"]["id"]
            assert made["test"] == "ok"

            assert told_of_master_keys(dock) == {"ingress.0", "provider.0"}
            assert dock.data.master_key().stat().st_mode & 0o777 == 0o600

            batch_id = dock.submit(own_lines(LINES))
            until(lambda: len(Demanding.calls) >= LINES // 8, what="calls under way")
            assert dock.kill("provider.0")
            lines, errors = dock.output(dock.wait(batch_id))
            assert (len(lines), errors) == (LINES, [])
            assert {key for _, key, _ in Demanding.calls} == {f"Bearer {SECRET}"}

            rotate_master_key(dock)
            assert json.loads(run("secrets", "rotate", "--json"))["rewrapped"] == 1
            keep_newest_master_key(dock)
            assert dock.client.chat.completions.create(**own_lines(1)[0]["body"]).choices

            run("byok", "update", byok, "--key-env", "OWN", OWN=ANOTHER)
            refused, (error,) = dock.output(dock.wait(dock.submit(own_lines(1))))
            assert refused == []
            assert byok in json.dumps(error)
            Demanding.accepted = ANOTHER
            assert dock.client.chat.completions.create(**own_lines(1)[0]["body"]).choices

            run("byok", "delete", byok, "--yes")
            lost, (error,) = dock.output(dock.wait(dock.submit(own_lines(1))))
            assert lost == []
            said.append(json.dumps(error))
            run("audit", "--wait", "60")

            rows = dock.rows(
                "SELECT is_byok, countDistinct(request_id) FROM crossdock.attempts FINAL "
                f"WHERE credential_id = '{byok}' AND outcome = 'ok' GROUP BY is_byok"
            )
            assert rows == [[True, str(LINES + 2)]] or rows == [[True, LINES + 2]]
            servers = dock.addresses["KAFKA_BOOTSTRAP_SERVERS"]
            topics = topics_of(dock)
            assert ACCOUNT_SECRETS.name in topics
            told = asyncio.run(on_topics(servers, topics))
            tables = in_tables(dock)
        data = dock.data.path

    assert found_in(told, byok)
    assert found_in(tables, byok)
    assert any(name.startswith("kafka") for name in files_with(data, byok))
    assert not found_in(told, SECRET, ANOTHER)
    assert not found_in(tables, SECRET, ANOTHER)
    assert not found_in("".join(said).encode(), SECRET, ANOTHER)
    assert files_with(data, SECRET, ANOTHER) == []
    assert files_with(data, dock.data.key_secret()) == [
        "key-secret"
    ]  # the scan finds what is there


def told_of_master_keys(dock: Dock) -> set[str]:
    """Return the processes that are told where the master keys are."""
    environments = {name: psutil.Process(pid).environ() for name, pid in dock.pids().items()}
    return {
        name for name, environ in environments.items() if any("MASTER_KEY" in n for n in environ)
    }


def rotate_master_key(dock: Dock) -> None:
    """Put another master key in front, as the runbook says."""
    file = dock.data.master_key()
    file.write_text(f"{secrets.token_hex(32)}\n{file.read_text()}")
    for stage in ("ingress.0", "provider.0"):
        dock.restart(stage)


def keep_newest_master_key(dock: Dock) -> None:
    file = dock.data.master_key()
    file.write_text(file.read_text().splitlines()[0])
    for stage in ("ingress.0", "provider.0"):
        dock.restart(stage)
