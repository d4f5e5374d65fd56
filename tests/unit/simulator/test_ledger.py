from pathlib import Path

from crossdock.simulator.core.call_table import ReceivedCall
from crossdock.simulator.ledger import CallLedger


def make_entry(
    request_id: bytes = b"req_1",
    attempt: bytes = b"1",
    *,
    provider: str = "atlas",
    outcome: str = "ok",
    started_ns: int = 1_000,
) -> ReceivedCall:
    return ReceivedCall(request_id, attempt, provider, "gull", outcome, 200, 10, 5, started_ns)


def test_a_call_is_shown_as_it_came_and_as_it_ended() -> None:
    ledger = CallLedger()
    number = ledger.add(make_entry(b"req_\xe9", b"2"))

    ledger.finish(number, 2_000, is_whole=True)

    (row,) = ledger.rows()
    assert (row.request_id, row.attempt, row.provider, row.model) == ("req_é", "2", "atlas", "gull")
    assert (row.outcome, row.status, row.prompt_tokens, row.output_tokens) == ("ok", 200, 10, 5)
    assert (row.started_ns, row.finished_ns, row.is_whole) == (1_000, 2_000, True)


def test_a_call_that_is_not_over_has_no_end() -> None:
    ledger = CallLedger()

    ledger.add(make_entry())

    (row,) = ledger.rows()
    assert (row.finished_ns, row.is_whole) == (0, False)


def test_rows_are_filtered_by_provider_and_time() -> None:
    ledger = CallLedger()
    for provider, started_ns in (("atlas", 1), ("borealis", 2), ("atlas", 3)):
        ledger.add(make_entry(provider=provider, started_ns=started_ns))

    found = list(ledger.rows(provider="atlas", since_ns=2))

    assert [row.started_ns for row in found] == [3]


def test_the_summary_names_the_calls_that_came_more_than_once() -> None:
    ledger = CallLedger()
    for request_id, attempt in ((b"a", b"1"), (b"a", b"2"), (b"b", b"1"), (b"b", b"1")):
        ledger.add(make_entry(request_id, attempt))

    summary = ledger.summary()

    assert (summary["calls"], summary["distinct"], summary["repeated"]) == (4, 3, 1)
    assert summary["repeated_calls"] == [["b", "1", 2]]
    assert (summary["prompt_tokens"], summary["output_tokens"]) == (40, 20)


def test_calls_without_an_id_repeat_nothing() -> None:
    ledger = CallLedger()
    ledger.add(make_entry(b"", b""))
    ledger.add(make_entry(b"", b""))

    summary = ledger.summary()

    assert (summary["distinct"], summary["repeated"]) == (2, 0)


def test_the_end_of_a_call_that_was_cleared_meanwhile_marks_no_other() -> None:
    ledger = CallLedger()
    number = ledger.add(make_entry())
    ledger.clear()
    ledger.add(make_entry(b"req_2"))

    ledger.finish(number, 2_000, is_whole=True)

    (row,) = ledger.rows()
    assert (row.request_id, row.finished_ns) == ("req_2", 0)


def test_what_was_flushed_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "ledger.jsonl"
    ledger = CallLedger(path)
    ledger.finish(ledger.add(make_entry(b"req_\xe9")), 2_000, is_whole=True)
    ledger.add(make_entry(b"req_2", outcome="timeout"))
    ledger.flush()

    again = CallLedger(path)

    assert list(again.rows()) == list(ledger.rows())


def test_a_line_cut_by_a_kill_is_no_call_and_spoils_none_after_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    first = CallLedger(path)
    first.add(make_entry(b"req_1"))
    first.add(make_entry(b"req_2"))
    first.close()
    path.write_bytes(path.read_bytes()[:-20])

    second = CallLedger(path)
    second.add(make_entry(b"req_3"))
    second.close()

    assert [row.request_id for row in CallLedger(path).rows()] == ["req_1", "req_3"]


def test_a_later_life_s_ends_belong_to_its_own_calls(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for life in (1, 2):
        ledger = CallLedger(path)
        number = ledger.add(make_entry(b"req_%d" % life))
        ledger.finish(number, life, is_whole=True)
        ledger.close()

    rows = list(CallLedger(path).rows())

    assert [(row.request_id, row.finished_ns) for row in rows] == [("req_1", 1), ("req_2", 2)]


def test_clearing_empties_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = CallLedger(path)
    ledger.add(make_entry())
    ledger.flush()

    ledger.clear()

    assert path.read_bytes() == b""
    assert len(CallLedger(path)) == 0


def test_lines_that_are_none_of_ours_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"a":1}\n[1,2]\n[7,8,1]\nnonsense\n')

    ledger = CallLedger(path)
    ledger.flush()
    ledger.close()

    assert len(ledger) == 0


def test_without_a_file_there_is_nothing_to_flush_or_close() -> None:
    ledger = CallLedger()

    ledger.flush()
    ledger.close()

    assert len(ledger) == 0
