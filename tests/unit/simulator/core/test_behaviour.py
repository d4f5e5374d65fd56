import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crossdock.simulator.core.behaviour import (
    Behaviour,
    FaultKind,
    Latency,
    choose_fault,
    count_output,
    draw,
)

chances = st.floats(min_value=1e-9, max_value=1 - 1e-9)


@given(st.binary(), st.binary(max_size=40), st.binary(max_size=3))
def test_the_same_call_draws_the_same_chances_all_between_0_and_1(
    seed: bytes, request_id: bytes, attempt: bytes
) -> None:
    draws = draw(seed, request_id, attempt)

    assert draws == draw(seed, request_id, attempt)
    assert all(0 < chance < 1 for chance in draws[:3])


def test_another_attempt_provider_or_seed_draws_other_chances() -> None:
    drawn = {
        draw(seed, b"req_1", attempt)
        for seed in (b"1|atlas", b"1|borealis", b"2|atlas")
        for attempt in (b"1", b"2")
    }

    assert len(drawn) == 6


def test_faults_come_as_often_as_their_probability_says() -> None:
    faults: dict[FaultKind, float] = {"500": 0.1, "reset": 0.2}

    met = [choose_fault(faults, draw(b"1|a", b"%d" % n, b"1").fault) for n in range(10_000)]

    assert met.count("500") / len(met) == pytest.approx(0.1, abs=0.01)
    assert met.count("reset") / len(met) == pytest.approx(0.2, abs=0.012)


def test_a_fault_of_probability_1_strikes_always() -> None:
    assert all(choose_fault({"garbage": 1.0}, chance) == "garbage" for chance in (0.0, 0.5, 0.999))


def test_fixed_latency_does_not_depend_on_chance() -> None:
    assert {Latency(ms=7).draw_ms(chance) for chance in (0.1, 0.9)} == {7}


@given(chances)
def test_uniform_latency_stays_within_its_spread_and_is_never_negative(chance: float) -> None:
    drawn = Latency(kind="uniform", ms=10, spread=20).draw_ms(chance)

    assert 0 <= drawn <= 30


@given(chances)
def test_lognormal_latency_is_positive_and_finite(chance: float) -> None:
    drawn = Latency(kind="lognormal", ms=50, spread=3_000).draw_ms(chance)

    assert 0 <= drawn < 50 * 22_027


def test_the_median_of_lognormal_latency_is_its_ms() -> None:
    assert Latency(kind="lognormal", ms=50, spread=0.8).draw_ms(0.5) == pytest.approx(50)


@given(st.integers(1, 50), st.integers(0, 100), chances, st.none() | st.integers(1, 200))
def test_the_answer_has_as_many_tokens_as_the_range_allows_and_never_more_than_the_cap(
    low: int, width: int, chance: float, cap: int | None
) -> None:
    output, is_cut = count_output(low, low + width, chance, cap)

    assert 1 <= output <= low + width
    assert cap is None or output <= cap
    assert is_cut or output >= low
    assert not is_cut or output == cap


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"colour": "red"}, id="unknown field"),
        pytest.param({"faults": {"earthquake": 0.1}}, id="unknown fault"),
        pytest.param({"faults": {"500": 0.7, "502": 0.7}}, id="more than 1 in all"),
        pytest.param({"faults": {"500": -0.1}}, id="negative probability"),
        pytest.param({"output_tokens": [9, 3]}, id="range upside down"),
        pytest.param({"output_tokens": [0, 3]}, id="no tokens"),
        pytest.param({"rpm": 0}, id="no requests at all"),
        pytest.param({"latency": {"ms": -1}}, id="an answer before the question"),
    ],
)
def test_an_impossible_behaviour_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Behaviour.model_validate(wrong)


def test_ten_faults_of_a_tenth_are_one_in_all() -> None:
    kinds = ["429", "500", "502", "503", "529", "reset", "timeout", "garbage", "no_usage", "no_finish"]  # fmt: skip

    behaviour = Behaviour.model_validate({"faults": dict.fromkeys(kinds, 0.1)})

    assert len(behaviour.faults) == 10
