"""The embedded ClickHouse reads and writes no file of others, calls nobody, and serves no web page."""

import gzip
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.engines import SECRET

MARK = "master-key-5d1c"

READING = (
    "SELECT file('{secret}')",
    "SELECT FILE('{secret}')",
    "SELECT `file`('{secret}')",
    "SELECT \"file\"('{secret}')",
    "SELECT `\\x66ile`('{secret}')",
    "SELECT /* */ file /* */ ('{secret}')",
    "SELECT arrayMap(file, ['{secret}'])",
    "SELECT arrayMap(x -> file(x), ['{secret}'])",
    "SELECT * APPLY(file) FROM (SELECT '{secret}')",
    "WITH file('{secret}') AS a SELECT a",
    "WITH (x -> file(x)) AS f SELECT f('{secret}')",
    "SELECT * FROM file('{secret}', 'LineAsString')",
    "SELECT * FROM file('{secret}', 'RawBLOB')",
    "(SELECT * FROM file('{secret}', LineAsString))",
    "SELECT * FROM view(SELECT * FROM file('{secret}', LineAsString))",
    "SELECT * FROM fileCluster('default', '{secret}', 'LineAsString')",
    "DESCRIBE file('{secret}', 'CSV')",
    "SELECT * FROM `{secret}`",
    "SELECT * FROM default.`{secret}`",
    "DESCRIBE `{secret}`",
    "SELECT * FROM filesystem('{folder}')",
    "SELECT * FROM eval('SELECT file(''{secret}'')')",
    "SELECT * FROM eval('SELECT file(''{secret}'')') SETTINGS allow_experimental_eval_table_function = 1",
    "SELECT * FROM python('os')",
    "SELECT * FROM Python(os)",
    "SELECT * FROM sqlite('{secret}', 't')",
    "SELECT * FROM deltaLakeLocal('{folder}')",
    "SELECT * FROM icebergLocal('{folder}')",
    "SELECT * FROM hudi('{folder}')",
    "SELECT 1 SETTINGS format_schema = '{secret}:M' FORMAT Protobuf",
    "SELECT 1 SETTINGS format_template_resultset = '{secret}' FORMAT Template",
    "SELECT 1 SETTINGS format_template_row = '{secret}' FORMAT Template",
    "EXPLAIN SELECT * FROM file('{secret}', LineAsString)",
    "SELECT 1; SELECT file('{secret}')",
    "SELECT 1;\nSET ROLE owner",
    "SELECT catboostEvaluate('{secret}', 1)",
)
REACHING = (
    "SELECT * FROM url('http://{peer}/', 'LineAsString')",
    "SELECT * FROM urlCluster('default', 'http://{peer}/', 'LineAsString')",
    "SELECT * FROM s3('http://{peer}/a', 'LineAsString')",
    "SELECT * FROM gcs('http://{peer}/a', 'LineAsString')",
    "SELECT * FROM azureBlobStorage('http://{peer}/a', 'c', 'b')",
    "SELECT * FROM hdfs('hdfs://{peer}/a', 'LineAsString', 'a String')",
    "SELECT * FROM remote('{peer}', system.one)",
    "SELECT * FROM remoteSecure('{peer}', system.one)",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM mysql('{peer}', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('{peer}', 'd', 't', 'u', 'p')",
    "SELECT * FROM mongodb('{peer}', 'd', 't', 'u', 'p', 'a String')",
    "SELECT * FROM redis('{peer}', 'k', 'k String')",
    "SELECT * FROM odbc('DSN=x', 'd', 't')",
    "SELECT * FROM jdbc('x', 'd', 't')",
    "SELECT * FROM executable('cat {secret}', 'LineAsString', 'a String')",
    "SELECT * FROM arrowFlight('{peer}', 'd')",
)
CHANGING = (
    "CREATE TABLE own.attack (a String) ENGINE = File(LineAsString, '{secret}')",
    "CREATE TABLE own.attack (a String) ENGINE = URL('http://{peer}/', LineAsString)",
    "CREATE TABLE own.attack (a String) ENGINE = S3('http://{peer}/a', LineAsString)",
    "CREATE TABLE own.attack (a String) ENGINE = MySQL('{peer}', 'd', 't', 'u', 'p')",
    "CREATE TABLE own.attack (a String) ENGINE = Executable('cat', LineAsString)",
    "CREATE TABLE own.attack (a String) ENGINE = Python(os)",
    "CREATE TABLE own.attack (a String) ENGINE = EmbeddedRocksDB(0, '{folder}/out') PRIMARY KEY a",
    "CREATE TABLE own.attack (a String) ENGINE = FileLog('{secret}', LineAsString)",
    "CREATE TABLE own.attack (a String) ENGINE = Distributed(default, system, one)",
    "CREATE TABLE own.attack (a String) ENGINE = Loop(system.one)",
    "CREATE DATABASE attack ENGINE = Overlay",
    "CREATE TABLE own.attack AS file('{secret}', LineAsString)",
    "CREATE TABLE own.attack (a String DEFAULT file('{secret}')) ENGINE = Memory",
    "CREATE TABLE own.attack (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '{folder}/')",
    "CREATE VIEW own.attack AS SELECT file('{secret}')",
    "CREATE TEMPORARY TABLE attack (a String) ENGINE = File(LineAsString, '{secret}')",
    "CREATE DATABASE attack ENGINE = Filesystem('{folder}')",
    "CREATE DATABASE attack ENGINE = MySQL('{peer}', 'd', 'u', 'p')",
    "CREATE DATABASE attack ENGINE = SQLite('{secret}')",
    "CREATE DICTIONARY own.attack (a String) PRIMARY KEY a SOURCE(FILE(path '{secret}' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DICTIONARY own.attack (a String) PRIMARY KEY a SOURCE(HTTP(url 'http://{peer}/' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE FUNCTION attack AS x -> file(x)",
    "CREATE NAMED COLLECTION attack AS a = 1",
    "CREATE USER attack",
    "INSERT INTO FUNCTION file('{folder}/out', 'CSV') SELECT 1",
    "INSERT INTO FUNCTION url('http://{peer}/', 'CSV') SELECT 1",
    "INSERT INTO own.rows FROM INFILE '{secret}' FORMAT LineAsString",
    "INSERT INTO own.rows FROM INFILE '{secret}' FORMAT LineAsString\n",
    "INSERT INTO own.rows FROM INFILE '{secret}' FORMAT LineAsString -- \nx",
    "INSERT INTO own.rows VALUES (file('{secret}'))",
    "INSERT INTO own.rows SELECT file('{secret}')",
    "SELECT 1 INTO OUTFILE '{folder}/out'",
    "SELECT 1 INTO /* */ OUTFILE '{folder}/out' TRUNCATE",
    "(SELECT 1) INTO\nOUTFILE '{folder}/out'",
    "EXPLAIN SELECT 1 INTO OUTFILE '{folder}/out'",
    "BACKUP DATABASE default TO File('{folder}/out')",
    "RESTORE DATABASE default FROM File('{folder}/out')",
    "ATTACH TABLE own.attack FROM '{folder}/' (a String) ENGINE = File(LineAsString)",
    "SYSTEM SHUTDOWN",
    "SYSTEM RELOAD CONFIG",
    "KILL QUERY WHERE 1",
    "SET ROLE owner",
    "SET max_execution_time = 0",
    "USE system",
    "EXECUTE AS owner SELECT 1",
    "GRANT owner TO default",
    "BEGIN TRANSACTION",
    "SELECT 1 PARALLEL WITH SET ROLE owner",
    "SELECT 1 SETTINGS max_execution_time = 100000",
    "SELECT 1 SETTINGS max_execution_time = 0",
    "SELECT 1 SETTINGS max_memory_usage = 100000000000",
    "SELECT 1 SETTINGS max_memory_usage = 0",
    "SELECT 1 SETTINGS max_result_bytes = 0",
    "SELECT 1 SETTINGS max_threads = 1000",
    "SELECT 1 SETTINGS dialect = 'prql'",
    "SELECT * FROM system.users",
    "exit",
)
ONLY_READ = (
    "INSERT INTO crossdock.rows VALUES ('x')",
    "INSERT INTO crossdock.rows SELECT 'x'",
    "CREATE TABLE crossdock.attack (a String) ENGINE = Memory",
    "CREATE TABLE own.attack (a String) ENGINE = Memory",
    "DROP TABLE crossdock.rows",
    "TRUNCATE TABLE crossdock.rows",
    "ALTER TABLE crossdock.rows DELETE WHERE 1",
    "DELETE FROM crossdock.rows WHERE 1",
    "OPTIMIZE TABLE crossdock.rows",
    "SELECT * FROM own.rows",
)


@pytest.fixture(scope="module")
def engine(clickhouse_url: str) -> Iterator[httpx.Client]:
    """A client of the server, without a user; two tables exist."""
    with httpx.Client(
        base_url=clickhouse_url.replace(urlsplit(clickhouse_url).netloc.partition("@")[0] + "@", "")
    ) as http:
        for sql in (
            "CREATE DATABASE IF NOT EXISTS crossdock",
            "CREATE DATABASE IF NOT EXISTS own",
            "CREATE OR REPLACE TABLE crossdock.rows (a String) ENGINE = MergeTree ORDER BY a",
            "CREATE OR REPLACE TABLE own.rows (a String) ENGINE = MergeTree ORDER BY a",
            "INSERT INTO crossdock.rows VALUES ('kept; -- ''x'' \\\\ ü')",
        ):
            answer = ask(http, "owner", sql)
            assert answer.is_success, answer.text
        yield http


def ask(http: httpx.Client, user: str, sql: str, **more: object) -> httpx.Response:
    return http.post("/", content=sql, auth=(user, SECRET), **more)  # type: ignore[arg-type]


@pytest.fixture
def bait(tmp_path: Path) -> Iterator[tuple[dict[str, str], socket.socket]]:
    """A file with a secret and a server that must not be called."""
    (tmp_path / "secret").write_text(f"{MARK}\n")
    with socket.create_server(("127.0.0.1", 0)) as peer:
        peer.setblocking(False)
        place = {"secret": f"{tmp_path}/secret", "folder": f"{tmp_path}"}
        yield place | {"peer": f"127.0.0.1:{peer.getsockname()[1]}"}, peer


@pytest.mark.parametrize("user", ["owner", "provision", "metering", "reader"])
def test_no_user_reaches_files_programs_or_the_network(
    engine: httpx.Client, bait: tuple[dict[str, str], socket.socket], tmp_path: Path, user: str
) -> None:
    places, peer = bait
    succeeded, told = [], []
    for attack in (*READING, *REACHING, *CHANGING):
        sql = attack.format(**places)
        answer = ask(engine, user, sql)
        if answer.is_success:
            succeeded.append(sql)
        if MARK in answer.text:
            told.append(sql)

    with pytest.raises(BlockingIOError):
        peer.accept()
    assert (succeeded, told) == ([], [])
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert ask(engine, "owner", "SELECT count() FROM own.rows").text == "0\n"
    assert ask(engine, user, "SELECT currentRoles()").text == f"['{user}']\n"


@pytest.mark.parametrize("sql", ONLY_READ)
def test_a_reader_reads_one_database_and_changes_nothing(engine: httpx.Client, sql: str) -> None:
    refused = ask(engine, "reader", sql)

    assert refused.status_code == 403
    assert ask(engine, "reader", "SELECT a FROM crossdock.rows").text == "kept; -- \\'x\\' \\\\ ü\n"


def test_metering_inserts_and_reads_nothing(engine: httpx.Client) -> None:
    assert ask(engine, "metering", "SELECT * FROM crossdock.rows").status_code == 403
    assert ask(engine, "metering", "INSERT INTO own.rows FORMAT CSV\nx").status_code == 403


@pytest.mark.parametrize(
    "auth",
    [
        ("", ""),
        ("owner", ""),
        ("owner", "wrong"),
        ("default", ""),
        ("", SECRET),
        ("nobody", SECRET),
    ],
)
def test_without_the_secret_there_is_no_answer(engine: httpx.Client, auth: tuple[str, str]) -> None:
    answers = [
        engine.post("/", content="SELECT 1", auth=auth),
        engine.get("/", params={"query": "SELECT 1"}, auth=auth),
        engine.get("/", params={"query": "SELECT 1", "user": "owner", "password": SECRET}),
        engine.post("/", content="SELECT 1"),
        engine.post("/", content="SELECT 1", headers={"authorization": "Basic !"}),
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert engine.get("/ping").text == "Ok.\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8123"},
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"referer": "http://127.0.0.1/"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-mode": "navigate"},
    ],
    ids=str,
)
def test_a_web_page_is_refused_also_with_the_secret(
    engine: httpx.Client, headers: dict[str, str]
) -> None:
    assert ask(engine, "owner", "SELECT 1", headers=headers).status_code == 403


def test_get_never_writes(engine: httpx.Client) -> None:
    for sql in (*ONLY_READ[:-1], "INSERT INTO crossdock.rows FORMAT CSV\nx"):
        answer = engine.get("/", params={"query": sql}, auth=("owner", SECRET))
        assert answer.headers["x-clickhouse-exception-code"] == "164", sql


def test_a_body_has_bounds_also_when_it_is_packed(engine: httpx.Client) -> None:
    bomb = gzip.compress(b" " * 300_000_000)

    large = ask(engine, "owner", "SELECT 1" + " " * 70_000_000)
    packed = engine.post(
        "/", content=bomb, auth=("owner", SECRET), headers={"content-encoding": "gzip"}
    )
    headers = ask(engine, "owner", "SELECT 1", headers={"x": "y" * 2_000_000})

    assert (large.status_code, packed.status_code, headers.status_code) == (413, 400, 400)
    assert ask(engine, "owner", "SELECT 1").text == "1\n"


@pytest.mark.parametrize("value", ["1', readonly = '0", "1\\", "1' INTO OUTFILE 'x"])
def test_a_setting_of_the_address_cannot_leave_its_quotes(engine: httpx.Client, value: str) -> None:
    answer = ask(engine, "owner", "SELECT 1", params={"max_threads": value})

    assert answer.status_code == 400


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_comes_back_as_it_was(engine: httpx.Client, text: str) -> None:
    """A statement is formatted before it runs: its strings stay the same."""
    literal = text.replace("\\", "\\\\").replace("'", "\\'")

    answer = ask(engine, "reader", f"SELECT hex('{literal}')")

    assert answer.text.strip() == text.encode().hex().upper()
