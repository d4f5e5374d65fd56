"""What clients of ClickHouse send over HTTP is read as ClickHouse reads it."""

import gzip
from collections.abc import Callable

import lz4.frame
import pytest
from backports import zstd

from crossdock.kernel.process.errors import TableError
from crossdock.local.clickhouse.statement import (
    MAX_UNPACKED_BYTES,
    decompress,
    first_word,
    read_statement,
)


def test_a_query_in_the_body_is_a_query() -> None:
    found = read_statement({}, {}, b"SELECT 1;\n")

    assert (found.sql, found.output_format, found.data) == ("SELECT 1", "TabSeparated", None)
    assert found.gives_rows


def test_a_query_in_the_address_comes_before_the_body() -> None:
    assert read_statement({"query": "SELECT"}, {}, b"2").sql == "SELECT\n2"


def test_database_parameters_and_settings_are_told_apart() -> None:
    arguments = {
        "query": "SELECT {id:String}",
        "database": "crossdock",
        "param_id": "x",
        "max_threads": "1",
        "session_id": "ours",
    }

    found = read_statement(arguments, {}, b"")

    assert (found.database, found.params, found.settings) == (
        "crossdock",
        {"id": "x"},
        {"max_threads": "1"},
    )


@pytest.mark.parametrize(
    ("arguments", "headers", "sql", "expected"),
    [
        ({}, {}, "SELECT 1 FORMAT JSON", "JSON"),
        ({"default_format": "Native"}, {}, "SELECT 1", "Native"),
        ({"default_format": "Native"}, {}, "SELECT 1 format CSV ;", "CSV"),
        ({}, {"x-clickhouse-format": "CSV"}, "SELECT 1", "CSV"),
    ],
)
def test_the_querys_own_format_wins(
    arguments: dict[str, str], headers: dict[str, str], sql: str, expected: str
) -> None:
    assert read_statement(arguments, headers, sql.encode()).output_format == expected


def test_rows_of_an_insert_are_data() -> None:
    found = read_statement({"query": "INSERT INTO t (a) FORMAT Native"}, {}, b"\x00\xff\n")

    assert (found.sql, found.data, found.data_format) == (
        "INSERT INTO t (a)",
        b"\x00\xff\n",
        "Native",
    )


def test_rows_may_follow_the_query_in_the_body() -> None:
    found = read_statement({}, {}, b'INSERT INTO t FORMAT JSONEachRow\n{"a":1}\n{"a":2}\n')

    assert found.data == b'{"a":1}\n{"a":2}\n'
    assert found.data_format == "JSONEachRow"


@pytest.mark.parametrize("head", ["INSERT INTO t", "insert into table `a`.t (values, b)"])
def test_values_are_data(head: str) -> None:
    found = read_statement({}, {}, f"{head} VALUES ('FORMAT x')".encode())

    assert (found.sql, found.data) == (head, b" ('FORMAT x')")
    assert found.data_format == "Values"
    assert not found.gives_rows


def test_text_that_is_not_utf_8_is_told() -> None:
    with pytest.raises(TableError, match="UTF-8"):
        read_statement({}, {}, b"SELECT '\xff'")


@pytest.mark.parametrize("encoding", ["gzip", "lz4", "zstd"])
def test_a_body_that_is_not_packed_is_told(encoding: str) -> None:
    with pytest.raises(TableError, match=f"the body is not {encoding}"):
        decompress(b"SELECT 1", encoding)


def test_a_body_that_unpacks_to_too_much_is_told() -> None:
    with pytest.raises(TableError, match="send it in parts"):
        decompress(gzip.compress(bytes(MAX_UNPACKED_BYTES + 1), 1), "gzip")


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("  /* a */ -- b\n (select 1)", "SELECT"),
        ("WITH x AS (SELECT 1) SELECT *", "WITH"),
        ("", ""),
        ("!", ""),
    ],
)
def test_the_first_word_is_found_behind_comments(sql: str, word: str) -> None:
    assert first_word(sql) == word


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        (None, b"rows"),
        ("identity", b"rows"),
        ("gzip", gzip.compress(b"rows")),
        ("LZ4", lz4.frame.compress(b"rows")),
        ("zstd", zstd.compress(b"rows")),
    ],
    ids=["no encoding", "identity", "gzip", "lz4", "zstd"],
)
def test_bodies_are_unpacked(encoding: str | None, packed: bytes) -> None:
    assert decompress(packed, encoding) == b"rows"


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("lz4", lz4.frame.compress), ("zstd", zstd.compress)],
)
def test_a_body_of_several_frames_is_unpacked_to_its_end(
    encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    """ClickHouse's client packs each of an insert's blocks by itself."""
    assert decompress(pack(b"first ") + pack(b"") + pack(b"second"), encoding) == b"first second"


def test_a_frame_that_is_cut_off_is_told() -> None:
    packed = lz4.frame.compress(b"first") + lz4.frame.compress(b"second" * 1000)[:-8]

    with pytest.raises(TableError, match="incomplete"):
        decompress(packed, "lz4")


def test_an_unknown_packing_is_told() -> None:
    with pytest.raises(TableError, match="use gzip, lz4 or zstd"):
        decompress(b"", "br")
