"""The whole simulator but its sockets: requests in, bytes and ledger rows out."""

import json
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest

from crossdock.simulator.control import SimulatedFleet
from crossdock.simulator.core.behaviour import (
    BUSY,
    HARMLESS,
    REFUSALS,
    Behaviour,
    FaultKind,
    Latency,
)
from crossdock.simulator.core.call_table import CallRow
from crossdock.simulator.core.reply import Reply
from crossdock.simulator.ledger import CallLedger
from crossdock.simulator.provider import World
from crossdock.simulator.site import SimulatorSite

CHAT = b'{"model":"gull","messages":[{"role":"user","content":"hello"}]}'
STREAM = CHAT[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}'
FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)


@dataclass
class Sim:
    """A site whose time stands still until it is moved."""

    seed: int = 1
    now: float = 0.0
    ledger: CallLedger = field(default_factory=CallLedger)

    def __post_init__(self) -> None:
        world = World(self.ledger, self.seed, lambda: int(self.now * 1e9), lambda: self.now)
        self.site = SimulatorSite(SimulatedFleet(world, Behaviour(latency=Latency(ms=20))))

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        return self.site.respond(method.encode(), path.encode(), sent, body)

    def chat(self, number: int = 0, attempt: int = 1, body: bytes = CHAT) -> Reply:
        ids = {"x_crossdock_request_id": f"req_{number}", "x_crossdock_attempt": str(attempt)}
        return self.ask("POST", "/atlas/v1/chat/completions", body, **ids)

    def behave(self, **behaviour: Any) -> Reply:
        body = json.dumps(behaviour).encode()
        return self.ask("PUT", "/_simulator/providers/atlas", body)

    @property
    def row(self) -> CallRow:
        *_, last = self.ledger.rows()
        return last


def status_of(reply: Reply) -> int:
    return int(reply.first[9:12])


def header_of(reply: Reply, name: str) -> str | None:
    head = reply.first.partition(b"\r\n\r\n")[0].decode().lower()
    found = [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith(f"{name}:")]
    return found[0] if found else None


def body_of(reply: Reply) -> bytes:
    return reply.first.partition(b"\r\n\r\n")[2] + b"".join(reply.rest or ())


def json_of(reply: Reply) -> Any:
    return json.loads(body_of(reply))


def test_the_same_call_gets_the_same_answer_and_another_seed_another() -> None:
    answers = [body_of(Sim(seed).chat(7)) for seed in (1, 1, 2)]

    assert answers[0] == answers[1] != answers[2]


def test_a_call_without_an_id_goes_by_its_body() -> None:
    sim = Sim()
    path = "/atlas/v1/chat/completions"

    first, again, other = (
        body_of(sim.ask("POST", path, body)) for body in (CHAT, CHAT, CHAT + b" ")
    )

    assert first == again
    assert first != other


def test_the_ledger_s_tokens_are_the_answer_s_usage() -> None:
    sim = Sim()

    usage = json_of(sim.chat())["usage"]

    assert (sim.row.prompt_tokens, sim.row.output_tokens) == (
        usage["prompt_tokens"],
        usage["completion_tokens"],
    )
    assert usage["prompt_tokens"] == len(CHAT) // 4


def test_a_cap_below_the_answer_ends_it_for_length() -> None:
    sim = Sim()

    answer = json_of(sim.chat(body=CHAT[:-1] + b',"max_tokens":3}'))

    assert answer["usage"]["completion_tokens"] == 3
    assert answer["choices"][0]["finish_reason"] == "length"
    assert len(answer["choices"][0]["message"]["content"].split()) == 3


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["plain", "streamed"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_in_the_ledger_and_only_the_harmless_count_tokens(
    fault: FaultKind, body: bytes
) -> None:
    sim = Sim()
    sim.behave(faults={fault: 1.0})

    reply = sim.chat(body=body)

    assert sim.row.outcome == fault
    assert (sim.row.output_tokens > 0) == (fault in HARMLESS)
    if fault in BUSY:
        assert status_of(reply) == sim.row.status == 429
    elif fault in REFUSALS:
        assert status_of(reply) == sim.row.status == REFUSALS[fault]
    elif fault in {"timeout", "reset"}:
        assert (reply.first, sim.row.status) == (b"", 0)
    else:
        assert status_of(reply) == sim.row.status == 200


def test_a_retry_can_succeed_where_the_first_attempt_failed() -> None:
    sim = Sim()
    sim.behave(faults={"500": 0.5})

    statuses = [[status_of(sim.chat(n, attempt)) for attempt in (1, 2, 3)] for n in range(50)]

    assert any(first == 500 and 200 in later for first, *later in statuses)
    assert statuses == [[status_of(sim.chat(n, a)) for a in (1, 2, 3)] for n in range(50)]


@pytest.mark.parametrize(
    ("fault", "hint", "code"),
    [
        pytest.param("429", "2", "rate_limit_exceeded", id="with a hint"),
        pytest.param("429_no_hint", None, "rate_limit_exceeded", id="without"),
        pytest.param("429_quota", None, "insufficient_quota", id="quota"),
    ],
)
def test_a_429_hints_as_configured(fault: str, hint: str | None, code: str) -> None:
    sim = Sim()
    sim.behave(faults={fault: 1.0}, retry_after_s=1.5)

    reply = sim.chat()

    assert header_of(reply, "retry-after") == hint
    assert header_of(reply, "retry-after-ms") == ("1500" if hint else None)
    assert json_of(reply)["error"]["code"] == code


def test_a_truncated_body_declares_more_than_it_sends_and_a_truncated_json_does_not() -> None:
    lengths = {}
    for fault in ("truncated_body", "truncated_json"):
        sim = Sim()
        sim.behave(faults={fault: 1.0})
        reply = sim.chat()
        lengths[fault] = (int(header_of(reply, "content-length") or 0), len(body_of(reply)))
        with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
            json.loads(body_of(reply))

    assert lengths["truncated_body"][0] > lengths["truncated_body"][1]
    assert lengths["truncated_json"][0] == lengths["truncated_json"][1]


def test_no_finish_and_no_usage_leave_just_that_out() -> None:
    found = {}
    for fault in ("no_finish", "no_usage"):
        sim = Sim()
        sim.behave(faults={fault: 1.0})
        found[fault] = json_of(sim.chat())

    assert found["no_finish"]["choices"][0]["finish_reason"] is None
    assert "usage" in found["no_finish"]
    assert "usage" not in found["no_usage"]
    assert found["no_usage"]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "fault", ["cut_stream", "reset_mid_body", "truncated_body", "truncated_json"]
)
def test_a_spoiled_stream_never_reaches_done(fault: str) -> None:
    sim = Sim()
    sim.behave(faults={fault: 1.0})

    assert b"[DONE]" not in body_of(sim.chat(body=STREAM))


def test_a_slow_drip_is_the_whole_answer_in_pieces() -> None:
    sim, sound = Sim(), Sim()
    sim.behave(faults={"slow_drip": 1.0}, drip_s=0.2)

    reply = sim.chat()

    assert reply.gap_s == 0.2
    assert body_of(reply) == body_of(sound.chat())


def test_limits_answer_429_until_the_time_they_tell_has_passed() -> None:
    sim = Sim()
    sim.behave(rpm=2)

    replies = [sim.chat(n) for n in range(3)]
    sim.now += 30

    assert [status_of(reply) for reply in replies] == [200, 200, 429]
    assert header_of(replies[1], "x-ratelimit-remaining-requests") == "0"
    assert header_of(replies[2], "retry-after") == "30"
    assert status_of(sim.chat(4)) == 200


def test_max_tokens_counts_against_the_limit_in_advance() -> None:
    sim = Sim()
    sim.behave(tpm=1000)

    statuses = [status_of(sim.chat(n, body=CHAT[:-1] + b',"max_tokens":600}')) for n in range(2)]

    assert statuses == [200, 429]


def test_providers_do_not_share_limits() -> None:
    sim = Sim()
    sim.behave(rpm=1)
    sim.chat()

    other = sim.ask("POST", "/borealis/v1/chat/completions", CHAT)

    assert status_of(other) == 200
    assert status_of(sim.chat(2)) == 429


def test_configured_keys_and_models_turn_others_away() -> None:
    sim = Sim()
    sim.behave(api_keys=["sk-good"], models=["gull"])
    path = "/atlas/v1/chat/completions"

    wrong_key = sim.ask("POST", path, CHAT, authorization="Bearer sk-bad")
    wrong_model = sim.ask(
        "POST", path, CHAT.replace(b"gull", b"emu"), authorization="Bearer sk-good"
    )
    right = sim.ask("POST", path, CHAT, authorization="Bearer sk-good")

    assert (status_of(wrong_key), json_of(wrong_key)["error"]["code"]) == (401, "invalid_api_key")
    assert (status_of(wrong_model), json_of(wrong_model)["error"]["code"]) == (
        404,
        "model_not_found",
    )
    assert status_of(right) == 200
    outcomes = [row.outcome for row in sim.ledger.rows()]
    assert outcomes == ["unauthorized", "unknown_model", "ok"]


def test_a_bad_body_is_400_and_in_the_ledger() -> None:
    sim = Sim()

    reply = sim.chat(body=b'{"model":"gull"}')

    assert (status_of(reply), json_of(reply)["error"]["param"]) == (400, "messages")
    assert sim.row.outcome == "bad_request"


def test_embeddings_are_answered_and_counted() -> None:
    sim = Sim()

    answer = json_of(
        sim.ask("POST", "/atlas/v1/embeddings", b'{"model":"e","input":["a","b"],"dimensions":5}')
    )

    assert [len(entry["embedding"]) for entry in answer["data"]] == [5, 5]
    assert (sim.row.prompt_tokens, sim.row.output_tokens) == (answer["usage"]["prompt_tokens"], 0)


def test_embeddings_can_come_without_usage() -> None:
    sim = Sim()
    sim.behave(faults={"no_usage": 1.0})

    answer = json_of(sim.ask("POST", "/atlas/v1/embeddings", b'{"model":"e","input":"a"}'))

    assert "usage" not in answer


def test_models_are_those_configured_or_those_that_were_asked_for() -> None:
    sim = Sim()
    sim.chat()

    seen = json_of(sim.ask("GET", "/atlas/v1/models"))
    sim.behave(models=["tern", "gull"])
    configured = json_of(sim.ask("GET", "/atlas/v1/models"))

    assert [model["id"] for model in seen["data"]] == ["gull"]
    assert [model["id"] for model in configured["data"]] == ["gull", "tern"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/atlas/v1/chat/completions", 405),
        ("POST", "/atlas/v1/models", 405),
        ("POST", "/atlas/v1/images", 404),
        ("POST", "/a/b/v1/embeddings", 404),
        ("GET", "/_simulator", 404),
        ("POST", "/_simulator/ledger", 404),
        ("GET", "/_simulator/ledger?when=now", 400),
        ("GET", "/_simulator/ledger?since=yesterday", 400),
        ("GET", "//[", 400),
    ],
)
def test_what_is_not_there_is_said_in_an_envelope(method: str, path: str, status: int) -> None:
    reply = Sim().ask(method, path)

    assert status_of(reply) == status
    assert json_of(reply)["error"]["message"]


def test_a_behaviour_can_be_read_back_and_what_is_left_out_is_as_at_the_start() -> None:
    sim = Sim()
    sim.behave(latency={"kind": "uniform", "spread": 5}, faults={"500": 0.25})

    shown = json_of(sim.ask("GET", "/_simulator/providers/atlas"))
    sim.behave()
    reset = json_of(sim.ask("GET", "/_simulator/providers"))["atlas"]

    assert shown["latency"] == {"kind": "uniform", "ms": 20.0, "spread": 5.0}
    assert shown["faults"] == {"500": 0.25}
    assert (reset["latency"]["kind"], reset["faults"]) == ("fixed", {})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"colour":"red"}', "colour"),
        (b'{"faults":{"flood":1}}', "flood"),
        (b"[]", "object"),
        (b"{", "JSON"),
    ],
)
def test_a_behaviour_that_cannot_be_is_refused_and_changes_nothing(body: bytes, told: str) -> None:
    sim = Sim()
    before = json_of(sim.ask("GET", "/_simulator/providers/atlas"))

    reply = sim.ask("PUT", "/_simulator/providers/atlas", body)

    assert status_of(reply) == 400
    assert told in json_of(reply)["error"]["message"]
    assert json_of(sim.ask("GET", "/_simulator/providers/atlas")) == before


def test_reset_forgets_behaviours_limits_and_calls() -> None:
    sim = Sim()
    sim.behave(rpm=1, faults={"500": 1.0})
    sim.chat()

    sim.ask("POST", "/_simulator/reset")

    assert len(sim.ledger) == 0
    assert status_of(sim.chat(1)) == status_of(sim.chat(2)) == 200


def test_the_ledger_is_listed_as_json_lines_and_cleared() -> None:
    sim = Sim()
    for number in range(1200):
        sim.chat(number)

    listed = sim.ask("GET", "/_simulator/ledger?provider=atlas&since=0")
    chunks = list(listed.rest or ())
    lines = b"".join(chunk.split(b"\r\n", 1)[1].removesuffix(b"\r\n") for chunk in chunks[:-1])
    sim.ask("DELETE", "/_simulator/ledger")

    assert [json.loads(line)["request_id"] for line in lines.splitlines()] == [
        f"req_{number}" for number in range(1200)
    ]
    assert len(chunks) == 4
    assert json_of(sim.ask("GET", "/_simulator/ledger/summary"))["calls"] == 0


def test_a_stream_can_be_paced_event_by_event() -> None:
    sim, at_once = Sim(), Sim()
    sim.behave(stream_gap_ms=10)

    reply = sim.chat(body=STREAM)

    assert reply.gap_s == 0.01
    assert reply.first.endswith(b"\r\n\r\n")
    assert body_of(reply) == body_of(at_once.chat(body=STREAM))


def test_an_answer_that_was_sent_is_whole_unless_its_fault_cut_it() -> None:
    sim = Sim()
    for number, faults in enumerate(({}, {"truncated_json": 1.0}, {"wrong_type": 1.0})):
        sim.behave(faults=faults)
        reply = sim.chat(number)
        sim.now += 1
        sim.site.flush()
        sim.site.finish(reply, is_sent=True)
        sim.site.finish(reply, is_sent=False)

    assert [(row.is_whole, row.finished_ns) for row in sim.ledger.rows()] == [
        (True, 1_000_000_000),
        (False, 2_000_000_000),
        (True, 3_000_000_000),
    ]


def test_the_end_of_what_is_no_call_is_nothing_to_the_ledger() -> None:
    sim = Sim()

    sim.site.finish(sim.ask("GET", "/_simulator/ledger/summary"), is_sent=True)

    assert len(sim.ledger) == 0
