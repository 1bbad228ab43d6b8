"""What may stand in `to`, and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.seed import NUMBER_FORMATS

from alir.errors import Fault, RequestInvalid
from alir.messages.faults import FAULT_CODES, WARNING_CODES
from alir.messages.phone import read_number


def refused(text: str) -> Fault:
    with pytest.raises(RequestInvalid) as caught:
        read_number(text)
    [fault] = caught.value.faults
    return fault


def warned(text: str) -> list[str]:
    return [warning.code for warning in read_number(text).warnings]


@pytest.mark.parametrize("text", NUMBER_FORMATS)
def test_the_seeds_four_formats_mean_one_number(text: str) -> None:
    assert read_number(text).e164 == "+10000000000"


@pytest.mark.parametrize(
    "text",
    ["+6282112345678", "+62 821.1234.5678", "(+62) 821/1234-5678", " + 62 8211 2345 678 "],
)
def test_separators_are_passed_over(text: str) -> None:
    number = read_number(text)

    assert (number.e164, number.warnings) == ("+6282112345678", ())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("+62821xxxxxx", "U+0078 LATIN SMALL LETTER X", id="letters-of-the-seed"),
        pytest.param("+62 821 1234 ext 5", "LATIN SMALL LETTER E", id="extension"),
        pytest.param("+62821123456;ext=5", "SEMICOLON", id="rfc-3966-extension"),
        pytest.param("+1-800-FLOWERS", "LATIN CAPITAL LETTER F", id="vanity"),
        pytest.param("+６２821123456", "FULLWIDTH DIGIT SIX", id="fullwidth-digits"),
        pytest.param("+62٨21123456", "ARABIC-INDIC DIGIT EIGHT", id="arabic-digits"),
        pytest.param("＋62821123456", "FULLWIDTH PLUS SIGN", id="fullwidth-plus"),
        pytest.param("+62–821123456", "EN DASH", id="en-dash"),
        pytest.param("+62\xa0821123456", "NO-BREAK SPACE", id="no-break-space"),
        pytest.param("\u202a+62821123456", "LEFT-TO-RIGHT EMBEDDING", id="copied-from-contacts"),
        pytest.param("+62821123456\n", "U+000A LINE FEED", id="line-break"),
        pytest.param("+62821\x00123456", "U+0000 NUL", id="nul"),
        pytest.param("tel:+62821123456", "LATIN SMALL LETTER T", id="url"),
        pytest.param("*62821123456", "ASTERISK", id="star"),
    ],
)
def test_a_character_that_no_number_has_is_named(text: str, named: str) -> None:
    fault = refused(text)

    assert fault.code == "invalid_number"
    assert named in fault.detail


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        pytest.param("++62821123456", "invalid_number", "plus", id="two-plus-signs"),
        pytest.param("62821+123456", "invalid_number", "plus", id="plus-inside"),
        pytest.param("0062821123456", "use_plus", "write +", id="leading-00"),
        pytest.param("+0062821123456", "use_plus", "write +", id="plus-and-00"),
        pytest.param("0821 1234 5678", "country_code_missing", "country code", id="national"),
        pytest.param("(0821) 12345678", "country_code_missing", "country code", id="bracketed"),
        pytest.param("+0821123456", "country_code_missing", "country code", id="plus-and-0"),
        pytest.param("", "number_length", "has 0", id="empty"),
        pytest.param("+", "number_length", "has 0", id="only-a-plus"),
        pytest.param("+628211", "number_length", "has 6", id="six-digits"),
        pytest.param("+6282112345678901", "number_length", "has 16", id="sixteen-digits"),
        pytest.param("+62" + " " * 70 + "821123456", "too_long", "64", id="endless-spaces"),
        pytest.param("+999123456789", "unknown_country_code", "country code", id="no-country"),
        pytest.param("+210123456789", "unknown_country_code", "country code", id="unassigned"),
        pytest.param("+62 0821 1234 5678", "number_rewritten", "+6282112345678", id="trunk-0"),
        pytest.param("+44 (0)20 7946 0958", "number_rewritten", "+442079460958", id="british"),
        pytest.param("+1 1 212 555 0123", "number_rewritten", "+12125550123", id="trunk-1"),
        pytest.param("+54 11 15 1234 5678", "number_rewritten", "+5491112345678", id="argentine"),
    ],
)
def test_a_number_that_is_not_surely_one_is_refused(text: str, code: str, hint: str) -> None:
    fault = refused(text)

    assert (fault.code, fault.pointer) == (code, "#/to")
    assert hint in fault.detail


def test_a_number_without_a_plus_says_how_it_was_read() -> None:
    number = read_number("62 821 1234 5678")

    assert number.e164 == "+6282112345678"
    assert [(w.code, w.pointer) for w in number.warnings] == [("number_without_plus", "#/to")]
    assert "+6282112345678" in number.warnings[0].detail


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("+5215512345678", id="mexican-id-of-whatsapp"),
        pytest.param("+22997123456", id="benin-before-2024"),
        pytest.param("+22501234567", id="ivory-coast-before-2021"),
        pytest.param("+88812345678", id="a-code-without-a-country"),
    ],
)
def test_a_number_that_its_country_cannot_have_is_only_warned_of(text: str) -> None:
    assert read_number(text).e164 == text
    assert warned(text) == ["number_not_possible"]


def test_an_impossible_number_without_a_plus_has_both_warnings() -> None:
    assert warned("5215512345678") == ["number_without_plus", "number_not_possible"]


@pytest.mark.parametrize("code", ["131026", "131047", "000190", "000502"])
def test_the_simulators_magic_numbers_are_ordinary_ones(code: str) -> None:
    assert warned(f"+1 5550 {code}") == []


def test_the_place_of_the_number_is_the_callers_to_say() -> None:
    with pytest.raises(RequestInvalid) as caught:
        read_number("x", "#/recipient/phone")

    assert caught.value.faults[0].pointer == "#/recipient/phone"


@given(st.text("+0123456789 -()./x\t１", max_size=20) | st.text(max_size=20))
def test_digits_are_never_changed_and_nothing_else_passes(text: str) -> None:
    try:
        number = read_number(text)
    except RequestInvalid as error:
        assert {fault.code for fault in error.faults} <= FAULT_CODES.keys()  # noqa: PT017
    else:
        digits = "".join(character for character in text if character in "0123456789")
        assert number.e164 == f"+{digits}"
        assert 7 <= len(digits) <= 15
        assert not digits.startswith("0")
        assert set(text) <= set("+0123456789 -()./")
        assert {warning.code for warning in number.warnings} <= WARNING_CODES.keys()
        assert ("+" in text) == ("number_without_plus" not in warned(text))


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_spaces_between_the_digits_change_nothing(text: str) -> None:
    def outcome(of: str) -> object:
        try:
            return read_number(of)
        except RequestInvalid as error:
            return error.faults

    assert outcome(" ".join(text)) == outcome(text)
