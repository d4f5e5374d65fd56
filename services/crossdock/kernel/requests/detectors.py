"""The built-in detectors of sensitive data: patterns for candidates, and checks of the candidates. Pure.

Patterns are RE2's; a text is its UTF-8. Numbers with check digits are found only if the digits agree. Letters beyond
ASCII end a number or an address, so numbers inside Chinese text are found.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from crossdock.kernel.requests.views import Span
from crossdock_schemas.accounts.content_filter import Builtin

Confirm = Callable[[bytes, int, int], Iterator[Span]]
"""Returns the confirmed places within a candidate's place in a text, and empty places where it may be interrupted."""


class Detection(NamedTuple):
    """Pattern and check of one kind of data."""

    pattern: str
    confirm: Confirm
    is_likely: Callable[[bytes, int, int], bool] = lambda *_: True
    """Return whether a confirmed place is real also if the digits are further apart in the text."""
    needs: bytes = b""
    """Bytes that each finding has."""


_DIGITS = re.compile(rb"[0-9]+")
_GAPS = frozenset({b" ", b"-", b".", b"/", b"_"})
_ROW = re.compile(rb"[0-9][ \-]\Z")
_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
PAUSE = 256  # groups of digits between two places where a search may be interrupted
_CODE_DIGITS = 4
_CARD_MOST = 19
_CARD_LEAST = 13
_CARD_FIRSTS = frozenset({4, *range(_CARD_LEAST, _CARD_MOST + 1)})
_TAX_ID_FIRSTS = frozenset({2, 11})
_CARD_GROUPS = {(4, 6, 5), (4, 6, 4)}
_GROUP_BEFORE = re.compile(rb"(?<![0-9])[0-9]{4}[ \-./_]\Z")
_GROUP_AFTER = re.compile(rb"[ \-./_][0-9]{4}(?![0-9])")
_YEARS = re.compile(rb"(?:(?:19|20)[0-9]{2}[ \-./_]?)+")
_DNI_LETTERS = b"TRWAGMYFPDXBNJZSQVHLCKE"
_NIE_DIGITS = {b"X": b"0", b"Y": b"1", b"Z": b"2"}
_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)  # fmt: skip
"""Values of the characters A to Z, or 0 to 9, at odd places of a codice fiscale."""
_IBANS = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_LENGTHS = {
    country.encode(): length
    for length, countries in _IBANS.items()
    for country in countries.split()
}
"""Characters of an IBAN, by country."""


def _is_free(text: bytes, start: int, end: int) -> bool:
    """Return whether no letter or digit touches text[start:end]."""
    touching = (text[start - 1 : start] if start else b"") + text[end : end + 1]
    return not any(byte in _WORD for byte in touching)


def _whole(_: bytes, start: int, end: int) -> Iterator[Span]:
    yield start, end


def _windows(
    text: bytes,
    start: int,
    end: int,
    is_real: Callable[[tuple[int, ...], bytes], bool],
    firsts: frozenset[int],
) -> Iterator[Span]:
    """Yield confirmed runs of groups of digits, the longest first. `firsts`: the sizes of a first group."""
    groups = [match.span() for match in _DIGITS.finditer(text, start, end)]
    most = max(firsts)
    first = 0
    while first < len(groups):
        if not first % PAUSE:
            yield start, start
        found: int | None = None
        sizes: tuple[int, ...] = ()
        digits = b""
        for last in range(first, len(groups)):
            group = text[slice(*groups[last])]
            sizes, digits = (*sizes, len(group)), digits + group
            if sizes[0] not in firsts or len(digits) > most:
                break
            if is_real(sizes, digits) and _is_free(text, groups[first][0], groups[last][1]):
                found = last
        if found is None:
            first += 1
        else:
            yield groups[first][0], groups[found][1]
            first = found + 1


def _cards(text: bytes, start: int, end: int) -> Iterator[Span]:
    """Leave out numbers after a plus: some telephone numbers satisfy Luhn's rule."""
    found = _windows(text, start, end, _is_card, _CARD_FIRSTS)
    return (span for span in found if text[span[0] - 1 : span[0]] != b"+")


def _is_no_column(text: bytes, start: int, end: int) -> bool:
    """Return whether a number stands apart from rows and columns: of each ten numbers one satisfies Luhn's rule."""
    is_row = _GROUP_BEFORE.search(text, max(0, start - 6), start) or _GROUP_AFTER.match(text, end)
    return not is_row and not _YEARS.fullmatch(text, start, end)


def _is_card(sizes: tuple[int, ...], digits: bytes) -> bool:
    if not _CARD_LEAST <= len(digits) <= _CARD_MOST or digits[0] not in b"23456":
        return False
    is_fours = all(size == 4 for size in sizes[:-1]) and sizes[-1] <= 4  # noqa: PLR2004  # as they are printed
    return (len(sizes) == 1 or is_fours or sizes in _CARD_GROUPS) and is_luhn(digits)


def is_luhn(digits: bytes) -> bool:
    """Return whether the last of these ASCII digits is the check digit of the others, by Luhn's rule."""
    total = 0
    for place, byte in enumerate(reversed(digits)):
        value = (byte - 48) * (1 + place % 2)
        total += value - 9 if value > 9 else value  # noqa: PLR2004
    return total % 10 == 0


def _ibans(text: bytes, start: int, end: int) -> Iterator[Span]:
    """Take as many characters as the country's IBANs have, in groups or not."""
    length = IBAN_LENGTHS.get(text[start : start + 2].upper())
    if length is None:
        return
    at, seen = end, bytearray(byte for byte in text[start:end] if byte in _WORD)
    is_spaced = len(seen) < end - start
    while len(seen) < length:
        if text[at : at + 1] in _GAPS:
            at += 1
        if not text[at : at + 1].isalnum():
            return
        seen += text[at : at + 1]
        at += 1
    # why: words such as "at 12" begin like it
    is_code = seen.isupper() and len(_DIGITS.sub(b"", seen)) * 2 <= length
    if _is_free(text, start, at) and is_iban(bytes(seen)) and (is_code or not is_spaced):
        yield start, at


def is_iban(text: bytes) -> bool:
    """Return whether the check digits of an IBAN without spaces agree: ISO 7064, mod 97-10."""
    turned = (text[4:] + text[:4]).decode("ascii").upper()
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _ssns(text: bytes, start: int, end: int) -> Iterator[Span]:
    """Leave out numbers that are never issued."""
    area, group, serial = (text[start + a : start + b] for a, b in ((0, 3), (4, 6), (7, 11)))
    is_given = (
        area not in {b"000", b"666"} and area < b"900" and group != b"00" and serial != b"0000"
    )
    if is_given and text[start + 3] == text[start + 6] and _is_free(text, start, end):
        yield start, end


def _dnis(text: bytes, start: int, end: int) -> Iterator[Span]:
    if is_dni(bytes(byte for byte in text[start:end] if byte in _WORD)):
        yield start, end


def is_dni(text: bytes) -> bool:
    """Return whether the letter of a Spanish DNI or NIE agrees: the number's remainder by 23 chooses it."""
    upper = text.upper()
    digits = _NIE_DIGITS.get(upper[:1], upper[:1]) + upper[1:-1]
    return _DNI_LETTERS[int(digits) % 23] == upper[-1]


def _tax_ids(text: bytes, start: int, end: int) -> Iterator[Span]:
    return _windows(text, start, end, _is_tax_id, _TAX_ID_FIRSTS)


def _is_tax_id(sizes: tuple[int, ...], digits: bytes) -> bool:
    return sizes in {(11,), (2, 3, 3, 3)} and is_tax_id(digits)


def is_tax_id(digits: bytes) -> bool:
    """Return whether 11 digits are a German tax id: one digit occurs 2 or 3 times, and ISO 7064 mod 11,10 agrees."""
    counts = sorted(digits[:10].count(byte) for byte in set(digits[:10]))
    if digits[:1] == b"0" or counts[-1] not in {2, 3} or counts[-2] != 1:
        return False
    product = 10
    for byte in digits[:10]:
        total = (byte - 48 + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == digits[10] - 48


def _fiscal_codes(text: bytes, start: int, end: int) -> Iterator[Span]:
    """Find codes in groups too, if they have digits: words could look like one."""
    code = bytes(byte for byte in text[start:end] if byte in _WORD)
    is_spaced, digits = len(code) < end - start, len(code) - len(_DIGITS.sub(b"", code))
    if is_fiscal_code(code) and (not is_spaced or digits >= _CODE_DIGITS):
        yield start, end


def is_fiscal_code(text: bytes) -> bool:
    """Return whether the last letter of an Italian codice fiscale agrees with the 15 characters before it."""
    upper = text.upper()
    places = [byte - (48 if byte < 65 else 65) for byte in upper]  # noqa: PLR2004  # A is 65, 0 is 48
    total = sum(_ODD[p] if n % 2 == 0 else p for n, p in enumerate(places[:15]))
    return total % 26 == places[15]


def _addresses(text: bytes, start: int, end: int) -> Iterator[Span]:
    """Cut off colons and dots of the sentence around it; a name such as `a::b` has no digit."""
    if text[start : start + 1] == b":" and text[start : start + 2] != b"::":
        start += 1
    while text[end - 1 : end] == b"." or (
        text[end - 1 : end] == b":" and text[end - 2 : end] != b"::"
    ):
        end -= 1
    candidate = text[start:end]
    follows_number = text[end : end + 1] == b"." and text[end + 1 : end + 2].isdigit()
    if follows_number or not _is_free(text, start, end):
        return
    if text[start - 1 : start] == b"." or not _DIGITS.search(candidate):
        return
    try:
        ipaddress.ip_address(candidate.decode("ascii"))
    except ValueError:
        return
    yield start, end


def _phones(text: bytes, start: int, end: int) -> Iterator[Span]:
    """Leave out groups of digits within a longer row, such as an account number."""
    is_within = text[start : start + 2] == b"00" and _ROW.search(text, max(0, start - 2), start)
    if _is_free(text, start, end) and not is_within:
        yield start, end


_BETWEEN = r"[ .\-/()]{0,2}"
BUILTINS: Mapping[str, Detection] = {
    Builtin.EMAIL: Detection(
        r"[A-Za-z0-9À-ɏ._%+\-]+@[A-Za-z0-9À-ɏ.\-]+\.[A-Za-zÀ-ɏ]{2,}", _whole, needs=b"@"
    ),
    Builtin.CREDIT_CARD: Detection(r"[0-9](?:[ \-./_]?[0-9]){12,}", _cards, _is_no_column),
    Builtin.IBAN: Detection(r"\b[A-Za-z]{2}[ \-./_]?[0-9]{2}", _ibans),
    Builtin.SSN: Detection(r"\b[0-9]{3}[ \-.][0-9]{2}[ \-.][0-9]{4}\b", _ssns),
    Builtin.ES_DNI: Detection(
        r"\b(?:[0-9]{8}|[0-9]{2}[. ][0-9]{3}[. ][0-9]{3}"
        r"|[XYZxyz][ \-.]?(?:[0-9]{7}|[0-9][. ][0-9]{3}[. ][0-9]{3}))[ \-.]?[A-Za-z]\b",
        _dnis,
    ),
    Builtin.DE_TAX_ID: Detection(r"[0-9](?:[ \-./]?[0-9]){10,}", _tax_ids),
    Builtin.IT_CODICE_FISCALE: Detection(
        r"(?i)\b[A-Z]{3}[ \-]?[A-Z]{3}[ \-]?[0-9LMNP-V]{2}[ \-]?[A-EHLMPRST][ \-]?[0-9LMNP-V]{2}"
        r"[ \-]?[A-Z][ \-]?[0-9LMNP-V]{3}[ \-]?[A-Z]\b",
        _fiscal_codes,
    ),
    Builtin.IP_ADDRESS: Detection(
        r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-Fa-f]{0,4}:(?:[0-9A-Fa-f]{0,4}:)+[0-9A-Fa-f.]*",
        _addresses,
    ),
    Builtin.PHONE: Detection(
        rf"\+[0-9](?:{_BETWEEN}[0-9]){{6,14}}"
        rf"|\b00[1-9](?:{_BETWEEN}[0-9]){{7,13}}"
        r"|(?:\b1[ .\-])?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .\-])[2-9][0-9]{2}[ .\-][0-9]{4}",
        _phones,
    ),
}
