"""A budget that pays for 10 lines, and thousands that want it at once. Nothing is admitted beyond it, at any moment."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import ROUND_UP, Decimal
from typing import Any

import openai

from crossdock.kernel.requests.catalogue import load_catalogue
from crossdock_schemas.money import to_usd
from crossdock_schemas.pricing.worst_case import Ask, rates_of, worst_case
from support.dock import Dock, crossdock, until
from support.effort import Effort

MODEL = "tern-mini"
CHAT = "/v1/chat/completions"
PAYS_FOR = 10
BODY: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 16,
    "messages": [{"role": "user", "content": "Say something about " + "terns " * 20}],
}


def make_lines(count: int) -> list[dict[str, Any]]:
    return [
        {"custom_id": f"line-{number:05d}", "method": "POST", "url": CHAT, "body": BODY}
        for number in range(count)
    ]


def worst_of_a_line(dock: Dock) -> Decimal:
    """Return what one of the lines can cost at most, by the catalogue."""
    size = len(json.dumps(make_lines(1)[0]))
    endpoints = load_catalogue(dock.data.path / "catalogue.json").serving(MODEL, CHAT)
    return to_usd(worst_case(Ask(size, BODY["max_tokens"]), map(rates_of, endpoints)))


def ask(dock: Dock, key: str) -> int:
    try:
        dock.client_of(key).with_options(max_retries=0).chat.completions.create(**BODY)
    except openai.APIStatusError as error:
        return error.status_code
    return 200


def amounts(dock: Dock, sql: str) -> list[list[Decimal]]:
    return [[Decimal(value) for value in row] for row in dock.rows(sql)]


def replay(dock: Dock, key_id: str) -> Decimal:
    """Return the most that was spent and held at any entry of the journal, by adding up its postings anew."""
    ((most,),) = amounts(
        dock,
        f"""
        SELECT toString(max(used)) FROM
        (
            SELECT sum(sum(amount_usd)) OVER (ORDER BY number) AS used
            FROM crossdock.journal FINAL
            WHERE key_id = '{key_id}' AND ledger IN ('spend', 'held')
            GROUP BY number
        )
        """,
    )
    return most


def held(dock: Dock, key_id: str) -> Decimal:
    (budget,) = dock.manage("GET", f"budgets/{key_id}")["data"]
    return Decimal(budget["held_usd"])


def test_however_many_want_it_at_once_a_budget_is_never_overdrawn(
    dock: Dock, effort: Effort, tell: Callable[[str], None]
) -> None:
    dock.reset_simulator()
    singles, lines = effort(150, 500), effort(2000, 10_000)
    limit = (worst_of_a_line(dock) * PAYS_FOR).quantize(Decimal("0.000001"), ROUND_UP)
    key_id, key = dock.make_key("tight", limit=str(limit))

    with ThreadPoolExecutor(100) as pool:
        batch_id = dock.submit(make_lines(lines), key=key)
        said = Counter(pool.map(lambda _: ask(dock, key), range(singles)))
    assert set(said) <= {200, 402}
    until(lambda: is_used_up(dock, key_id, batch_id), what="the end of the money")

    ((spent, most_held),) = amounts(dock, spent_and_most_held(key_id))
    most = replay(dock, key_id)
    batch = dock.client.batches.retrieve(batch_id)
    done = batch.request_counts.completed if batch.request_counts else 0
    waiting = (batch.model_extra or {})["crossdock"]["waiting"]
    tell(
        f"a budget of {limit} USD for {PAYS_FOR} lines: {singles} singles at once, {dict(said)}; of a batch of {lines} "
        f"{done} done, {waiting['lines']} wait; spent {spent}, held at most {most_held}, both at most {most}"
    )
    assert most <= limit
    assert limit - spent < worst_of_a_line(dock), "more could have been admitted"
    assert done + said[200] > PAYS_FOR, "what is freed is used again"
    assert waiting["lines"] == lines - done
    assert dock.rows("SELECT * FROM crossdock.budget_overdrafts") == []

    dock.manage("PUT", f"budgets/{key_id}/total", {"limit_usd": 100})
    ended = dock.wait(batch_id)
    assert ended.request_counts
    assert ended.request_counts.completed == lines
    until(lambda: held(dock, key_id) == 0, what="all holds freed")
    assert crossdock("audit", "--data-dir", str(dock.data.path)).returncode == 0


def is_used_up(dock: Dock, key_id: str, batch_id: str) -> bool:
    batch = dock.client.batches.retrieve(batch_id)
    is_waiting = (batch.model_extra or {})["crossdock"]["waiting"] is not None
    if not is_waiting or held(dock, key_id) != 0:
        return False
    ((journal,),) = amounts(dock, f"SELECT toString(sum(spent_usd)) FROM crossdock.spend_by_key WHERE key_id = '{key_id}'")  # fmt: skip
    (budget,) = dock.manage("GET", f"budgets/{key_id}")["data"]
    is_rest_too_small = Decimal(budget["remaining_usd"]) < worst_of_a_line(dock)
    return is_rest_too_small and journal == Decimal(budget["spend_usd"])


def spent_and_most_held(key_id: str) -> str:
    return f"""
        SELECT toString(sumIf(amount_usd, ledger = 'spend')), toString(max(held)) FROM
        (
            SELECT ledger, amount_usd, sum(if(ledger = 'held', amount_usd, 0)) OVER (ORDER BY number) AS held
            FROM crossdock.journal FINAL
            WHERE key_id = '{key_id}'
        )
    """
