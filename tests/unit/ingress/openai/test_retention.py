"""Bodies that travelled by reference."""

import pytest

from crossdock.ingress.openai.retention import LINE_LIFE_MS, SINGLE_LIFE_MS, has_passed
from crossdock_schemas.ids import line_request_id, make_batch_id, make_request_id

NOW_MS = 1_800_000_000_000
SINGLE = make_request_id(NOW_MS)
LINE = line_request_id(make_batch_id(NOW_MS), 7)


@pytest.mark.parametrize(
    ("path", "life_ms"),
    [
        pytest.param(f"bodies/{SINGLE}", SINGLE_LIFE_MS, id="a request's body"),
        pytest.param(f"results/{SINGLE}/1-claim", SINGLE_LIFE_MS, id="a request's result"),
        pytest.param(f"results/{LINE}/1-claim", LINE_LIFE_MS, id="a line's result"),
    ],
)
def test_a_body_is_kept_as_long_as_it_may_be_asked_for(path: str, life_ms: int) -> None:
    assert not has_passed(path, NOW_MS + life_ms)
    assert has_passed(path, NOW_MS + life_ms + 1)


def test_what_has_no_time_in_its_name_is_left_alone() -> None:
    assert not has_passed("bodies/strange", NOW_MS * 2)
