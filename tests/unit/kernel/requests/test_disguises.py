"""Sensitive data is found however it is written, and wherever in a body it is; other text stays as it is."""

# ruff: noqa: RUF001  # characters that look like others are what this is about

import json
import random
import time
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.kernel.requests.content_filter import guard
from crossdock.kernel.requests.detectors import BUILTINS, is_luhn, is_tax_id
from crossdock.kernel.requests.disguises import DISGUISED, plain
from crossdock.kernel.requests.scanning import placeholder, scan
from crossdock.kernel.requests.seams import JoinedEnds
from crossdock.kernel.requests.views import CUT, NEAR, Change, View, plain_views
from crossdock_schemas.accounts.content_filter import Action, Builtin, Detector, GuardRules


def looking_for(*names: Builtin, action: Action = Action.REDACT) -> GuardRules:
    return GuardRules(
        detectors=tuple(Detector(name=b.value, action=action, scope="org_1") for b in names)
    )


ALL = looking_for(*Builtin)


def with_check(digits: str, is_right: Callable[[str], bool]) -> str:
    return next((digits + d for d in "0123456789" if is_right(digits + d)), "")


def iban(country: str, account: str) -> str:
    turned = "".join(str(int(c, 36)) for c in f"{account}{country}00")
    return f"{country}{98 - int(turned) % 97:02}{account}"


NUMBERS = st.integers(0, 10**8 - 1)
CARDS = st.from_regex(r"(?:4[0-9]{14}|5[1-5][0-9]{13}|6011[0-9]{11})", fullmatch=True).map(
    lambda digits: with_check(digits, lambda one: is_luhn(one.encode()))
)
GERMAN = NUMBERS.map(lambda number: iban("DE", f"3704{number:014}"))
SSNS = st.tuples(st.integers(1, 665), st.integers(1, 99), st.integers(1, 9999)).map(
    lambda parts: f"{parts[0]:03}-{parts[1]:02}-{parts[2]:04}"
)
DNIS = NUMBERS.map(lambda number: f"{number:08}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}")
TAX_IDS = (
    st.permutations("123456789")
    .map(
        lambda digits: with_check("".join(digits) + digits[0], lambda one: is_tax_id(one.encode()))
    )
    .filter(bool)
)
PHONES = NUMBERS.map(lambda number: f"+49 30 {number:08}")
ADDRESSES = st.tuples(*[st.integers(1, 255)] * 4).map(lambda parts: ".".join(map(str, parts)))
EMAILS = st.from_regex(r"[a-z]{3,8}\.[a-z]{3,8}@[a-z]{3,8}\.example", fullmatch=True)
CODES = st.just("RSSMRA85T10A562S")
SECRETS = {
    Builtin.CREDIT_CARD: CARDS,
    Builtin.IBAN: GERMAN,
    Builtin.SSN: SSNS,
    Builtin.ES_DNI: DNIS,
    Builtin.DE_TAX_ID: TAX_IDS,
    Builtin.PHONE: PHONES,
    Builtin.IP_ADDRESS: ADDRESSES,
    Builtin.EMAIL: EMAILS,
    Builtin.IT_CODICE_FISCALE: CODES,
}


def test_each_detector_has_secrets() -> None:
    assert set(SECRETS) == set(Builtin) == set(BUILTINS)


def in_fours(secret: str, gap: str) -> str:
    return gap.join(secret[at : at + 4] for at in range(0, len(secret), 4))


def with_unseen(secret: str, chance: random.Random) -> str:
    unseen = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u061c\u180e\ufe0f\u2063\u3164\x01"
    return (
        "".join(char + chance.choice(["", chance.choice(unseen)]) for char in secret[:-1])
        + secret[-1]
    )


def in_other_digits(secret: str, chance: random.Random) -> str:
    zeros = "٠۰०০๐０𝟎𝟘𝟬𝟶᠐"
    zero = ord(chance.choice(zeros))
    return "".join(chr(zero + int(char)) if char.isdigit() else char for char in secret)


def in_wide_letters(secret: str, _: random.Random) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in secret)


def with_other_gaps(secret: str, chance: random.Random) -> str:
    dash, space = chance.choice("‐‑‒–—−﹣－"), chance.choice("\u00a0\u2003\u2009\u202f\u3000")
    return secret.translate({ord("-"): dash, ord(" "): space})


def with_marks(secret: str, chance: random.Random) -> str:
    marked = (
        char + (chance.choice("\u0302\u0331\u20e3") if char.isdigit() else "")
        for char in secret[:-1]
    )
    return "".join(marked) + secret[-1]


DISGUISES: dict[str, Callable[[str, random.Random], str]] = {
    "as it is": lambda secret, _: secret,
    "unseen characters": with_unseen,
    "other digits": in_other_digits,
    "wide letters": in_wide_letters,
    "other gaps": with_other_gaps,
    "marks on digits": with_marks,
    "JSON's codes": lambda secret, _: "".join(f"\\u{ord(char):04x}" for char in secret),
    "several": lambda secret, chance: with_unseen(
        in_other_digits(with_other_gaps(secret, chance), chance), chance
    ),
}
IN_GROUPS = (Builtin.CREDIT_CARD, Builtin.IBAN)
GAPS = [
    " ",
    "-",
    "  ",
    "\n",
    "\r\n",
    "\t",
    " - ",
    "–",
    " – ",
    "·",
    ".",
    "/",
    "_",
    "\u00a0",
    "\u2028",
    "\u200b \u200b",
]
AROUND = st.sampled_from(["", "see ", "(", "号码", "Karte: ", "\n"])


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("name", list(Builtin))
@settings(max_examples=8)
@given(data=st.data(), before=AROUND, chance=st.randoms(use_true_random=False))
def test_a_disguised_secret_is_found(
    name: Builtin, disguise: str, data: st.DataObject, before: str, chance: random.Random
) -> None:
    secret = DISGUISES[disguise](data.draw(SECRETS[name]), chance)

    found = scan(f"{before}{secret} end", looking_for(name))

    assert found.text == f"{before}{placeholder(name.value)} end"
    assert found.findings == {name.value: 1}


@pytest.mark.parametrize("gap", GAPS, ids=map(repr, range(len(GAPS))))
@pytest.mark.parametrize("name", IN_GROUPS)
@settings(max_examples=8)
@given(data=st.data(), before=AROUND)
def test_a_secret_in_groups_is_found(
    name: Builtin, gap: str, data: st.DataObject, before: str
) -> None:
    secret = in_fours(data.draw(SECRETS[name]), gap)

    assert scan(f"{before}{secret} end", looking_for(name)).text == f"{before}{placeholder(name.value)} end"  # fmt: skip


@pytest.mark.parametrize("gap", [" ", "-", ".", "\n"])
@settings(max_examples=8)
@given(secret=CARDS | GERMAN)
def test_a_secret_in_single_characters_is_found(gap: str, secret: str) -> None:
    found = scan(f"see {gap.join(secret)} end", looking_for(*IN_GROUPS))

    assert found.text in {"see [CREDIT_CARD] end", "see [IBAN] end"}


@given(CARDS | GERMAN | TAX_IDS, st.data())
def test_a_number_over_two_lines_is_found(secret: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(2, len(secret) - 1))
    text = f"see {secret[:at]}\n{secret[at:]} end"

    assert secret[4:8] not in scan(text, ALL).text.replace("\n", "")


PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "content": lambda s: {"messages": [{"role": "user", "content": s}]},
    "part": lambda s: {"messages": [{"role": "user", "content": [{"type": "text", "text": s}]}]},
    "value": lambda s: {"messages": [{"content": [{"type": "text", "text": {"value": s}}]}]},
    "name": lambda s: {"messages": [{"role": "user", "name": s, "content": "hi"}]},
    "role": lambda s: {"messages": [{"role": s, "content": "hi"}]},
    "tool_call_id": lambda s: {"messages": [{"role": "tool", "tool_call_id": s, "content": "hi"}]},
    "arguments": lambda s: {"messages": [{"tool_calls": [{"function": {"arguments": json.dumps({"a": [s]})}}]}]},
    "a name in arguments": lambda s: {"messages": [{"tool_calls": [{"function": {"arguments": json.dumps({s: 1})}}]}]},
    "thinking": lambda s: {"messages": [{"content": [{"type": "thinking", "thinking": s}]}]},
    "reasoning_details": lambda s: {"messages": [{"reasoning_details": [{"text": s, "summary": "x"}]}]},
    "documents": lambda s: {"documents": [{"id": "1", "data": {"text": s}}]},
    "response_format": lambda s: {"response_format": {"json_schema": {"schema": {"properties": {"a": {"enum": [s]}}}}}},
    "a property's name": lambda s: {"response_format": {"json_schema": {"schema": {"properties": {s: {}}}}}},
    "a tool's description": lambda s: {"tools": [{"function": {"name": "f", "description": s}}]},
    "prediction": lambda s: {"prediction": {"type": "content", "content": [{"type": "text", "text": s}]}},
    "metadata": lambda s: {"metadata": {"a": s}},
    "user": lambda s: {"user": s},
    "stop": lambda s: {"stop": ["x", s]},
    "input": lambda s: {"input": ["x", s]},
    "an unknown field": lambda s: {"unheard_of": {"deep": [[{"er": s}]]}},
    "an unknown field's name": lambda s: {s: 1},
    "an image's address": lambda s: {"messages": [{"content": [{"type": "image_url", "image_url": {"url": f"https://x.test/?a={s}"}}]}]},
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=8)
@given(data=st.data(), name=st.sampled_from(Builtin), chance=st.randoms(use_true_random=False))
def test_a_secret_is_found_wherever_it_is(
    place: str, data: st.DataObject, name: Builtin, chance: random.Random
) -> None:
    secret = data.draw(SECRETS[name])
    shown = DISGUISES[data.draw(st.sampled_from(["as it is", "unseen characters"]))](secret, chance)

    found = guard({"model": "tern"} | PLACES[place](shown), looking_for(name))

    assert found.body == {"model": "tern"} | PLACES[place](placeholder(name.value))
    assert found.findings == {name.value: 1}


def test_data_in_the_place_of_media_is_read_if_it_has_numbers() -> None:
    body = {"documents": [{"data": "A" * 80 + "-4111-1111-1111-1111-" + "A" * 80}]}

    assert guard(body, ALL).findings == {"credit-card": 1}


def test_a_body_that_is_too_deep_is_blocked() -> None:
    deep: Any = "x"
    for _ in range(190):
        deep = [deep]
    inner = json.dumps(deep)
    body: Any = {"messages": [{"function_call": {"arguments": inner}}]}
    for _ in range(180):
        body = {"messages": [{"a": [body]}]}

    found = guard(body, ALL)

    assert found.is_too_slow or found.body is body


SPLITS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "parts": lambda a, b: {"messages": [{"role": "user", "content": [{"type": "text", "text": a}, {"type": "text", "text": b}]}]},
    "messages": lambda a, b: {"messages": [{"role": "user", "content": a}, {"role": "user", "content": b}]},
    "messages of one role": lambda a, b: {"messages": [{"role": "user", "content": a}, {"role": "assistant", "content": "ok"}, {"role": "user", "content": b}]},
    "a message and a part": lambda a, b: {"messages": [{"role": "system", "content": a}, {"role": "user", "content": [{"type": "text", "text": b}]}]},
    "inputs": lambda a, b: {"input": [a, b]},
    "prompts": lambda a, b: {"prompt": [a, b]},
    "arguments": lambda a, b: {"messages": [{"tool_calls": [{"function": {"arguments": json.dumps({"a": [a, b]})}}]}]},
    "texts of documents": lambda a, b: {"documents": [{"data": {"text": a}}, {"data": {"text": b}}]},
}  # fmt: skip


@pytest.mark.parametrize("split", SPLITS)
@settings(max_examples=15)
@given(
    data=st.data(),
    name=st.sampled_from([b for b in Builtin if b is not Builtin.IT_CODICE_FISCALE]),
    filler=st.sampled_from(["", "x " * 100]),
)
def test_a_secret_that_is_split_is_found(
    split: str, data: st.DataObject, name: Builtin, filler: str
) -> None:
    secret = data.draw(SECRETS[name])
    at = data.draw(st.integers(1, len(secret) - 1))
    first, second = f"{filler}see {secret[:at]}", f"{secret[at:]} end {filler}"

    found = guard(SPLITS[split](first, second), looking_for(name))

    assert found.findings
    left = json.dumps(found.body, ensure_ascii=False)
    assert placeholder(name.value) in left
    assert (f"see {secret[:at]}" not in left) or (f"{secret[at:]} end" not in left)


@given(CARDS)
def test_a_card_in_one_part_for_each_digit_is_found(card: str) -> None:
    parts = [{"type": "text", "text": digit} for digit in card]

    found = guard(
        {"messages": [{"role": "user", "content": parts}]}, looking_for(Builtin.CREDIT_CARD)
    )

    assert {part["text"] for part in found.body["messages"][0]["content"]} == {"[CREDIT_CARD]"}
    assert found.findings == {"credit-card": 1}


@given(CARDS)
def test_a_split_secret_blocks(card: str) -> None:
    body = SPLITS["parts"](card[:6], card[6:])

    found = guard(body, looking_for(Builtin.CREDIT_CARD, action=Action.BLOCK))

    assert found.body is body
    assert found.blocking is not None


PROSE = [
    "The committee met on Tuesday – as in 2023 – to discuss the budget for 2024. It was agreed.\nNobody objected.",
    "Year\tUnits\n2018\t4100\n2019\t4200\n2020\t4311\n2021\t4520\n2022\t4815\n2023\t5120\n2024\t5333\n",
    "2018\n2019\n2020\n2021\n2022\n2023\n2024\n2025\n",
    "Prices: 12.50, 13.75, 14.00, 15.25; totals 1,234.56 and 7,890.12 – see pages 12–15, 20–24 and 101–109.",
    "委员会于星期二开会，讨论了2024年的预算。费用为15,000欧元，2025年增加到16,500欧元。",
    "Le comité s’est réuni à 10 h 30 ; il a voté 15 000 € pour 2024, soit 3 500 € de plus qu’en 2023.",
    "def f(x):\n    return [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]\n\nassert f(0)[3] == 4\n",
    "0 1 0 0 1 1 0 1\n1 1 0 0 0 1 0 1\n0 0 1 1 0 1 0 0\n",
    "version 1.2.3, 10.11.12 and 2024.06.1; build 20240615; commit 9f8e7d6c5b4a; id 550e8400-e29b-41d4-a716-446655440000",
    "At 12:30:45 the train left; at 13:05 it arrived. Call me at 5, or at 6 p.m. – room 12 / floor 3.",
    "at 12 noon we will go to the park and eat 3 apples; be 45 minutes early, or it 90 minutes late",
    "π ≈ 3.141592653589793, e ≈ 2.718281828459045, √2 ≈ 1.4142135623730951, γ ≈ 0.5772156649015329",
    "| a | b |\n|---|---|\n| 1200 | 3400 |\n| 5600 | 7800 |\n| 9100 | 2300 |\n| 4500 | 6700 |\n",
]  # fmt: skip


@pytest.mark.parametrize("text", PROSE, ids=map(str, range(len(PROSE))))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert scan(text, ALL).text == text
    body = {"messages": [{"role": "user", "content": line} for line in text.splitlines()]}
    assert guard(body, ALL).body is body


def test_columns_of_numbers_are_no_cards() -> None:
    """Of each ten rows of 16 digits one satisfies Luhn's rule."""
    chance = random.Random(1)
    columns = ["\n".join(f"{chance.randrange(2000, 7000)}" for _ in range(40)) for _ in range(100)]

    cards = looking_for(Builtin.CREDIT_CARD)
    found = sum(bool(scan(text, cards).findings) for text in columns)
    split = sum(bool(guard({"input": text.split("\n")}, cards).findings) for text in columns)

    assert (found, split) == (0, 0)


@given(st.text(max_size=60), st.text(max_size=60))
def test_only_the_secret_is_replaced(before: str, after: str) -> None:
    card = "4111\u200b1111\u200b1111\u200b1111"
    rules = looking_for(Builtin.CREDIT_CARD)
    quiet = [text.encode(errors="replace").decode() for text in (before, after)]
    if any(char.isalnum() or not char.isascii() for char in quiet[0][-8:] + quiet[1][:8]):
        quiet = [f"{quiet[0]} = ", f" = {quiet[1]}"]

    found = scan(f"{quiet[0]}{card}{quiet[1]}", rules).text

    assert "[CREDIT_CARD]" in found
    assert len(found) == len(quiet[0]) + len("[CREDIT_CARD]") + len(quiet[1])


@given(st.text(max_size=80))
def test_a_view_knows_where_each_byte_comes_from(text: str) -> None:
    raw = text.encode(errors="replace")
    for view in plain_views(View(raw)):
        spans = [view.origin(at, at + 1) for at in range(len(view.raw)) if view.raw[at] != 0xFF]
        assert all(0 <= start < end <= len(raw) for start, end in spans)
        assert spans == sorted(spans)


def test_all_characters_that_stand_for_others_are_known() -> None:
    """The ranges of the pattern are written down: to compute them takes half a second."""
    pattern = re2.compile(DISGUISED)
    missing = [
        hex(code)
        for code in range(0x80, 0x110000)
        if not 0xD800 <= code < 0xE000
        and plain(chr(code)) != chr(code)
        and unicodedata.category(chr(code)) != "Cn"
        and pattern.search(f"1{chr(code)}") is None
    ]

    assert not missing


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("AT12 " * 60_000, id="beginnings of IBANs"),
        pytest.param("1 " * 150_000, id="single digits"),
        pytest.param("1\u200b" * 80_000, id="unseen characters"),
        pytest.param("4111 1111 1111 1112 " * 15_000, id="cards with a wrong digit"),
        pytest.param("a@b.cc" * 50_000, id="addresses"),
        pytest.param("::1" * 100_000, id="colons"),
        pytest.param("1\n" * 150_000, id="lines"),
    ],
)
def test_hostile_text_ends_in_its_slice_of_time(text: str) -> None:
    """It is found to be too slow, or it is read: either way the time is bounded."""
    started = time.thread_time()

    guard({"messages": [{"role": "user", "content": text}]}, ALL)

    assert time.thread_time() - started < 4


def test_a_separator_stands_for_itself() -> None:
    assert [plain(char) for char in "\t\n\r\f\v"] == list("\t\n\r\f\v")


def test_changes_far_from_each_other_keep_their_neighbourhoods_apart() -> None:
    text = View(b"1" * 5000)

    view = text.changed([Change(10, 11, b"x"), Change(2000, 2001, b"y")])

    assert view is not None
    first, second = view.raw.removeprefix(CUT).split(CUT)
    assert (first, second) == (b"1" * 10 + b"x" + b"1" * NEAR, b"1" * NEAR + b"y" + b"1" * NEAR)
    assert view.origin(view.raw.index(b"y"), view.raw.index(b"y") + 1) == (2000, 2001)


def test_what_begins_in_a_gap_is_a_part_of_the_next_text_only() -> None:
    joined = JoinedEnds([b"12 34", b"56"], [b" "])

    assert joined.raw == b"12 34 56"
    assert list(joined.parts(5, 8)) == [(1, (0, 2))]
    assert list(joined.parts(3, 7)) == [(0, (3, 5)), (1, (0, 1))]
