"""A batch's state comes back whole from its pages."""

from decimal import Decimal

from crossdock.batches.core.publication import Publication
from crossdock.batches.core.state import BatchState, ModelLines, parts_key, restore_states
from crossdock.kernel.process.record import Page, Step
from crossdock.kernel.runtime.shard.step_builder import StepBuilder
from crossdock_schemas.batches.batch import PARTS_PER_PAGE, Part
from crossdock_schemas.tokens import Tokens
from support.builders import BATCH, NOW_MS, make_batch


def pages_of(state: BatchState) -> list[Page]:
    return published(state).pages


def published(state: BatchState) -> Step:
    step = StepBuilder()
    Publication(0, step).publish({state.head.batch_id: state}, NOW_MS)
    return step.finish()


def make_state(parts: int) -> BatchState:
    state = BatchState(make_batch(total=5), completed=2, failed=1)
    state.tokens, state.cost_usd = Tokens(input=5), Decimal("0.1")
    state.models = {"tern": ModelLines("tern", 0, 3, 3, 2), "gull": ModelLines("gull", 1, 2, 1, 1)}
    for line in (0, 2, 40_000):
        state.done.add(line)
    for number in range(parts):
        state.add_part("output", Part(path=f"part-{number}", bytes=number, lines=1))
    state.add_part("error", Part(path="error", bytes=7, lines=1))
    return state


def test_it_comes_back_whole_in_whatever_order_the_pages_come() -> None:
    state = make_state(parts=PARTS_PER_PAGE * 2 + 1)

    restored = restore_states(reversed(pages_of(state)))[BATCH]

    assert restored.to_batch() == state.to_batch()
    assert restored.parts == state.parts
    assert restored.models == state.models
    assert [line for line in (0, 1, 2, 40_000) if line in restored.done] == [0, 2, 40_000]
    assert not restored.changed


def test_a_restored_batch_announces_its_files_no_second_time() -> None:
    restored = restore_states(pages_of(make_state(parts=1)))[BATCH]
    restored.add_part("output", Part(path="next", bytes=1, lines=1))

    step = published(restored)

    assert [record.topic for record in step.outgoing].count("files") == 0


def test_only_the_page_that_grew_is_written_again() -> None:
    state = make_state(parts=PARTS_PER_PAGE)
    pages_of(state)

    state.add_part("output", Part(path="next", bytes=1, lines=1))

    assert [page.page for page in state.take_parts_pages()] == [1]
    assert state.take_parts_pages() == []


def test_pages_of_a_batch_that_is_gone_are_passed_over() -> None:
    pages = [
        Page(b"batch_gone/done/0", b"\x01"),
        Page(BATCH.encode(), None),
        Page(parts_key(BATCH, "output", 0), None),
    ]

    assert restore_states(pages) == {}


def test_nothing_is_published_of_what_did_not_change() -> None:
    state = make_state(parts=1)
    pages_of(state)

    step = published(state)

    assert step == Step()


def test_a_file_lives_as_long_as_the_batch_wishes() -> None:
    state = BatchState(make_batch(output_expires_after_s=60))
    state.add_part("error", Part(path="p", bytes=1, lines=1))

    step = published(state)

    (entry,) = [record.value for record in step.outgoing if record.topic == "files"]
    assert b'"expires_at_ms":%d' % (NOW_MS + 60_000) in (entry or b"")
