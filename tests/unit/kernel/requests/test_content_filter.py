"""The guard counts, takes out or blocks; what it took out cannot be found again, and it never says what it was."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.requests import content_filter
from crossdock.kernel.requests.content_filter import guard, why_too_large, why_unsound
from crossdock.kernel.requests.scanning import MAX_FOUND, MAX_PROGRAM, TimeSlice, placeholder, scan
from crossdock_schemas.accounts.content_filter import CUSTOM, Action, Builtin, Detector, GuardRules

ALL = GuardRules(
    detectors=tuple(Detector(name=b.value, action=Action.REDACT, scope="org_1") for b in Builtin)
)
CARD = "4111 1111 1111 1111"


def looking(*detectors: Detector) -> GuardRules:
    return GuardRules(detectors=detectors)


def builtin(name: str, action: str = "redact", scope: str = "org_1") -> Detector:
    return Detector(name=Builtin(name).value, action=Action(action), scope=scope)


def own(pattern: str, action: str = "redact", name: str = CUSTOM) -> Detector:
    return Detector(name=name, action=Action(action), scope="key_1", pattern=pattern)


def chat(text: str) -> dict[str, Any]:
    return {"model": "tern", "messages": [{"role": "user", "content": text}]}


def test_what_is_redacted_goes_on_without_it() -> None:
    found = guard(chat("mail a@b.example, c@d.example"), looking(builtin("email")))

    assert found.body == chat("mail [EMAIL], [EMAIL]")
    assert (dict(found.findings), found.blocking) == ({"email": 2}, None)


def test_what_is_flagged_is_counted_and_goes_on_as_it_is() -> None:
    body = chat("mail a@b.example")

    found = guard(body, looking(builtin("email", "flag"), builtin("phone", "flag")))

    assert found.body is body
    assert found.findings == {"email": 1}


def test_what_blocks_says_who_blocks_and_the_body_stays_as_it_is() -> None:
    body = chat(f"mail a@b.example {CARD}")

    found = guard(body, looking(builtin("email"), builtin("credit-card", "block", "proj_1")))

    assert found.body is body
    assert found.blocking == builtin("credit-card", "block", "proj_1")
    assert found.findings == {"email": 1, "credit-card": 1}


def test_a_tenants_pattern_is_named_by_its_label() -> None:
    rules = looking(own("(?i)staff-[0-9]{3}", name="staff-id"), own("Zeus", "flag"))

    found = guard(chat("STAFF-123 knows Zeus"), rules)

    assert found.body == chat("[STAFF_ID] knows Zeus")
    assert found.findings == {"staff-id": 1, CUSTOM: 1}


def test_labels_that_are_the_same_are_counted_together() -> None:
    assert scan("a b", looking(own("a", "flag"), own("b", "flag"))).findings == {CUSTOM: 2}


def test_what_overlaps_gets_one_mark() -> None:
    rules = looking(builtin("email"), own("[a-z]+ a@b", name="who"))

    assert scan("mail a@b.example", rules).text == "[WHO]"


def test_text_beyond_ascii_stays_whole() -> None:
    assert scan("größe: a@b.example · ok 😀", ALL).text == "größe: [EMAIL] · ok 😀"


def test_half_a_character_hides_nothing() -> None:
    assert scan("\ud800 a@b.example", ALL).text == "? [EMAIL]"


@pytest.mark.parametrize(
    ("pattern", "text", "clean"),
    [
        pytest.param("[A-Z]{3}", "xABC", "x[CUSTOM]", id="the mark's own letters"),
        pytest.param(".+", "hello", "[CUSTOM]", id="everything"),
        pytest.param(r"\ba", "aab", "[CUSTOM][CUSTOM]b", id="a border that the mark makes"),
        pytest.param(r"\ba", "a" * 9, "[CUSTOM]", id="borders without an end"),
        pytest.param("b.*e", "b[CUSTOM]e", "[CUSTOM]", id="around a mark"),
        pytest.param("M].*", "x[CUSTOM]y", "x[CUSTOM]", id="from a mark on"),
        pytest.param("x.C", "x[CUSTOM]y", "[CUSTOM]y", id="into a mark"),
    ],
)
def test_a_mark_is_not_found_again(pattern: str, text: str, clean: str) -> None:
    rules = looking(own(pattern))

    assert scan(text, rules).text == clean
    assert scan(clean, rules).text == clean


def test_a_pattern_that_finds_very_much_takes_out_the_rest() -> None:
    """Each of its matches may have looked far ahead: the time would be the square of the text's length."""
    rules = looking(own("a.*b|a"))

    found = scan("a" * (MAX_FOUND + 50) + " end", rules)

    assert found.text == "[CUSTOM]" * (MAX_FOUND + 1)
    assert found.findings == {CUSTOM: MAX_FOUND + 1}


EXPENSIVE = "((a{0,30}){0,30})x"


def test_a_body_that_takes_too_long_is_blocked_unread() -> None:
    """20 of these took 9.5 s for 16 kB; a policy that was stored before there was a limit may have them."""
    rules = looking(*(own(f"{EXPENSIVE}{n}", "flag") for n in range(20)))
    body = chat("a" * 65_536)
    started = time.thread_time()

    found = guard(body, rules, TimeSlice(0.2))

    assert time.thread_time() - started < 3
    assert found.is_too_slow
    assert found.body is body
    assert found.blocking is not None


def test_a_pattern_that_is_too_large_blocks_though_it_is_stored() -> None:
    found = guard(chat("ab"), looking(own(r"\pL{2}", "flag")))

    assert found.is_too_slow


@given(
    st.sampled_from([EXPENSIVE, "(?:a?){300}b|a", "a.{0,400}b|a", ".*x|a", "(?:.{0,30}a){20}x"]),
    st.sampled_from("ab"),
)
def test_no_pattern_takes_much_longer_than_its_slice(pattern: str, letter: str) -> None:
    started = time.thread_time()

    guard(chat(letter * 500_000), looking(own(pattern)), TimeSlice(0.05))

    assert time.thread_time() - started < 3  # one search cannot be interrupted


def test_a_long_text_is_searched_in_windows() -> None:
    rules = looking(own(f"(?:{EXPENSIVE}|E-[0-9]{{6}})", name="staff"))
    filler = "b " * 150_000

    found = scan(f"{filler}E-123456 {filler}", rules, TimeSlice(60))

    assert found.text == f"{filler}[STAFF] {filler}"
    assert found.findings == {"staff": 1}


def test_patterns_of_a_policy_are_bounded_together() -> None:
    assert why_too_large(["E-[0-9]{6}"] * 20) is None
    assert "5000 at most" in (why_too_large([EXPENSIVE] * 3) or "")


@pytest.mark.parametrize(
    "body", [{"model": "user", "messages": [{"role": "user", "type": "text"}]}]
)
def test_a_tenants_pattern_leaves_the_words_of_the_api(body: dict[str, Any]) -> None:
    assert guard(body, looking(own("[a-z]+"))).body is body


def test_a_place_without_a_character_is_not_found() -> None:
    assert scan("abc", looking(own("x*", "flag"))).findings == {}


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        pytest.param("(a", "missing )", id="no pattern"),
        pytest.param("(?=a)b", "invalid perl operator", id="a look ahead"),
        pytest.param(r"(a)\1", "invalid escape sequence", id="a back-reference"),
        pytest.param("a*", "it matches where there is nothing", id="nothing"),
        pytest.param(r"\b", "it matches where there is nothing", id="a border"),
        pytest.param(r"\pL{2}", f"{MAX_PROGRAM} at most", id="a large one"),
        pytest.param(r"\pL{900}", "pattern too large", id="a huge one"),
        pytest.param("((a{100}){100}){100}", "invalid repetition size", id="nested repetitions"),
        pytest.param("\ud800", "half a character", id="half a character"),
    ],
)
def test_a_pattern_that_cannot_be_taken_is_told_why(pattern: str, said: str) -> None:
    assert said in (why_unsound(pattern) or "")


@pytest.mark.parametrize("pattern", ["E-[0-9]{6}", "(?i)zeus|hera", r"\bgeheim\b", "größe"])
def test_a_sound_pattern_is_taken(pattern: str) -> None:
    assert why_unsound(pattern) is None


PIECES = st.sampled_from(
    [
        "a@b.example", CARD, "5555555555554444", "DE89 3704 0044 0532 0130 00", "123-45-6789", "12345678Z",
        "86095742719", "RSSMRA85T10A562S", "10.0.0.1", "fe80::1", "+49 30 1234567", "(415) 555-2671",
        "[EMAIL]", "[", "]", " ", "-", "1", "00", "x", ":", ".", "é", "卡", "@", "+",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=30)
OWN = st.sampled_from(["[A-Z]{3}", ".+", r"\ba", "a.b", "[0-9]+", "x.C", "M]|E", "é", r"\w+\b"])
RULES = st.lists(
    st.builds(builtin, st.sampled_from([b.value for b in Builtin]))
    | st.builds(own, OWN, name=st.sampled_from(["custom", "email", "one"])),
    max_size=4,
    unique_by=lambda detector: (detector.pattern, detector.name),
).map(lambda detectors: GuardRules(detectors=tuple(detectors)))


@given(TEXTS, RULES)
def test_to_redact_again_changes_nothing(text: str, rules: GuardRules) -> None:
    once = scan(text, rules).text

    assert scan(once, rules).text == once


@given(TEXTS, RULES)
def test_nothing_is_found_in_what_was_redacted(text: str, rules: GuardRules) -> None:
    assert scan(scan(text, rules).text, rules).findings == {}


@given(TEXTS)
def test_no_built_in_detector_finds_anything_in_what_was_redacted(text: str) -> None:
    """Whoever looks again may not know the marks."""
    flagging = looking(*(builtin(b.value, "flag") for b in Builtin))

    assert scan(scan(text, ALL).text, flagging).findings == {}


@given(TEXTS, RULES)
def test_without_findings_a_text_stays_itself(text: str, rules: GuardRules) -> None:
    found = scan(text, rules)

    assert found.findings or found.text == text
    assert found.blocking is None


@given(st.sampled_from(Builtin))
def test_a_mark_is_no_sensitive_data(name: Builtin) -> None:
    assert scan(placeholder(name.value), ALL).findings == {}


def test_a_text_whose_parts_are_found_again_and_again_is_hidden_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(content_filter, "ROUNDS", 0)
    parts = [{"type": "text", "text": "my card 4111 1111"}, {"type": "text", "text": "1111 1111"}]
    body = {"messages": [{"role": "user", "content": parts}]}
    card = Detector(name=Builtin.CREDIT_CARD.value, action=Action.REDACT, scope="org_1")

    found = guard(body, GuardRules(detectors=(card,)))

    assert "1111" not in str(found.body)
    assert found.findings == {"credit-card": 1}
