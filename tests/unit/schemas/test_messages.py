"""Messages, parcels, topics and headers: what a record says, it says in one way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crossdock_schemas.batches.batch import BatchStatus
from crossdock_schemas.batches.file import content_path
from crossdock_schemas.codec import MissingEnvelopeError, decode_envelope, encode_headers
from crossdock_schemas.contracts.__main__ import main as contracts
from crossdock_schemas.ids import ParcelId, line_request_id
from crossdock_schemas.parcel.parcel import MAX_LINES, Lane, Parcel, join_lines, split_lines
from crossdock_schemas.parcel.plan import Candidate, Plan
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.topics import FLEET, REQUESTS, TOPICS, USAGE, provisioned
from support.builders import BATCH, NOW_MS, make_batch, make_parcel


def make_candidate(name: str) -> Candidate:
    return Candidate(
        provider=name, model="tern", upstream_model="t", prices=Prices(), reason="price"
    )


@given(st.lists(st.binary(min_size=1).filter(lambda line: b"\n" not in line), min_size=1))
def test_lines_come_out_as_they_went_in(lines: list[bytes]) -> None:
    assert split_lines(join_lines(lines)) == lines


def test_a_parcel_is_read_as_it_was_written() -> None:
    parcel = make_parcel(plan=Plan(candidates=(make_candidate("a"),)))

    headers = encode_headers(REQUESTS, "crossdock/test", parcel.parcel_id, NOW_MS, parcel)

    assert decode_envelope(headers, Parcel) == parcel
    assert dict(headers) | {"crossdock": b""} == {
        "ce_specversion": b"1.0",
        "ce_id": parcel.parcel_id.encode(),
        "ce_type": b"crossdock.requests.v1",
        "ce_source": b"crossdock/test",
        "ce_time": b"2027-01-15T08:00:00.000+00:00",
        "crossdock": b"",
    }


def test_a_record_of_somebody_else_has_no_envelope() -> None:
    with pytest.raises(MissingEnvelopeError, match="Parcel"):
        decode_envelope(encode_headers(USAGE, "s", "i", 0, None), Parcel)


@pytest.mark.parametrize("count", [0, MAX_LINES + 1])
def test_a_parcel_has_1_to_32_lines(count: int) -> None:
    with pytest.raises(ValidationError):
        make_parcel(lines=tuple(range(count)))


def test_a_line_has_its_own_request_id_and_a_single_the_parcels() -> None:
    single = make_parcel(batch_id=None, request_id="req_1")

    assert make_parcel().request_id_of(5) == line_request_id(BATCH, 5)
    assert single.request_id_of(0) == "req_1"
    with pytest.raises(ValueError, match="neither a request id nor a batch id"):
        make_parcel(batch_id=None).request_id_of(0)


def test_attempt_n_is_the_plans_nth_candidate() -> None:
    plan = Plan(candidates=(make_candidate("a"), make_candidate("b")))

    first, last = make_parcel(plan=plan), make_parcel(plan=plan, attempt=2)

    assert (first.candidate.provider, first.has_next_candidate) == ("a", True)
    assert (last.candidate.provider, last.has_next_candidate) == ("b", False)
    assert not make_parcel().has_next_candidate
    with pytest.raises(ValueError, match="has no plan yet"):
        _ = make_parcel().candidate


def test_a_field_of_a_newer_writer_is_passed_over() -> None:
    raw = make_parcel().to_json()[:-1] + b',"from_the_future":1}'

    assert Parcel.from_json(raw) == make_parcel()


def test_topics_have_names_and_types_of_their_own() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    assert len({topic.ce_type for topic in TOPICS}) == len(TOPICS)


def test_what_is_provisioned_has_a_dispatch_topic_for_each_provider_and_lane() -> None:
    found = {topic.name: topic for topic in provisioned(("a", "b"), 4)}

    dispatches = {name for name in found if name.startswith("dispatch.")}
    assert dispatches == {f"dispatch.{name}.{lane.value}" for name in "ab" for lane in Lane}
    assert found["requests"].partitions == 4
    assert found[FLEET.name].partitions == 1


def test_compacted_topics_forget_nothing_by_age() -> None:
    found = {topic.name: topic.config for topic in provisioned((), 1)}

    assert found["batches.state"]["cleanup.policy"] == "compact"
    assert "retention.ms" not in found["batches.state"]
    assert found["requests"]["retention.ms"] == str(7 * 86_400_000)


def test_a_topic_without_an_age_keeps_the_brokers_own() -> None:
    forever = REQUESTS.__class__(
        **{field: getattr(REQUESTS, field) for field in REQUESTS.__dataclass_fields__}
        | {"retention_ms": None}
    )

    assert "retention.ms" not in forever.config


def test_four_states_are_final() -> None:
    final = {status for status in BatchStatus if status.is_final}

    assert final == {
        BatchStatus.COMPLETED,
        BatchStatus.FAILED,
        BatchStatus.EXPIRED,
        BatchStatus.CANCELLED,
    }


def test_a_batchs_done_lines_are_those_with_an_end() -> None:
    assert make_batch(completed=3, failed=2).done == 5


def test_a_files_content_has_its_place() -> None:
    assert content_path(ParcelId("file-1")) == "files/file-1/content"


def test_the_contracts_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert contracts(["what"]) == 2
    assert "write|check" in capsys.readouterr().err
