"""What the texts of options mean."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.cli.shared.options import duration_s, expiry
from crossdock.kernel.process.errors import ProcessError

NOW_MS = 1_767_225_600_999  # 2026-01-01T00:00:00Z, and a bit


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30d", 2_592_000), ("12h", 43_200), ("90m", 5_400), ("45s", 45), ("0", 0), ("0h", 0)],
)
def test_a_duration_is_a_number_and_its_unit(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "d", "-1d", "1.5h", "30 d", "1w", "٣d", "1d\n", "1000000d"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ProcessError, match=re.escape(": use 30d, 12h or 90m")):
        duration_s(text)


@given(st.integers(1, 999_999), st.sampled_from("smhd"))
def test_every_duration_has_an_end_that_can_be_said(number: int, unit: str) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", expiry(f"{number}{unit}", NOW_MS) or "")


def test_an_expiry_is_said_in_utc() -> None:
    assert expiry("30d", NOW_MS) == "2026-01-31T00:00:00Z"


def test_a_thing_that_is_over_at_once_is_a_mistake() -> None:
    with pytest.raises(ProcessError, match="it would expire at once"):
        expiry("0d", NOW_MS)
