"""Lines are prepared before they are checked, and lie together afterwards."""

import json
from typing import Any

import pytest

from crossdock.batches.core.background_results import ReadLines, Rejected, Validated
from crossdock.batches.core.line_check import LineRules
from crossdock.batches.core.line_feeder import make_parcel
from crossdock.batches.core.line_locations import LineLocations, locations_of, prepared_path
from crossdock.batches.core.state import ModelLines
from crossdock.batches.line_reader import read_lines
from crossdock.batches.validation import InputLimits, validate
from crossdock.kernel.drivers.object_store import Objects, open_objects
from crossdock.kernel.runtime.fair_threads import FairThreads
from crossdock_schemas.accounts.content_filter import Action, Detector, GuardRules
from crossdock_schemas.accounts.preset import DEFAULT, Preparation, Preset
from crossdock_schemas.batches.batch import Batch, LineError
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.ids import AccountId
from crossdock_schemas.parcel.parcel import MAX_INLINE_BYTES, Parcel
from support.builders import BATCH, CHAT, make_batch, make_line

RULES = LineRules(CHAT, {"tern": frozenset({CHAT}), "gull": frozenset({CHAT})}, 1_000_000)
LIMITS = InputLimits(max_lines=5000, max_file_bytes=5_000_000)
PREPARATION = "batches/1/preparation"


def make_chat(number: int, **body: Any) -> bytes:
    """Return a line whose body has these fields besides its messages."""
    return make_line(number, body={"messages": [{"role": "user", "content": "Hello"}]} | body)


PLAIN = make_chat(0, model="gull", temperature=1)
NAMED = make_chat(1, model="@preset/brief")


def make_preset(slug: str, **settings: Any) -> Preset:
    return Preset(
        account=AccountId("org_1"),
        scope="org_1",
        slug=slug,
        version=1,
        updated_at_ms=1,
        **settings,
    )


BRIEF = make_preset("brief", model="tern", parameters={"temperature": 0})


async def check(
    *lines: bytes, preparation: Preparation, threads: FairThreads | None = None
) -> tuple[Validated | Rejected, Objects, Batch]:
    objects, content = open_objects("memory://"), b"\n".join(lines) + b"\n"
    await objects.put("input", content)
    await objects.put(PREPARATION, preparation.to_json())
    batch = make_batch(input_bytes=len(content), preparation_path=PREPARATION)
    found = await validate(objects, batch, RULES, LIMITS, threads=threads)
    path = found.prepared_path if isinstance(found, Validated) else None
    return found, objects, batch.model_copy(update={"prepared_path": path})


async def bodies(objects: Objects, batch: Batch, number: int, count: int) -> list[dict[str, Any]]:
    wanted = ReadLines(BATCH, "", number, 0, count, whole=True)
    read = await read_lines(objects, locations_of(batch), wanted)
    return [json.loads(raw or b"")["body"] for _, raw in read.lines]


async def test_lines_that_name_a_preset_are_fed_as_it_says() -> None:
    lines = [PLAIN, NAMED, make_chat(2, model="gull"), make_chat(3, preset="brief", model="tern")]
    found, objects, batch = await check(*lines, preparation=Preparation(presets=(BRIEF,)))

    assert isinstance(found, Validated)
    assert found.models == (("gull", 2), ("tern", 2))
    assert [body.get("temperature") for body in await bodies(objects, batch, 0, 2)] == [1, None]
    assert [body.get("temperature") for body in await bodies(objects, batch, 1, 2)] == [0, 0]
    assert [body["model"] for body in await bodies(objects, batch, 1, 2)] == ["tern"] * 2


async def test_what_lies_before_the_first_changed_line_stays_where_it_is() -> None:
    rest = make_chat(2, model="gull")
    found, objects, batch = await check(
        PLAIN, NAMED, rest, preparation=Preparation(presets=(BRIEF,))
    )

    assert isinstance(found, Validated)
    assert batch.prepared_path == prepared_path(BATCH)
    first, last = (await objects.get(prepared_path(BATCH))).splitlines()
    assert json.loads(first)["custom_id"] == json.loads(NAMED)["custom_id"]
    assert last == rest


async def test_where_nothing_is_changed_there_is_no_second_object() -> None:
    found, objects, batch = await check(PLAIN, preparation=Preparation(presets=(BRIEF,)))

    assert isinstance(found, Validated)
    assert found.prepared_path is None
    assert await objects.head(prepared_path(BATCH)) is None
    assert len(await bodies(objects, batch, 0, 1)) == 1


async def test_faults_are_told_with_the_callers_line_numbers() -> None:
    lines = [PLAIN, NAMED, b"", make_chat(3, model="@preset/other"), b"{", b"7", b'{"body":1}']
    found, objects, _ = await check(*lines, preparation=Preparation(presets=(BRIEF,)))

    assert isinstance(found, Rejected)
    assert [error.line for error in found.errors] == [4, 5, 6, 7]
    assert found.errors[0] == LineError(
        code="preset_not_found",
        message="No such preset: 'other'. There are: 'brief'.",
        line=4,
        param="body.model",
    )
    assert await objects.head(prepared_path(BATCH)) is None


async def test_repeated_ids_are_found_among_prepared_lines() -> None:
    found, _, _ = await check(NAMED, NAMED, preparation=Preparation(presets=(BRIEF,)))

    assert isinstance(found, Rejected)
    assert [error.code for error in found.errors] == ["duplicate_custom_id"]


async def test_a_default_is_for_every_line() -> None:
    default = make_preset(DEFAULT, model="tern", system="Be brief.")
    found, objects, batch = await check(make_chat(0), preparation=Preparation(defaults=(default,)))

    (body,) = await bodies(objects, batch, 0, 1)
    assert isinstance(found, Validated)
    assert body["model"] == "tern"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


async def test_a_large_prepared_line_goes_by_reference_to_where_it_lies() -> None:
    text = "x" * (MAX_INLINE_BYTES + 1)
    large = make_chat(1, model="@preset/brief", messages=[{"role": "user", "content": text}])
    found, objects, batch = await check(PLAIN, large, preparation=Preparation(presets=(BRIEF,)))
    read = await read_lines(
        objects, locations_of(batch), ReadLines(BATCH, "tern", 1, 0, 1, whole=False)
    )

    record = make_parcel(batch, ModelLines("tern", 1, 1), read.lines, 1, position=0)

    reference = decode_envelope(record.headers, Parcel).body_ref
    assert isinstance(found, Validated)
    assert reference is not None
    raw = await objects.get_range(reference.path, reference.start, reference.length)
    assert json.loads(raw)["body"]["model"] == "tern"


@pytest.mark.parametrize("number", [b"1e999", b"-1e999"])
async def test_a_number_that_json_cannot_hold_is_the_lines_fault(number: bytes) -> None:
    """Prepared lines are written anew; 1e999 came out as Infinity, which is no JSON."""
    line = NAMED.replace(b'"messages"', b'"seed":' + number + b',"messages"')

    found, objects, _ = await check(PLAIN, line, preparation=Preparation(presets=(BRIEF,)))

    assert isinstance(found, Rejected)
    assert [(error.line, error.code) for error in found.errors] == [(2, "invalid_json_line")]
    assert await objects.head(prepared_path(BATCH)) is None


async def test_a_validation_that_begins_anew_comes_to_the_same() -> None:
    preparation = Preparation(presets=(BRIEF,))
    found, objects, batch = await check(PLAIN, NAMED, preparation=preparation)
    first = await objects.get(prepared_path(BATCH))

    again = await validate(objects, batch, RULES, LIMITS)

    assert again == found
    assert await objects.get(prepared_path(BATCH)) == first


def test_offsets_behind_the_input_mean_the_prepared_object() -> None:
    places = LineLocations("input", 100, "prepared")

    assert places.find(99) == ("input", 99)
    assert places.find(100) == ("prepared", 0)
    assert LineLocations("input", 100).find(100) == ("input", 100)


def guarding(action: str) -> Preparation:
    detector = Detector(name="email", action=Action(action), scope="proj_1")
    return Preparation(presets=(BRIEF,), guard=GuardRules(detectors=(detector,)))


MAIL = [{"role": "user", "content": "to a@b.example"}]


async def test_what_a_policy_takes_out_is_taken_out_of_lines() -> None:
    lines = [PLAIN, make_chat(1, model="gull", messages=MAIL)]
    found, objects, batch = await check(*lines, preparation=guarding("redact"))

    assert isinstance(found, Validated)
    first, second = await bodies(objects, batch, 0, 2)
    assert first["messages"] == [{"role": "user", "content": "Hello"}]
    assert second["messages"] == [{"role": "user", "content": "to [EMAIL]"}]


async def test_lines_are_filtered_in_a_thread_alike() -> None:
    lines = [PLAIN, make_chat(1, model="gull", messages=MAIL)]
    threads = FairThreads(2, max_waiting=None)
    for preparation in (guarding("redact"), Preparation(presets=(BRIEF,))):
        here = await check(*lines, preparation=preparation)
        there = await check(*lines, preparation=preparation, threads=threads)

        assert there[0] == here[0]


async def test_what_a_policy_counts_stays_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    found, objects, _ = await check(
        make_chat(0, model="gull", messages=MAIL), preparation=guarding("flag")
    )

    assert isinstance(found, Validated)
    assert await objects.head(prepared_path(BATCH)) is None
    said = capsys.readouterr().out
    assert "batch.guarded" in said
    assert "'email': 1" in said
    assert "a@b.example" not in said


async def test_a_line_that_a_policy_blocks_is_reported_by_its_number() -> None:
    lines = [PLAIN, make_chat(1, model="gull", messages=MAIL), PLAIN]
    found, objects, _ = await check(*lines, preparation=guarding("block"))

    assert isinstance(found, Rejected)
    (error, *_) = found.errors
    assert (error.line, error.code, error.param) == (2, "permission_denied", "body.messages")
    assert "'email'" in error.message
    assert "the project proj_1" in error.message
    assert "a@b.example" not in error.message
    assert await objects.head(prepared_path(BATCH)) is None


async def test_what_a_preset_says_is_looked_at_too() -> None:
    """Presets come first, so that what they add does not pass the guard by."""
    mail = make_preset("mail", model="tern", system="Answer to a@b.example")
    preparation = guarding("redact").model_copy(update={"presets": (mail,)})

    _, objects, batch = await check(make_chat(0, model="@preset/mail"), preparation=preparation)

    (body,) = await bodies(objects, batch, 0, 1)
    assert body["messages"][0] == {"role": "system", "content": "Answer to [EMAIL]"}
