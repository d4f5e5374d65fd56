"""up, down, status, env, logs, check: what a user meets on a bare machine, when it goes well and when it does not."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import psutil
import pytest

from crossdock.local.datadir import DataDir
from local.upstream import Upstream, catalogue, upstream
from support.dock import Dock, chat_lines, crossdock, running_dock, until

SECRET = "sk-upstream-4f1d2c3b5a697887"
LIMITS = {
    "CROSSDOCK_BATCHES_MAX_LINES": "10",
    "CROSSDOCK_BATCHES_MAX_LINE_BYTES": "10000",
    "CROSSDOCK_BATCHES_MAX_FILE_BYTES": "100000",
    "CROSSDOCK_INGRESS_MAX_FILE_BYTES": "200000",
    "CROSSDOCK_INGRESS_MAX_BODY_BYTES": "20000",
}
STAGES = ("ingress.0", "accounts.0", "batches.0", "router.0", "provider.0", "metering.0", "simulator.0", "clickhouse.0", "kafka")  # fmt: skip

LAGGING = {"batches.0", "provider.0", "metering.0", "router.0", "ingress.0"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dock]:
    """An installation with a provider of the user's own, and small limits."""
    folder = tmp_path_factory.mktemp("own")
    with upstream() as url:
        file = catalogue(folder, url)
        env = LIMITS | {"OWN_PROVIDER_KEY": SECRET}
        with running_dock(
            folder / "dätä dir, #1 %20=\\", "--catalogue", str(file), env=env
        ) as dock:
            yield dock


def data_dir_of(dock: Dock) -> tuple[str, str]:
    return "--data-dir", str(dock.data.path)


def lags_of(dock: Dock) -> dict[str, dict[str, int]]:
    """Return the lag by topic of each process that knows it. A process knows it from its first fetch on."""
    status = json.loads(crossdock("status", "--json", *data_dir_of(dock)).stdout)
    lags = {own["name"]: own["status"].get("lag") for own in status["processes"] if own["status"]}
    return {name: lag for name, lag in lags.items() if lag}


def says(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a command that must fail: return its exit code and its one line."""
    done = crossdock(*arguments, env=env)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert "Traceback" not in done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("crossdock: ")
    return done.returncode, lines[0]


def test_a_second_up_says_that_it_runs(own: Dock) -> None:
    detached = says("up", "--detach", *data_dir_of(own))
    attached = says("up", *data_dir_of(own))

    assert detached == attached
    assert detached[0] == 1
    assert "already runs" in detached[1]
    assert own.addresses["OPENAI_BASE_URL"] in detached[1]
    assert "crossdock down" in detached[1]


def test_status_gives_state_addresses_and_lag_of_every_stage(own: Dock) -> None:
    until(own.are_ready, what="every process being ready")
    until(lambda: lags_of(own).keys() >= LAGGING, what="the first fetch of every stage")

    done = crossdock("status", "--json", *data_dir_of(own))
    table = crossdock("status", *data_dir_of(own))

    assert done.returncode == table.returncode == 0
    status = json.loads(done.stdout)
    assert status["phase"] == "ready"
    assert set(status["addresses"]) == {
        "OPENAI_BASE_URL",
        "CLICKHOUSE_URL",
        "KAFKA_BOOTSTRAP_SERVERS",
        "CROSSDOCK_SIMULATOR_URL",
    }
    found = {process["name"]: process for process in status["processes"]}
    assert set(found) == set(STAGES)
    assert {process["state"] for process in found.values()} == {"ready"}
    assert all(psutil.pid_exists(process["pid"]) for process in found.values())
    for name in STAGES:
        assert name in table.stdout


def test_the_printed_environment_can_be_evaluated(own: Dock) -> None:
    done = crossdock("env", *data_dir_of(own))

    shell = subprocess.run(
        ["bash", "-euc", f'{done.stdout}\nprintf "%s\\n" "$OPENAI_BASE_URL" "$OPENAI_API_KEY" "$CLICKHOUSE_URL"'],
        capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip

    key, _ = own.data.api_key()
    addresses = own.addresses
    assert shell.stdout.splitlines() == [
        addresses["OPENAI_BASE_URL"],
        key,
        addresses["CLICKHOUSE_URL"],
    ]
    assert (own.data.path / "api-key").stat().st_mode & 0o777 == 0o600


def test_a_shell_with_that_environment_can_start_another_installation(
    own: Dock, tmp_path: Path
) -> None:
    """What `crossdock env` printed is this installation's: for another it must not count as the user's own Kafka."""
    printed = crossdock("env", *data_dir_of(own)).stdout
    given = dict(
        line.removeprefix("export ").split("=", 1) for line in shlex.split(printed) if "=" in line
    )

    done = crossdock("up", "--detach", "--data-dir", str(tmp_path), env=given)
    other = Dock(DataDir(tmp_path))
    there = {process["name"] for process in other.processes().values()}
    addresses = other.addresses
    crossdock("down", "--data-dir", str(tmp_path), env=given)

    assert done.returncode == 0, done.stderr
    assert {"kafka", "clickhouse.0"} <= there
    both = {name for name, value in addresses.items() if own.addresses[name] == value}
    assert both == {"KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME"}
    assert addresses["OPENAI_BASE_URL"] in done.stderr


def test_logs_are_printed_by_stage(own: Dock) -> None:
    ingress = crossdock("logs", "ingress", *data_dir_of(own))
    provider = crossdock("logs", "provider.0", "-n", "5", *data_dir_of(own))
    everything = crossdock("logs", *data_dir_of(own))
    unknown = says("logs", "nobody", *data_dir_of(own))

    assert ingress.returncode == provider.returncode == everything.returncode == 0
    assert "ingress.started" in ingress.stdout
    assert "==>" not in ingress.stdout  # one file, no headings
    for name in STAGES:
        assert f"{name}.log <==" in everything.stdout
    assert unknown[0] == 1
    assert "provider.0" in unknown[1]


def test_check_says_what_is_on(own: Dock) -> None:
    done = crossdock("check", *data_dir_of(own))
    bad = crossdock("check", *data_dir_of(own), "--catalogue", "nowhere.toml")

    assert done.returncode == 0, done.stdout
    for word in ("data dir", "in use", "Kafka", "ClickHouse"):
        assert word in " ".join(done.stdout.split())  # a long path breaks the line
    assert bad.returncode == 1
    assert "nowhere.toml" in bad.stdout


def test_limits_are_what_was_configured(own: Dock) -> None:
    client = own.client.with_options(max_retries=0)
    line = json.dumps(chat_lines(1, chars=100)[0])
    long_line = json.dumps(chat_lines(1, chars=11_000)[0])

    lines = own.wait(own.submit(chat_lines(11, chars=10)))
    long = own.wait(own.submit_bytes(f"{long_line}\n".encode()))
    file = own.wait(own.submit_bytes(f"{line}\n".encode() + b"\n" * 100_000))
    with pytest.raises(openai.APIStatusError) as upload:
        client.files.create(file=("a.jsonl", b"\n" * 200_001), purpose="batch")
    with pytest.raises(openai.APIStatusError) as body:
        client.chat.completions.create(
            model="own-model", messages=[{"role": "user", "content": "x" * 20_000}]
        )
    small = own.wait(own.submit(chat_lines(10, chars=10)))

    codes = [[e.code for e in (b.errors and b.errors.data) or ()] for b in (lines, long, file)]
    assert codes == [["too_many_tasks"], ["line_too_long"], ["file_too_large"]]
    for refused in (upload.value, body.value):
        assert (refused.status_code, refused.code) == (413, "request_too_large")
    assert small.status == "completed"


def test_a_provider_of_ones_own_is_called_with_its_key_which_is_kept_nowhere(own: Dock) -> None:
    answer = own.client.chat.completions.create(
        model="own-model", messages=[{"role": "user", "content": "hello"}]
    )
    sql = "SELECT provider, toString(cost_usd) FROM crossdock.attempts FINAL WHERE model = 'own-model'"
    until(lambda: bool(own.rows(sql)), what="the row of the call")

    path, authorization, body = Upstream.calls[-1]
    assert answer.choices[0].message.content == "all aboard"
    assert answer.model in {"own-model", "upstream-name"}
    assert path == "/v1/chat/completions"
    assert authorization == f"Bearer {SECRET}"
    assert body["model"] == "upstream-name"
    assert own.rows(sql) == [["own", "0.00208"]]
    assert "own-model" in [model.id for model in own.client.models.list()]
    holders = [
        file
        for file in own.data.path.rglob("*")
        if file.is_file() and SECRET.encode() in file.read_bytes()
    ]
    assert holders == []


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_after_kill_9_of_the_supervisor_nothing_is_left_and_the_data_survives(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    folder = tmp_path / "dü, #1 100%"  # Kafka's data went into a folder beside it
    with running_dock(folder, "--latency-ms", "5") as dock:
        batch = dock.wait(dock.submit(chat_lines(60)))
        answered, _ = dock.output(batch)
        sql = f"SELECT count() FROM crossdock.requests FINAL WHERE batch_id = '{batch.id}'"
        until(lambda: dock.rows(sql) == [[60]], what="the rows of the batch")
        pids = [pid for pid in dock.pids().values() if pid]
        port = int(dock.addresses["OPENAI_BASE_URL"].split(":")[2].removesuffix("/v1"))
        key = dock.data.api_key()[0]

        os.kill(dock.data.read_state()["pid"], signal.SIGKILL)
        started = time.monotonic()
        until(lambda: not any(alive(pid) for pid in pids), what="the end of all")
        tell(f"{len(pids)} processes were gone after {time.monotonic() - started:.1f} s")
        stopped = crossdock("status", "--json", "--data-dir", str(folder))

    assert stopped.returncode == 3
    assert json.loads(stopped.stdout)["phase"] == "stopped"
    with socket.create_server(("127.0.0.1", port)), running_dock(folder) as again:
        assert f":{port}/" not in again.addresses["OPENAI_BASE_URL"]  # it was taken: another one
        assert DataDir(folder).api_key() == (key, False)
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]
        found = again.client.batches.retrieve(batch.id)
        assert found == batch
        assert again.output(found)[0] == answered
        assert again.rows(sql) == [[60]]
        assert [b.id for b in again.client.batches.list()] == [batch.id]
        assert again.wait(again.submit(chat_lines(20))).status == "completed"


BROKEN = {
    "no TOML": ("a.toml", "providers = [", "a.toml"),
    "no JSON": ("a.json", "{", "a.json"),
    "an unknown key": ("a.toml", '[[providers]]\nname = "x"\nbase = "y"\nmodels = []\n', "base"),
    "no models": ("a.toml", '[[providers]]\nname = "x"\nbase_url = "http://x"\n', "models"),
    "a bad name": ("a.toml", '[[providers]]\nname = "X Y"\nbase_url = "http://x"\nmodels = []\n', "name"),
    "no text": ("a.toml", "\udcff\udcfe", "a.toml"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_catalogue_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    filename, text, word = BROKEN[name]
    file = tmp_path / filename
    file.write_text(text, errors="surrogateescape")

    code, line = says("up", "--detach", "--data-dir", str(tmp_path / "d"), "--catalogue", str(file))

    assert code == 1
    assert "--catalogue" in line
    assert word in line


def test_a_catalogue_whose_key_is_not_set_is_told_in_one_line(tmp_path: Path) -> None:
    file = catalogue(tmp_path, "http://127.0.0.1:9/v1")

    code, line = says("up", "--detach", "--data-dir", str(tmp_path / "d"), "--catalogue", str(file))

    assert code == 1
    assert "OWN_PROVIDER_KEY" in line
    assert not (tmp_path / "d" / "kafka").exists()  # nothing was begun


def test_a_data_dir_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    code, line = says("up", "--detach", "--data-dir", str(tmp_path / "file" / "d"))

    assert code == 1
    assert re.search(r"cannot write to .*--data-dir", line)


def test_a_wrong_kafka_is_told_in_one_line(tmp_path: Path) -> None:
    code, line = says(
        "up", "--detach", "--data-dir", str(tmp_path), env={"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    )  # fmt: skip

    assert code == 1
    assert re.search(r"127\.0\.0\.1:1.*KAFKA_BOOTSTRAP_SERVERS", line)


def test_a_wrong_clickhouse_is_told_in_one_line(tmp_path: Path) -> None:
    code, line = says(
        "up", "--detach", "--data-dir", str(tmp_path), env={"CLICKHOUSE_URL": "http://127.0.0.1:1"}
    )  # fmt: skip

    assert code == 1
    assert re.search(r"127\.0\.0\.1:1.*CLICKHOUSE_URL", line)


def test_no_jars_and_no_network_is_told_in_one_line(tmp_path: Path) -> None:
    proxy = dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:1"
    )
    home = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": ""}

    code, line = says("up", "--detach", "--data-dir", str(tmp_path / "d"), env=proxy | home)

    assert code == 1
    assert re.search(r"cannot fetch Apache Kafka.*network.*KAFKA_BOOTSTRAP_SERVERS", line)
