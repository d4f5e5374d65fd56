"""A statement, as the engine's formatter wrote it, reads, or changes tables; nothing else runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.local.clickhouse.access import DeniedError
from crossdock.local.clickhouse.statement_check import check_statement


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "SELECT 'INTO OUTFILE', 'it\\'s file(1)', '\\\\'",
        "SELECT input_file_id, profile FROM crossdock.batches",
        "SHOW TABLES FROM crossdock",
        "EXPLAIN SELECT 1",
    ],
)
def test_queries_may_run_by_get(sql: str) -> None:
    check_statement(sql, may_write=False)


@pytest.mark.parametrize("word", ["ALTER", "CREATE", "DROP", "INSERT", "TRUNCATE", "OPTIMIZE"])
def test_changes_of_tables_run_by_post_alone(word: str) -> None:
    check_statement(f"{word} TABLE t", may_write=True)

    with pytest.raises(DeniedError, match="only reads") as caught:
        check_statement(f"{word} TABLE t", may_write=False)
    assert caught.value.number == 164


@pytest.mark.parametrize(
    "word", ["SET", "USE", "SYSTEM", "BACKUP", "RESTORE", "GRANT", "EXECUTE", "BEGIN", "KILL", "ATTACH", ""]
)  # fmt: skip
def test_everything_else_is_refused(word: str) -> None:
    with pytest.raises(DeniedError, match="is not available over HTTP"):
        check_statement(f"{word} x".strip() if word else "", may_write=True)


FORBIDDEN = (
    "file(a)",
    "`file`(a)",
    '"FILE"(a)',
    "a APPLY file",
    "python(os)",
    "eval(a)",
    "executable(a)",
)


@given(
    before=st.sampled_from(["SELECT ", "SELECT '\\'', ", "WITH x AS (SELECT 'a') SELECT "]),
    found=st.sampled_from([*FORBIDDEN, "1 INTO OUTFILE 'x'", "1 PARALLEL WITH SET ROLE owner"]),
    after=st.sampled_from(["", " FROM t", " FORMAT CSV"]),
)
def test_what_needs_no_right_is_refused_behind_any_string(
    before: str, found: str, after: str
) -> None:
    with pytest.raises(DeniedError, match="is not available"):
        check_statement(before + found + after, may_write=True)


@pytest.mark.parametrize(
    "engine", ["File(CSV)", "`URL`('x')", "EmbeddedRocksDB(0, 'x')", "S3Queue('x')"]
)
def test_a_table_of_another_place_is_refused(engine: str) -> None:
    with pytest.raises(DeniedError, match="use MergeTree"):
        check_statement(f"CREATE TABLE t (a String) ENGINE = {engine}", may_write=True)


@pytest.mark.parametrize(
    "engine", ["MergeTree ORDER BY a", "ReplacingMergeTree(v) ORDER BY a", "Memory", "`Null`"]
)
def test_a_table_of_the_engines_own_is_made(engine: str) -> None:
    check_statement(f"CREATE TABLE t (a String) ENGINE = {engine}", may_write=True)


@given(text=st.text(st.characters(exclude_characters="\\'")))
def test_the_text_of_a_string_is_no_clause(text: str) -> None:
    check_statement(f"SELECT '{text} INTO OUTFILE file(1)'", may_write=False)
