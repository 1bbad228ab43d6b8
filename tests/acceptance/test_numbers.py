"""Design 3.2 over HTTP: which numbers are taken, how they go out, and what is said of the rest."""

from __future__ import annotations

import httpx
import pytest
from tests.acceptance.talk import assert_problem, at_simulator, get, message, send, somebody


@pytest.mark.parametrize(
    ("given", "goes_out"),
    [
        pytest.param("+1-212-555-0100", "+12125550100", id="hyphens"),
        pytest.param("+1 (212) 555-0101", "+12125550101", id="brackets"),
        pytest.param("+1.212.555.0102", "+12125550102", id="dots"),
        pytest.param("+1/212/555/0103", "+12125550103", id="slashes"),
        pytest.param("  +1 212  555 0104 ", "+12125550104", id="spaces around"),
        pytest.param("(+1) 212 555 0105", "+12125550105", id="plus in brackets"),
        pytest.param("+62 821-1234-5678", "+6282112345678", id="of Indonesia"),
        pytest.param("+44 20 7946 0018", "+442079460018", id="of Britain"),
        pytest.param("+54 9 11 1234 5678", "+5491112345678", id="of Argentina, with its 9"),
        pytest.param("+55 11 91234 5678", "+5511912345678", id="of Brazil, with the ninth digit"),
        pytest.param("+39 02 1234567", "+39021234567", id="of Italy, whose 0 belongs to it"),
        pytest.param("+225 01 23 45 67 89", "+2250123456789", id="of Cote d'Ivoire, new"),
    ],
)
def test_a_dialable_form_goes_out_as_its_digits_with_a_plus(
    api: httpx.Client, given: str, goes_out: str
) -> None:
    answer = send(api, message(given))

    assert answer.status_code == 200, answer.text
    assert "warnings" not in answer.json()["data"]
    [received] = at_simulator(api, goes_out)
    assert received["request"]["to"] == goes_out
    shown = get(api, answer.json()["data"]["id"])
    assert (shown["to"], shown["wa_id"]) == (goes_out, goes_out.removeprefix("+"))


@pytest.mark.parametrize(
    ("given", "goes_out", "warning", "words"),
    [
        pytest.param(
            "6282112345670", "+6282112345670", "number_without_plus", "+6282112345670", id="no plus"
        ),
        pytest.param(
            "1 (212) 555-0110",
            "+12125550110",
            "number_without_plus",
            "+12125550110",
            id="no plus, with brackets",
        ),
        pytest.param(
            "+52 1 55 1234 5678",
            "+5215512345678",
            "number_not_possible",
            "length",
            id="the old ids of Mexico, with 521",
        ),
        pytest.param(
            "+229 97 12 34 56",
            "+22997123456",
            "number_not_possible",
            "length",
            id="old numbers of Benin, with 8 digits",
        ),
        pytest.param(
            "+225 07 12 34 56",
            "+22507123456",
            "number_not_possible",
            "length",
            id="old numbers of Cote d'Ivoire, with 8 digits",
        ),
        pytest.param(
            "+1 555 0000001 23",
            "+1555000000123",
            "number_not_possible",
            "length",
            id="longer than its country's",
        ),
    ],
)
def test_a_doubtful_number_is_sent_as_given_with_a_warning(
    api: httpx.Client, given: str, goes_out: str, warning: str, words: str
) -> None:
    answer = send(api, message(given))

    assert answer.status_code == 200, answer.text
    [warned] = answer.json()["data"]["warnings"]
    assert (warned["pointer"], warned["code"]) == ("#/to", warning)
    assert words in warned["detail"]
    [received] = at_simulator(api, goes_out)
    assert received["request"]["to"] == goes_out


def test_a_number_can_be_doubtful_in_two_ways(api: httpx.Client) -> None:
    warnings = send(api, message("5215512345679")).json()["data"]["warnings"]

    assert [each["code"] for each in warnings] == ["number_without_plus", "number_not_possible"]


@pytest.mark.parametrize("digits", [7, 15])
def test_the_shortest_and_the_longest_numbers_are_sent(api: httpx.Client, digits: int) -> None:
    answer = send(api, message(f"+49{'1' * (digits - 2)}"))

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        pytest.param("+62821xxxxxx", "invalid_number", "U+0078", id="letters of the sample"),
        pytest.param("+1 800 FLOWERS", "invalid_number", "U+0046", id="letters for digits"),
        pytest.param("+1 212 555 0123 x45", "invalid_number", "U+0078", id="extension x"),
        pytest.param("+1 212 555 0123 ext. 4", "invalid_number", "U+0065", id="extension ext."),
        pytest.param("+1 212 555 0123;ext=4", "invalid_number", "U+003B", id="extension ;ext="),
        pytest.param("+1 212 555 0123#4", "invalid_number", "U+0023", id="extension #"),
        pytest.param("tel:+12125550123", "invalid_number", "U+0074", id="a tel URL"),
        pytest.param("+１２１２５５５０１２３", "invalid_number", "U+FF11", id="fullwidth digits"),
        pytest.param("＋12125550123", "invalid_number", "U+FF0B", id="fullwidth plus"),
        pytest.param("+١٢١٢٥٥٥٠١٢٣", "invalid_number", "U+0661", id="Arabic digits"),
        pytest.param("+1\u00a0212 555 0123", "invalid_number", "U+00A0", id="no-break space"),
        pytest.param("+1 212\u2011555\u20110123", "invalid_number", "U+2011", id="other hyphen"),
        pytest.param("+1 212\t5550123", "invalid_number", "U+0009", id="tab"),
        pytest.param("+1 212 5550123\n", "invalid_number", "U+000A", id="line break at the end"),
        pytest.param("+1212555\x000123", "invalid_number", "U+0000", id="NUL"),
        pytest.param("\u202a+12125550123\u202c", "invalid_number", "U+202A", id="pasted direction"),
        pytest.param("++12125550123", "invalid_number", "plus", id="two plus signs"),
        pytest.param("1+2125550123", "invalid_number", "plus", id="plus in the middle"),
        pytest.param("+12125550123,+12125550124", "invalid_number", "U+002C", id="two numbers"),
        pytest.param("0062 821 1234 5678", "use_plus", "+", id="00 for a plus"),
        pytest.param("+00 62 821 1234 5678", "use_plus", "+", id="00 after a plus"),
        pytest.param("0821 1234 5678", "country_code_missing", "country code", id="national"),
        pytest.param("+0821 1234 5678", "country_code_missing", "country code", id="plus and 0"),
        pytest.param("+62 0821 1234 5678", "number_rewritten", "+6282112345678", id="trunk 0"),
        pytest.param("+44 (0)20 7946 0018", "number_rewritten", "+442079460018", id="(0)"),
        pytest.param("+1 1 212 555 0123", "number_rewritten", "+12125550123", id="1 twice"),
        pytest.param("+62 821", "number_length", "7 to 15", id="5 digits"),
        pytest.param("+621234", "number_length", "has 6", id="6 digits"),
        pytest.param("+6212345678901234", "number_length", "has 16", id="16 digits"),
        pytest.param("", "number_length", "has 0", id="empty"),
        pytest.param("+", "number_length", "has 0", id="a plus only"),
        pytest.param("+" + "-" * 64 + "12125550123", "too_long", "64", id="endless separators"),
        pytest.param("+999 1234 5678", "unknown_country_code", "country code", id="code 999"),
        pytest.param("+210 1234 5678", "unknown_country_code", "country code", id="code 210"),
    ],
)
def test_what_is_not_surely_a_number_is_refused_with_the_reason(
    api: httpx.Client, given: str, code: str, words: str
) -> None:
    answer = send(api, message(given))

    [error] = assert_problem(answer, 422, "invalid_request")["errors"]
    assert (error["pointer"], error["code"]) == ("#/to", code)
    assert words in error["detail"]


@pytest.mark.parametrize("given", [6282112345678, 1.5, True, ["+6282112345678"], {}, None])
def test_a_number_is_a_text(api: httpx.Client, given: object) -> None:
    body = message() | {"to": given}

    [error] = assert_problem(send(api, body), 422, "invalid_request")["errors"]

    assert error["pointer"] == "#/to"
    assert error["code"] == ("missing" if given is None else "wrong_type")
    if given == 6282112345678:
        assert "quotes" in error["detail"]


def test_the_list_finds_a_number_however_it_is_written(api: httpx.Client) -> None:
    number = somebody()
    found = send(api, message(number)).json()["data"]["id"]

    for written in (
        number,
        number.removeprefix("+"),
        f" {number[1:]}",
        f"{number[:3]} {number[3:]}",
    ):
        listed = api.get("/api/whatsapp/v1/messages", params={"to": written}).json()["data"]
        assert [each["id"] for each in listed] == [found]
