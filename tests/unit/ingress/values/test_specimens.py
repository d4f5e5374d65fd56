import pytest

from crossdock.ingress.values.specimens import _caught


def test_a_check_that_refuses_nothing_gives_no_specimen() -> None:
    """Otherwise the document would lack an error without anyone noticing."""
    with pytest.raises(AssertionError, match="nothing was refused"):
        _caught(lambda: None)
