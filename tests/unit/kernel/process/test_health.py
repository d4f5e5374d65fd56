"""A process is ready when no reason against it stands, and says which ones do."""

import json

from crossdock.kernel.process.health import Health
from crossdock.kernel.process.ops_server import respond


def test_a_process_starts_unready() -> None:
    health = Health("batches", 1)

    assert respond(health, "/ready")[0] == "503 Service Unavailable"
    health.clear("start")
    assert respond(health, "/ready")[0] == "200 OK"


def test_reasons_come_and_go_by_part() -> None:
    health = Health("batches", 1)
    health.clear("start")

    health.block("clickhouse", "refused")
    health.block("a", "b")
    health.block("clickhouse", "still refused")

    assert health.reasons == ["a: b", "clickhouse: still refused"]
    assert json.loads(respond(health, "/ready")[2]) == {"ready": False, "reasons": health.reasons}
    health.clear("a")
    health.clear("clickhouse")
    health.clear("never there")
    assert health.is_ready


def test_status_tells_who_it_is_its_lag_and_its_own_numbers() -> None:
    health = Health("batches", 1)
    health.lag = lambda: {"topic": 5}
    health.report(lambda: {"open": 2})

    status = json.loads(respond(health, "/status")[2])

    assert (status["stage"], status["ordinal"], status["lag"], status["open"]) == (
        "batches",
        1,
        {"topic": 5},
        2,
    )
    assert status["pid"] > 0


def test_metrics_are_prometheus() -> None:
    status, kind, body = respond(Health("x", 0), "/metrics")

    assert status == "200 OK"
    assert kind.startswith("text/plain")
    assert b"crossdock_commits_total" in body


def test_other_paths_are_told_what_there_is() -> None:
    assert respond(Health("x", 0), "/live")[0] == "200 OK"
    assert respond(Health("x", 0), "/other") == (
        "404 Not Found",
        "text/plain",
        b"/metrics /live /ready /status\n",
    )


def test_a_check_is_asked_whenever_somebody_wants_to_know() -> None:
    health, why = Health("x", 0), ["stuck"]
    health.clear("start")
    health.check("outbox", lambda: why[0] if why else None)

    assert health.reasons == ["outbox: stuck"]
    why.clear()
    assert health.is_ready
