"""The built-in detectors find what is real, and leave what only looks like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.requests.detectors import (
    IBAN_LENGTHS,
    is_dni,
    is_fiscal_code,
    is_iban,
    is_luhn,
    is_tax_id,
)
from crossdock.kernel.requests.scanning import scan
from crossdock_schemas.accounts.content_filter import Action, Builtin, Detector, GuardRules


def redact(builtin: Builtin, text: str) -> str:
    detector = Detector(name=builtin.value, action=Action.REDACT, scope="org_1")
    return scan(text, GuardRules(detectors=(detector,))).text


@pytest.mark.parametrize(
    ("builtin", "text", "clean"),
    [
        pytest.param(Builtin.EMAIL, "to a.b+c@mail.example.com.", "to [EMAIL].", id="an address"),
        pytest.param(Builtin.EMAIL, "josé@bücher.example", "[EMAIL]", id="an address with accents"),
        pytest.param(Builtin.EMAIL, "写给a@b.example谢谢", "写给[EMAIL]谢谢", id="an address in Chinese"),
        pytest.param(Builtin.EMAIL, "a@b, @b.example, a@.b", "a@b, @b.example, a@.b", id="no addresses"),
        pytest.param(Builtin.CREDIT_CARD, "4111 1111 1111 1111", "[CREDIT_CARD]", id="a card in fours"),
        pytest.param(Builtin.CREDIT_CARD, "4111-1111-1111-1111", "[CREDIT_CARD]", id="a card with hyphens"),
        pytest.param(Builtin.CREDIT_CARD, "3782 822463 10005!", "[CREDIT_CARD]!", id="a card of 15 digits"),
        pytest.param(Builtin.CREDIT_CARD, "5555555555554444", "[CREDIT_CARD]", id="a card in one"),
        pytest.param(Builtin.CREDIT_CARD, "1 5555555555554444", "1 [CREDIT_CARD]", id="a card behind a number"),
        pytest.param(Builtin.CREDIT_CARD, "卡号4111111111111111请", "卡号[CREDIT_CARD]请", id="a card in Chinese"),
        pytest.param(Builtin.CREDIT_CARD, "4111 1111 1111 1111 4111 1111 1111 1111", "[CREDIT_CARD] [CREDIT_CARD]", id="two"),
        pytest.param(Builtin.CREDIT_CARD, "4111 1111 1111 1112", "4111 1111 1111 1112", id="a wrong check digit"),
        pytest.param(Builtin.CREDIT_CARD, "x4111111111111111", "x4111111111111111", id="part of a name"),
        pytest.param(Builtin.CREDIT_CARD, "0000 0000 0000 0000", "0000 0000 0000 0000", id="nobody's card"),
        pytest.param(Builtin.CREDIT_CARD, "41 11 11 11 11 11 11 11", "41 11 11 11 11 11 11 11", id="no card's groups"),
        pytest.param(Builtin.CREDIT_CARD, "41111111111111110000", "41111111111111110000", id="more digits than cards"),
        pytest.param(Builtin.CREDIT_CARD, "+4915112345678", "+4915112345678", id="a telephone number"),
        pytest.param(Builtin.IBAN, "DE89 3704 0044 0532 0130 00 IS MINE", "[IBAN] IS MINE", id="an IBAN"),
        pytest.param(Builtin.IBAN, "gb82west12345698765432.", "[IBAN].", id="an IBAN in one"),
        pytest.param(Builtin.IBAN, "DE88 3704 0044 0532 0130 00", "DE88 3704 0044 0532 0130 00", id="wrong check digits"),
        pytest.param(Builtin.IBAN, "ZZ89370400440532013000", "ZZ89370400440532013000", id="no country"),
        pytest.param(Builtin.IBAN, "DE89 3704 0044", "DE89 3704 0044", id="too short"),
        pytest.param(Builtin.IBAN, "DE89370400440532013000X", "DE89370400440532013000X", id="too long"),
        pytest.param(Builtin.SSN, "123-45-6789 or 123 45 6789", "[SSN] or [SSN]", id="an SSN"),
        pytest.param(Builtin.SSN, "000-45-6789", "000-45-6789", id="no area 000"),
        pytest.param(Builtin.SSN, "666-45-6789", "666-45-6789", id="no area 666"),
        pytest.param(Builtin.SSN, "900-45-6789", "900-45-6789", id="no area from 900 on"),
        pytest.param(Builtin.SSN, "123-00-6789", "123-00-6789", id="no group 00"),
        pytest.param(Builtin.SSN, "123-45-0000", "123-45-0000", id="no serial 0000"),
        pytest.param(Builtin.SSN, "123-45 6789", "123-45 6789", id="mixed separators"),
        pytest.param(Builtin.ES_DNI, "12345678Z and x-1234567-l", "[ES_DNI] and [ES_DNI]", id="a DNI, an NIE"),
        pytest.param(Builtin.ES_DNI, "12345678A", "12345678A", id="a wrong letter"),
        pytest.param(Builtin.DE_TAX_ID, "86095742719 or 86 095 742 719", "[DE_TAX_ID] or [DE_TAX_ID]", id="a tax id"),
        pytest.param(Builtin.DE_TAX_ID, "86095742718", "86095742718", id="a wrong digit"),
        pytest.param(Builtin.DE_TAX_ID, "860 957 427 19", "860 957 427 19", id="no tax id's groups"),
        pytest.param(Builtin.IT_CODICE_FISCALE, "RSSMRA85T10A562S, rssmra85t10a562s", "[IT_CODICE_FISCALE], [IT_CODICE_FISCALE]", id="a code"),
        pytest.param(Builtin.IT_CODICE_FISCALE, "RSSMRA85T10A562T", "RSSMRA85T10A562T", id="a wrong letter of a code"),
        pytest.param(Builtin.IP_ADDRESS, "10.0.0.1, (2001:db8::1)", "[IP_ADDRESS], ([IP_ADDRESS])", id="addresses"),
        pytest.param(Builtin.IP_ADDRESS, "At fe80::1. ip:2001:db8::5: x", "At [IP_ADDRESS]. ip:[IP_ADDRESS]: x", id="in sentences"),
        pytest.param(Builtin.IP_ADDRESS, "2001:db8:: is", "[IP_ADDRESS] is", id="a network"),
        pytest.param(Builtin.IP_ADDRESS, "1.2.3.4.5 256.1.1.1 9.1.2.3.4", "1.2.3.4.5 256.1.1.1 9.1.2.3.4", id="numbers with dots"),
        pytest.param(Builtin.IP_ADDRESS, "x1.2.3.4", "x1.2.3.4", id="part of a name with dots"),
        pytest.param(Builtin.IP_ADDRESS, "12:34:56 a::b std::vector", "12:34:56 a::b std::vector", id="times and names"),
        pytest.param(Builtin.PHONE, "+49 30 1234567, +4915112345678", "[PHONE], [PHONE]", id="international"),
        pytest.param(Builtin.PHONE, "0049 30 1234567", "[PHONE]", id="international with 00"),
        pytest.param(Builtin.PHONE, "(415) 555-2671 415-555-2671 1 415.555.2671", "[PHONE] [PHONE] [PHONE]", id="North American"),
        pytest.param(Builtin.PHONE, "3704 0044 0532 0130 00", "3704 0044 0532 0130 00", id="an account's groups"),
        pytest.param(Builtin.PHONE, "+1234567890123456", "+1234567890123456", id="more digits than telephones"),
        pytest.param(Builtin.PHONE, "x+12345678", "x+12345678", id="a sum"),
        pytest.param(Builtin.PHONE, "2024-01-15, 12345678, 115-555-2671", "2024-01-15, 12345678, 115-555-2671", id="no numbers to call"),
    ],
)  # fmt: skip
def test_what_is_real_is_found(builtin: Builtin, text: str, clean: str) -> None:
    assert redact(builtin, text) == clean


def with_luhn(digits: str) -> str:
    return next(f"{digits}{d}" for d in range(10) if is_luhn(f"{digits}{d}".encode()))


@given(st.from_regex(r"[2-6][0-9]{11,17}", fullmatch=True))
def test_every_card_has_one_check_digit(digits: str) -> None:
    right = [d for d in range(10) if is_luhn(f"{digits}{d}".encode())]

    assert len(right) == 1
    assert redact(Builtin.CREDIT_CARD, f"my card {digits}{right[0]}.") == "my card [CREDIT_CARD]."


@given(st.from_regex(r"[2-6][0-9]{14}", fullmatch=True), st.data())
def test_a_card_with_one_wrong_digit_is_none(digits: str, data: st.DataObject) -> None:
    card = with_luhn(digits)
    place = data.draw(st.integers(0, len(card) - 1))
    other = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != card[place]))

    assert not is_luhn(f"{card[:place]}{other}{card[place + 1 :]}".encode())


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
def test_every_account_has_an_iban(country: bytes, data: st.DataObject) -> None:
    length = IBAN_LENGTHS[country] - 4
    account = data.draw(
        st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=length, max_size=length)
    )
    turned = "".join(str(int(c, 36)) for c in f"{account}{country.decode()}00")
    iban = f"{country.decode()}{98 - int(turned) % 97:02}{account}"

    assert is_iban(iban.encode())
    assert not is_iban(f"{iban[:2]}{(int(iban[2:4]) + 1) % 100:02}{iban[4:]}".encode())
    assert redact(Builtin.IBAN, f"to {iban},") == "to [IBAN],"
    grouped = " ".join(iban[n : n + 4] for n in range(0, len(iban), 4))
    assert redact(Builtin.IBAN, f"to {grouped},") == "to [IBAN],"


@given(st.integers(0, 10**8 - 1))
def test_every_dni_has_one_letter(number: int) -> None:
    right = [x for x in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if is_dni(f"{number:08}{x}".encode())]

    assert len(right) == 1


@pytest.mark.parametrize("number", [b"47036892816", b"65929970489", b"57549285017", b"25768131411"])
def test_published_tax_ids_are_tax_ids(number: bytes) -> None:
    assert is_tax_id(number)


@pytest.mark.parametrize("number", [b"02345678901", b"12345678903", b"11112345670", b"11223456780"])
def test_a_tax_id_repeats_one_digit_and_does_not_begin_with_0(number: bytes) -> None:
    assert not is_tax_id(number)


@pytest.mark.parametrize("code", [b"MRTMTT91D08F205J", b"RSSMRA85T10A562S", b"BNCNDR80A01F205E"])
def test_a_fiscal_code_has_one_last_letter(code: bytes) -> None:
    right = [x for x in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ" if is_fiscal_code(code[:15] + bytes([x]))]

    assert len(right) == 1
