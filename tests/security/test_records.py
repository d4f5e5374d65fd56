"""No input, and no answer of a provider, makes a record that ends a stage."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from crossdock.kernel.drivers.kafka import open_producer
from crossdock.kernel.process.record import MAX_RECORD_BYTES, Outgoing
from crossdock_schemas.calls.usage import UsageGroup
from crossdock_schemas.codec import encode_headers
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.topic import Topic
from crossdock_schemas.topics import ADMITTED, DISPATCH, LATER, REQUESTS, USAGE
from support.attacks import Attacked
from support.builders import make_parcel, make_usage
from support.dock import Line, crossdock, until
from support.effort import Effort
from support.hostile import Received, Reply, completion

WORST = ("\U0001f600", "\0", '"', "\\", "\u2028", "\x7f")
"""Characters that grow most: four bytes of UTF-8, escapes of JSON of six bytes and of two."""


def lines(count: int, **more: Any) -> list[Line]:
    body = {"model": "hostile", "messages": [{"role": "user", "content": "hi"}]}
    return [
        {
            "custom_id": f"{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": body | more,
        }
        for number in range(count)
    ]


@pytest.fixture(autouse=True)
def sound(attacked: Attacked) -> Iterator[None]:
    yield
    attacked.provider.behave("hostile", lambda _: completion())


def metadata(char: str) -> dict[str, str]:
    return {f"{number:02d}" + char * 62: char * 512 for number in range(16)}


def test_batches_with_the_longest_metadata_and_custom_ids_complete(
    attacked: Attacked, effort: Effort
) -> None:
    """400 lines made a usage record of 5 MB, and every provider worker ended again and again."""
    count = effort(200, 2000)
    wanted = lines(2 * count)
    for number, line in enumerate(wanted):
        char = WORST[number % len(WORST)]
        line["custom_id"] = f"{number:06d}" + char * 506
    dock = attacked.dock

    with attacked.unharmed():
        marked = [dock.submit(lines(count), metadata=metadata(char)) for char in "\U0001f600\\"]
        named = dock.wait(dock.submit(wanted))
        done = [dock.wait(batch_id) for batch_id in marked]

    output, errors = dock.output(named)
    assert errors == []
    assert {line["custom_id"] for line in output} == {line["custom_id"] for line in wanted}
    assert {batch.status for batch in done} == {"completed"}
    assert [dict(batch.metadata or {}) for batch in done] == list(map(metadata, "\U0001f600\\"))


def test_a_batch_whose_every_line_is_wrong_in_long_words_fails_with_its_errors(
    attacked: Attacked,
) -> None:
    """1,000 errors that repeat a value of 512 characters each made a directory entry of 5 MB."""
    repeated = lines(1200)
    for number, line in enumerate(repeated):
        line["custom_id"] = f"{number // 2:06d}" + "\U000e0001" * 506
    odd = lines(1200)
    for line in odd:
        line["method"] = "\U000e0001" * 3000

    with attacked.unharmed():
        for wrong in (repeated, odd):
            batch = attacked.dock.wait(attacked.dock.submit(wrong))
            assert batch.status == "failed"
            assert batch.errors is not None
            assert len(batch.errors.data or ()) > 100


def long_request_id(size: int) -> Reply:
    sound = completion()
    return sound._replace(headers=(*sound.headers, ("x-request-id", "r" * size)))


def test_answers_with_a_very_long_request_id_are_passed_on(attacked: Attacked) -> None:
    """20 of 300 kB made a usage record that the producer refused by ending the process."""
    attacked.provider.behave("hostile", lambda _: long_request_id(300_000))

    with attacked.unharmed():
        batch = attacked.dock.wait(attacked.dock.submit(lines(20)))

    assert batch.status == "completed"
    ids = attacked.dock.rows(
        f"SELECT max(length(provider_request_id)) FROM crossdock.attempts WHERE batch_id = '{batch.id}'"
    )
    assert int(ids[0][0]) <= 256


def _error(received: Received) -> Reply:
    number = len(received.body) % 4
    long = "\U0001f600" * 20_000
    bodies: list[object] = [
        {"error": {"message": long, "type": long, "code": long, "param": long}},
        {"error": {"message": long, "code": "x" * 60_000}},
        {"error": {"message": "\0" * 10_000, "type": None, "code": None}},
        [long],
    ]
    return Reply(json.dumps(bodies[number], ensure_ascii=number % 2 == 0).encode(), 400)


def test_errors_in_very_many_words_end_their_lines(attacked: Attacked) -> None:
    attacked.provider.behave("hostile", _error)

    with attacked.unharmed():
        wanted = [line for n in range(5) for line in lines(4, user="u" * (n + 1))]
        for number, line in enumerate(wanted):
            line["custom_id"] = f"{number}"
        batch = attacked.dock.wait(attacked.dock.submit(wanted))

    output, errors = attacked.dock.output(batch)
    assert (batch.status, output, len(errors)) == ("completed", [], 20)
    assert {line["response"]["status_code"] for line in errors} == {400}


ODD_ANSWERS: dict[str, Reply] = {
    "a usage of a million digits": Reply(
        completion().body.replace(b'"prompt_tokens": 10', b'"prompt_tokens": ' + b"9" * 4000)
    ),
    "a usage that is infinite": completion(prompt=1e308, output=1e308),
    "deep": Reply(b'{"choices":' + b"[" * 100_000),
    "a cost of many digits": completion(
        usage={"prompt_tokens": 1, "completion_tokens": 1, "cost": 1e-320}
    ),
    "no object": Reply(b"[]"),
    "status 599": Reply(b"\xff\xfe", 599, (("retry-after-ms", "0." + "0" * 400),)),
    "a wait that is no number": Reply(
        b"{}", 429, (("retry-after", "Fri, 31 Dec 99999 23:59:59"), ("retry-after-ms", "nan"))
    ),
}


def test_answers_that_make_no_sense_end_their_lines(attacked: Attacked) -> None:
    answers = list(ODD_ANSWERS.values())
    calls = attacked.provider.calls["hostile"]
    before = len(calls)
    attacked.provider.behave("hostile", lambda _: answers[len(calls) % len(answers)])

    with attacked.unharmed(audit=False):
        batch = attacked.dock.submit(lines(14), completion_window="24h")
        until(lambda: len(calls) >= before + 14, what="a call of each line")
        attacked.provider.behave("hostile", lambda _: completion())
        done = attacked.dock.wait(batch)

    assert done.status == "completed"
    assert done.request_counts is not None
    assert done.request_counts.total == 14


def _put(attacked: Attacked, *messages: Outgoing) -> None:
    async def send() -> None:
        servers = attacked.dock.addresses["KAFKA_BOOTSTRAP_SERVERS"]
        async with open_producer(servers, client="test") as producer:
            await producer.send(messages)

    asyncio.run(send())


def _letters(attacked: Attacked) -> list[dict[str, Any]]:
    path = str(attacked.dock.data.path)
    done = crossdock("dead-letters", "list", "--json", "--data-dir", path)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _parcel_record(topic: Topic, name: str, parcel: Parcel, value: bytes = b"") -> Outgoing:
    headers = encode_headers(topic, "test", parcel.parcel_id, parcel.created_at_ms, parcel)
    key = parcel.account if topic is REQUESTS else parcel.parcel_id
    return Outgoing(name, key.encode(), value, headers)


def _filled(record: Outgoing) -> Outgoing:
    """Return a record as large as any may be."""
    return record._replace(value=b"x" * (MAX_RECORD_BYTES - record.size))


HOSTILE_BATCH = DISPATCH.name.replace("<provider>.<lane>", "hostile.batch")
POISON: dict[str, tuple[Outgoing, str]] = {
    "requests: what other lines ask for": (
        _parcel_record(REQUESTS, REQUESTS.name, make_parcel(input_most=(1, 2))),
        "accounts",
    ),
    "admitted: no id of a batch or a request": (
        _parcel_record(ADMITTED, ADMITTED.name, make_parcel(batch_id=None)),
        "router",
    ),
    "admitted: no room for a plan": (_filled(_parcel_record(ADMITTED, ADMITTED.name, make_parcel(model="hostile"))), "router"),
    "dispatch: no plan": (_parcel_record(DISPATCH, HOSTILE_BATCH, make_parcel()), "provider"),
    "later: no plan": (_parcel_record(LATER[5000], LATER[5000].name, make_parcel()), "provider"),
    "usage: more attempts than a column takes": (
        Outgoing(USAGE.name, b"org_local", UsageGroup(executions=(make_usage(attempt=10**6, call=10**9),)).to_json(), []),
        "metering",
    ),
}  # fmt: skip


def test_records_that_a_stage_cannot_handle_are_kept_and_block_none(attacked: Attacked) -> None:
    """Each is sent again and again, as a hostile program or a bug would."""
    before = {letter["number"] for letter in _letters(attacked)}
    expected = Counter[tuple[str, str]]()
    for record, stage in POISON.values():
        expected[record.topic, stage] += 3

    def new() -> Counter[tuple[str, str]]:
        letters = [one for one in _letters(attacked) if one["number"] not in before]
        return Counter((letter["topic"], letter["stage"]) for letter in letters)

    with attacked.unharmed(audit=False):
        _put(attacked, *[record for record, _ in POISON.values()] * 3)
        until(lambda: new() >= expected, what="the dead letters")
        batch = attacked.dock.wait(attacked.dock.submit(lines(5)))

    assert batch.status == "completed"
    assert new() == expected
