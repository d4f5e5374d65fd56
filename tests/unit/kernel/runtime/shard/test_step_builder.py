"""Records of a step keep their order, and a page is written once."""

from crossdock.kernel.process.record import Outgoing, Page, Step
from crossdock.kernel.runtime.shard.step_builder import StepBuilder


def test_the_last_value_of_a_page_is_written_and_records_keep_their_order() -> None:
    step = StepBuilder()
    records = [Outgoing("topic", b"key", b"%d" % number, []) for number in range(3)]

    step.keep(Page(b"a", b"1"), Page(b"b", b"1"))
    step.send(records[0])
    step.send(*records[1:])
    step.keep(Page(b"a", None))

    assert step.finish() == Step(records, [Page(b"a", None), Page(b"b", b"1")])
    assert step.finish() == Step()
