"""A batch through the whole pipeline, and the books afterwards."""

from decimal import Decimal

from crossdock.kernel.requests.catalogue import load_catalogue
from support.dock import Dock, chat_lines, repeated, until


def settled_rows(dock: Dock, batch_id: str, lines: int) -> list[list[object]]:
    """Return the batch's attempts once every line's end and every call's usage are in ClickHouse.

    They travel on topics of their own: either may arrive first.
    """
    calls = len(dock.ledger())

    def count(table: str) -> int:
        sql = f"SELECT count() FROM crossdock.{table} FINAL WHERE batch_id = '{batch_id}'"
        return int(dock.rows(sql)[0][0])

    until(lambda: count("requests") >= lines, what="the row of every request")
    until(lambda: count("attempts") >= calls, what="the row of every call")
    return dock.rows(
        "SELECT request_id, toString(attempt * 100 + call), model, provider, outcome, input_tokens, output_tokens, "
        f"toString(cost_usd) FROM crossdock.attempts FINAL WHERE batch_id = '{batch_id}'"
    )


def test_lines_in_are_lines_out_and_the_books_agree(dock: Dock) -> None:
    dock.reset_simulator()

    batch = dock.wait(dock.submit(chat_lines(1000)))
    answered, failed = dock.output(batch)
    rows = settled_rows(dock, batch.id, 1000)

    assert batch.status == "completed"
    assert {line["custom_id"] for line in answered} == {f"line-{n}" for n in range(1000)}
    assert failed == []
    ledger = {(entry["request_id"], entry["attempt"]) for entry in dock.ledger()}
    assert {(row[0], row[1]) for row in rows} == ledger
    prices = {
        (e.model, e.provider): e.prices
        for e in load_catalogue(dock.data.path / "catalogue.json").endpoints
    }
    for _, _, model, provider, _, read, written, cost in rows:
        price = prices[str(model), str(provider)]
        expected = (int(str(read)) * price.input + int(str(written)) * price.output) / 1_000_000
        assert Decimal(str(cost)) == expected
    assert batch.usage is not None
    assert batch.usage.input_tokens == sum(int(str(row[5])) for row in rows)


def test_under_every_kind_of_fault_each_line_ends_once_and_each_call_is_one_row(dock: Dock) -> None:
    dock.reset_simulator()
    kinds = [
        "429", "429_no_hint", "429_quota", "500", "502", "503", "529", "reset", "reset_mid_body", "truncated_body",
        "truncated_json", "garbage", "error_in_200", "wrong_type", "slow_drip", "no_finish", "no_usage",
    ]  # fmt: skip
    for provider in ("sim-atlas", "sim-borealis", "sim-cumulus"):
        dock.behave(
            provider,
            latency={"ms": 10},
            faults=dict.fromkeys(kinds, 0.1 / len(kinds)),
            retry_after_s=0.2,
            drip_s=0.05,
        )

    batch = dock.wait(dock.submit(chat_lines(5000)))
    answered, failed = dock.output(batch)
    rows = settled_rows(dock, batch.id, 5000)
    entries = dock.ledger()
    dock.reset_simulator()

    ids = [line["custom_id"] for line in answered + failed]
    assert sorted(ids) == sorted(f"line-{n}" for n in range(5000))
    assert repeated((e["request_id"] + e["attempt"]) for e in entries) == []
    assert {(row[0], row[1]) for row in rows} == {(e["request_id"], e["attempt"]) for e in entries}
    assert all(line["response"]["body"]["choices"][0]["finish_reason"] for line in answered)
    assert sum(1 for e in entries if e["outcome"] not in {"ok", "rate_limited"}) > 300
