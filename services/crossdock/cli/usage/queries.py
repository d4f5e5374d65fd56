"""ClickHouse's answers to the commands: usage, past requests, the length of past answers.

Each function raises TableError if ClickHouse does not answer.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from crossdock.audit.policy_replay import PastRequests
from crossdock.kernel.drivers.clickhouse import open_tables
from crossdock.kernel.process.record import Row

TRIES = 100
PAUSE_S = 0.1
_USAGE = """
SELECT model, provider, sum(requests), sum(calls), sum(failed_calls), sum(input_tokens), sum(output_tokens), sum(cost_usd)
FROM crossdock.usage_by_provider GROUP BY model, provider ORDER BY model, provider
"""
_OVER_TIME = """
SELECT toStartOfInterval(started_at, toIntervalSecond({step:UInt32})) AS slot, model, sum(cost_usd)
FROM crossdock.attempts FINAL WHERE started_at > now() - toIntervalSecond({span:UInt32})
GROUP BY slot, model ORDER BY slot
"""
_ARRIVED = """
SELECT (SELECT count() FROM crossdock.requests FINAL WHERE batch_id = {id:String}),
       (SELECT count() FROM crossdock.attempts FINAL WHERE batch_id = {id:String})
"""
_BATCH_USAGE = """
SELECT model, provider, uniqExact(request_id), count(), countIf(outcome != 'ok'), sum(input_tokens),
       sum(output_tokens), sum(cost_usd)
FROM crossdock.attempts FINAL WHERE batch_id = {id:String} GROUP BY model, provider ORDER BY model, provider
"""
_ANSWER_LENGTHS = """
SELECT model, avg(output_tokens) FROM crossdock.attempts FINAL
WHERE account = {account:String} AND outcome = 'ok' AND started_at > now() - INTERVAL 7 DAY
GROUP BY model
"""
_REQUESTS = """
SELECT account, project, key_id, model, operation, count(), countIf(output_tokens > {most:UInt32})
FROM crossdock.requests FINAL
WHERE account = {account:String} AND accepted_at > now() - toIntervalSecond({span:UInt32})
GROUP BY account, project, key_id, model, operation
"""


def read_usage(url: str, span_s: int, step_s: int) -> tuple[list[Row], list[Row]]:
    """Return usage by model and provider, and cost by step of time and model."""
    over_time = _rows(url, _OVER_TIME, {"step": step_s, "span": span_s})
    return _rows(url, _USAGE), over_time


def read_batch_usage(url: str, batch_id: str, requests: int, calls: int) -> list[Row]:
    """Return a batch's usage by model and provider, when the rows of all its requests and calls are there.

    The two kinds of rows arrive independently of each other.
    """
    for _ in range(TRIES):
        ((arrived, called),) = _rows(url, _ARRIVED, {"id": batch_id})
        if arrived >= requests and called >= calls:
            break
        time.sleep(PAUSE_S)
    return _rows(url, _BATCH_USAGE, {"id": batch_id})


def read_answer_lengths(url: str, account: str) -> Mapping[str, float]:
    """Return the mean of output tokens in the last week, by model."""
    rows = _rows(url, _ANSWER_LENGTHS, {"account": account})
    return {row[0]: float(row[1]) for row in rows}


def read_requests(url: str, account: str, hours: float, most: int) -> list[PastRequests]:
    """Return an account's requests of the last hours; `longer` counts answers of more than `most` tokens."""
    parameters = {"account": account, "span": round(hours * 3600), "most": most}
    return [PastRequests(*row) for row in _rows(url, _REQUESTS, parameters)]


def _rows(url: str, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
    async def read() -> list[Row]:
        async with open_tables(url) as tables:
            return await tables.query(sql, parameters)

    return asyncio.run(read())
