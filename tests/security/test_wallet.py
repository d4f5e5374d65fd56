"""Denial of wallet: no body and no report of a provider spends more than a budget or prepaid credits."""

import http.client
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from support.attacks import Attacked
from support.dock import Dock, until
from support.effort import Effort
from support.hostile import Received, Reply, completion
from support.obeying import Obeying

MODEL = "hostile-wallet"
LIMIT = Decimal("0.02")
MESSAGES = [{"role": "user", "content": "hi"}]
HEAD = f'{{"model": "{MODEL}", "messages": {json.dumps(MESSAGES)}'
REFUSED = {
    # the field, and the value: each one was held for as absent, or for less
    "n": ['"100"', "5000", "-1", "1e2", "2.0", "true", "0", '["2"]', "99999999999999999999"],
    "best_of": ['"100"', "5000"],
    "max_tokens": ["-1", '"50000"', "0", "1e4", "1e400", "null, \"max_completion_tokens\": -7"],
    "max_completion_tokens": ['"50000"', "-1", "5.5", "10, \"max_tokens\": 50000"],
    "max_output_tokens": ["50000"],
    "Max_Tokens": ["50000"],
    "\uff4e": ["100"],
    "service_tier": ['"priority"', '"flex"'],
    "thinking": ['{"type": "enabled", "budget_tokens": "9"}', "true"],
    "reasoning": ['{"max_tokens": -5}'],
    "web_search_options": ["{}"],
    "plugins": ['[{"id": "web"}]'],
    "tools": ['[{"type": "web_search"}]', '[{"google_search": {}}]'],
    "modalities": ['["text", "audio"]'],
    "audio": ['{"voice": "alloy", "format": "wav"}'],
    "background": ["true"],
    "cache_control": ['{"type": "ephemeral", "ttl": "1h"}'],
    "of_tomorrow": ["1"],
    "extra_body": ['{"n": 100}'],
}  # fmt: skip
PASSED = [
    '"max_tokens": 100, "n": 2',
    '"max_tokens": 100, "n": 5000, "n": 1',
    '"max_tokens": 100, "n": 1, "n": 3',
    '"max_completion_tokens": 40, "best_of": 4',
    '"max_tokens": 30, "thinking": {"type": "enabled", "budget_tokens": 60}',
    '"max_tokens": 30, "prediction": {"type": "content", "content": "aye aye"}',
    '"max_tokens": 50, "max_completion_tokens": null, "reasoning": {"max_tokens": 20}',
]
LIES: list[Callable[[dict[str, Any]], Any]] = [
    lambda usage: dict.fromkeys(usage, 10**12),
    lambda usage: usage | {"completion_tokens": 10**9},
    lambda usage: usage | {"prompt_tokens": "1000000"},
    lambda usage: usage | {"completion_tokens": -5},
    lambda usage: usage | {"completion_tokens": 10**400},
    lambda usage: usage | {"prompt_tokens_details": {"cached_tokens": 10**9}, "total_tokens": 1},
]


class Answered(NamedTuple):
    status: int
    error: dict[str, Any]


@dataclass
class Payer:
    """A key whose spending is limited, by a budget of its own or by its organization's credits."""

    dock: Dock
    key: str
    spent_and_held: Callable[[], Decimal]

    def post(self, body: bytes) -> Answered:
        """Send `body` byte for byte."""
        address = urlsplit(self.dock.addresses["OPENAI_BASE_URL"])
        connection = http.client.HTTPConnection(address.netloc, timeout=60)
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        try:
            connection.request("POST", f"{address.path}/chat/completions", body, headers)
            answer = connection.getresponse()
            return Answered(answer.status, json.loads(answer.read()).get("error") or {})
        finally:
            connection.close()

    def send(self, bodies: list[str]) -> list[Answered]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(self.post, (body.encode() for body in bodies)))


def budgeted(dock: Dock) -> Payer:
    key_id, key = dock.make_key("payer", limit=str(LIMIT))

    def used() -> Decimal:
        (budget,) = dock.manage("GET", f"budgets/{key_id}")["data"]
        return Decimal(budget["spend_usd"]) + Decimal(budget["held_usd"])

    return Payer(dock, key, used)


def prepaid(dock: Dock) -> Payer:
    made = dock.manage("POST", "organizations", {"name": "Payers", "project_name": "production"})
    account, owner = made["data"]["id"], made["key"]
    path = f"organizations/{account}"
    dock.manage("PUT", f"{path}/prepayment", {"is_prepaid": True})
    credit = {"kind": "grant", "amount_usd": str(LIMIT), "reference": f"for {account}"}
    dock.manage("POST", f"{path}/credits", credit)
    key = dock.manage("POST", "keys", {"name": "payer"}, key=owner)["key"]

    def used() -> Decimal:
        credits = dock.manage("GET", "credits", key=owner)["data"]
        return LIMIT - Decimal(credits["balance_usd"]) + Decimal(credits["held_usd"])

    return Payer(dock, key, used)


@pytest.fixture(scope="module", params=[budgeted, prepaid], ids=["a budget", "prepaid credits"])
def payer(request: pytest.FixtureRequest, attacked: Attacked) -> Payer:
    made: Payer = request.param(attacked.dock)
    return made


@pytest.fixture(autouse=True)
def sound(attacked: Attacked) -> Iterator[None]:
    yield
    attacked.provider.behave(MODEL, lambda _: completion())


def obey(attacked: Attacked, seed: int, lie: Callable[[dict[str, Any]], Any] | None = None) -> None:
    provider = Obeying(random.Random(seed), lie)
    attacked.provider.behave(MODEL, lambda call: _answer(provider, call))


def _answer(provider: Obeying, call: Received) -> Reply:
    return Reply(provider.answer(call.body, MODEL))


def test_what_is_not_understood_is_refused_and_reaches_no_provider(
    attacked: Attacked, payer: Payer
) -> None:
    obey(attacked, 1)
    wanted = [(name, f'{HEAD}, "{name}": {value}}}') for name in REFUSED for value in REFUSED[name]]
    before = len(attacked.provider.calls[MODEL])

    with attacked.unharmed(audit=False):
        answers = payer.send([body for _, body in wanted])

    for (name, body), (status, error) in zip(wanted, answers, strict=True):
        assert status == 400, (body, error)
        params = {name, "max_tokens", "max_completion_tokens"} if "max_" in name else {name}
        assert error["param"].partition(".")[0].partition("[")[0] in params, (body, error)
        assert error["type"] == "invalid_request_error"
    assert len(attacked.provider.calls[MODEL]) == before
    assert payer.spent_and_held() <= LIMIT


def test_a_line_of_a_batch_is_refused_by_the_same_check_with_its_number_and_place(
    attacked: Attacked,
) -> None:
    bodies = [f'{HEAD}, "{name}": {REFUSED[name][0]}}}' for name in REFUSED if name not in {"of_tomorrow", "extra_body"}]  # fmt: skip
    lines = "".join(
        f'{{"custom_id": "{n}", "method": "POST", "url": "/v1/chat/completions", "body": {body}}}\n'
        for n, body in enumerate(bodies)
    )
    dock, payer = attacked.dock, budgeted(attacked.dock)

    with attacked.unharmed(audit=False):
        batch = dock.wait(dock.submit_bytes(lines.encode()))
        singles = payer.send(bodies)

    assert batch.status == "failed"
    assert batch.errors is not None
    found = [(one.line, one.code, one.param, one.message) for one in batch.errors.data or []]
    assert found == [
        (n, error["code"], f"body.{error['param']}", error["message"])
        for n, (_, error) in enumerate(singles, 1)
    ]


def test_a_provider_that_obeys_whatever_it_can_read_spends_what_was_held(
    attacked: Attacked, payer: Payer, effort: Effort
) -> None:
    with attacked.unharmed():
        for seed in range(effort(2, 20)):
            obey(attacked, seed)
            answers = payer.send([f"{HEAD}, {more}}}" for more in PASSED] + [f"{HEAD}}}"] * 2)
            assert {answer.status for answer in answers} <= {200, 402}
            assert payer.spent_and_held() <= LIMIT

    attacked.dock.rest()
    assert 0 < payer.spent_and_held() <= LIMIT
    calls = [call.json for call in attacked.provider.calls[MODEL] if call.json.get("messages") == MESSAGES]  # fmt: skip
    limits = [[call.get("max_tokens"), call.get("max_completion_tokens")] for call in calls]
    assert calls
    assert {sum(limit is not None for limit in pair) for pair in limits} == {1}


@pytest.mark.parametrize("make", [budgeted, prepaid], ids=["a budget", "prepaid credits"])
def test_a_provider_that_lies_in_its_usage_makes_no_hole(
    attacked: Attacked, make: Callable[[Dock], Payer]
) -> None:
    """One answer with 10^12 tokens spent 11,000,000 USD of a budget of 0.02."""
    dock, payer, counts = attacked.dock, make(attacked.dock), Counter[int]()

    with attacked.unharmed():
        for seed, lie in enumerate(LIES):
            obey(attacked, seed, lie)
            answers = payer.send([f'{HEAD}, "max_tokens": 20, "n": 2}}'] * 4)
            counts.update(answer.status for answer in answers)
            assert payer.spent_and_held() <= LIMIT

    assert counts.keys() <= {200, 402}
    assert counts[200] >= len(LIES)
    assert 0 < payer.spent_and_held() <= LIMIT
    sql = f"FROM crossdock.attempts FINAL WHERE provider = '{MODEL}' AND disputed_usd > 0"
    (row,) = dock.rows(f"SELECT count(), max(reported_output_tokens), max(cost_usd) {sql}")
    assert (int(row[0]) >= 4, int(row[1]), Decimal(str(row[2])) < LIMIT) == (True, 10**12, True)


def test_alerts_follow_spending_and_a_refusal_is_one_of_its_own_kind(attacked: Attacked) -> None:
    dock = attacked.dock
    key_id, key = dock.make_key("watched", limit=str(LIMIT))
    payer = Payer(dock, key, lambda: Decimal(0))
    obey(attacked, 3)
    told = f"SELECT kind, toFloat64(spent_usd), toFloat64(limit_usd) FROM crossdock.alerts FINAL WHERE scope = '{key_id}' ORDER BY at, kind"  # fmt: skip

    with attacked.unharmed():
        (large,) = payer.send([f'{HEAD}, "max_tokens": 50000}}'])
        until(lambda: bool(dock.rows(told)), what="the alert of the refusal")
        first = [row[0] for row in dock.rows(told)]
        while payer.post(f'{HEAD}, "max_tokens": 100}}'.encode()).status == 200:
            pass

    rows = dock.rows(told)
    assert (large.status, large.error["code"]) == (402, "budget_exceeded")
    assert first == ["budget_refused"]
    assert [row[0] for row in rows] == ["budget_refused", "budget_nearly_used"]
    assert 0.8 * rows[1][2] <= rows[1][1] <= rows[1][2]
