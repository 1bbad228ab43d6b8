"""Reading JSON strictly, and saying what is wrong with what is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.seed import SAMPLE, mended

from alir.errors import JsonInvalid
from alir.strictjson import MAX_DEPTH, MAX_DIGITS, canonical, character_name, parse


def refused(body: str | bytes) -> JsonInvalid:
    with pytest.raises(JsonInvalid) as caught:
        parse(body.encode() if isinstance(body, str) else body)
    return caught.value


COMMENT = "comment"
TRAILING = "one too many"
CUT_OFF = "ends too early"


@pytest.mark.parametrize(
    ("body", "place", "likely"),
    [
        pytest.param("", (1, 1), "the body is empty", id="empty"),
        pytest.param(" \n ", (2, 2), "the body is empty", id="blank"),
        pytest.param("to=%2B1&type=flow", (1, 1), "this is a form", id="form"),
        pytest.param("<to>1</to>", (1, 1), "XML", id="xml"),
        pytest.param('{"a": 1 # one\n}', (1, 9), COMMENT, id="comment-hash"),
        pytest.param('{"a": 1, // one\n"b": 2}', (1, 10), COMMENT, id="comment-slashes"),
        pytest.param('{/* one */"a": 1}', (1, 2), COMMENT, id="comment-stars"),
        pytest.param("{'a': 1}", (1, 2), "single quotes", id="single-quoted-key"),
        pytest.param("[1, 'a']", (1, 5), "single quotes", id="single-quoted-value"),
        pytest.param("{“a”: 1}", (1, 2), "curly quotes", id="curly-quotes"),
        pytest.param("[`a`]", (1, 2), "backtick", id="backtick"),
        pytest.param('{"a": 1\n "b": 2}', (1, 8), "a comma is missing", id="missing-comma"),
        pytest.param("[1 2]", (1, 3), "a comma is missing", id="missing-comma-in-a-list"),
        pytest.param('{"a": 1,\n}', (1, 8), TRAILING, id="trailing-comma"),
        pytest.param("[1, ]", (1, 3), TRAILING, id="trailing-comma-in-a-list"),
        pytest.param('{"a": 1,, "b": 2}', (1, 9), "a comma too many", id="two-commas"),
        pytest.param("[1,,2]", (1, 4), "a value is missing", id="two-commas-in-a-list"),
        pytest.param('{"a": 1; "b": 2}', (1, 8), "a comma belongs here", id="semicolon"),
        pytest.param("{a: 1}", (1, 2), "double quotes around it", id="unquoted-key"),
        pytest.param("{1: 1}", (1, 2), "double quotes around it", id="number-as-key"),
        pytest.param("{[1]: 1}", (1, 2), "a key in double quotes", id="list-as-key"),
        pytest.param('{"a": flow}', (1, 7), "a text needs double quotes", id="unquoted-text"),
        pytest.param('{"a": None}', (1, 7), "Python's None", id="python-none"),
        pytest.param('{"a": True}', (1, 7), "true in small letters", id="python-true"),
        pytest.param('{"a": False}', (1, 7), "false in small letters", id="python-false"),
        pytest.param('{"a": undefined}', (1, 7), "no undefined", id="undefined"),
        pytest.param('{"a": NaN}', (1, 7), "no NaN", id="nan"),
        pytest.param('{"a": Infinity}', (1, 7), "no NaN", id="infinity"),
        pytest.param('{"a": -Infinity}', (1, 7), "no NaN", id="minus-infinity"),
        pytest.param('{"a": 1e999}', (1, 7), "larger than any", id="overflowing-float"),
        pytest.param('{"a": +628}', (1, 7), "a phone number or an id is a text", id="plus"),
        pytest.param('{"a": 0821}', (1, 7), "a phone number or an id is a text", id="zero-first"),
        pytest.param('{"a": .5}', (1, 7), "not a number", id="point-first"),
        pytest.param('{"a": 1.}', (1, 7), "not a number", id="point-last"),
        pytest.param('{"a": 0x1F}', (1, 7), "not a number", id="hexadecimal"),
        pytest.param('{"a": 555-0100}', (1, 7), "not a number", id="unquoted-phone-number"),
        pytest.param('{"a" 1}', (1, 6), "the colon", id="missing-colon"),
        pytest.param('{"a" = 1}', (1, 6), "the colon", id="equals-sign"),
        pytest.param('{"a"}', (1, 5), "no value", id="key-alone"),
        pytest.param('{"a": }', (1, 7), "a value is missing", id="no-value"),
        pytest.param('["a": 1]', (1, 5), "a colon stands only", id="colon-in-a-list"),
        pytest.param('{"a": {{ ID }}}', (1, 8), "a placeholder", id="placeholder"),
        pytest.param('{"a": "b', (1, 7), "no closing quote", id="unclosed-text"),
        pytest.param('{"a": "b,\n"c": 1}', (1, 10), "closing quote is missing", id="line-break"),
        pytest.param('["a\tb"]', (1, 4), "written \\t", id="tab-in-a-text"),
        pytest.param('["a\x00b"]', (1, 4), "NUL", id="nul-in-a-text"),
        pytest.param('["a\x01b"]', (1, 4), "U+0001", id="control-character-in-a-text"),
        pytest.param('["a \\x b"]', (1, 5), "a backslash", id="backslash"),
        pytest.param('["a \\u12 b"]', (1, 5), "a backslash", id="short-escape"),
        pytest.param('["say "hi" to"]', (1, 8), 'written \\"', id="quote-in-a-text"),
        pytest.param('{\\"a\\": 1}', (1, 2), "no backslash before", id="escaped-quotes"),
        pytest.param('["\\ud83d"]', (1, 3), "half of a character", id="high-half"),
        pytest.param('["\\ude00"]', (1, 3), "half of a character", id="low-half"),
        pytest.param('["\\\\ud83d\\ude00"]', (1, 10), "half of a character", id="escaped-high"),
        pytest.param('{"\\uD83D": 1}', (1, 3), "half of a character", id="half-in-a-key"),
        pytest.param("[1", (1, 3), CUT_OFF, id="cut-in-a-list"),
        pytest.param('{"a": 1, ', (1, 10), CUT_OFF, id="cut-before-a-key"),
        pytest.param('{"a"', (1, 5), CUT_OFF, id="cut-before-a-colon"),
        pytest.param('{"a":', (1, 6), CUT_OFF, id="cut-before-a-value"),
        pytest.param('{"a": [1}', (1, 9), "does not fit", id="crossed-brackets"),
        pytest.param("{}}", (1, 3), "a closing bracket too many", id="bracket-too-many"),
        pytest.param("{} {}", (1, 4), "nothing may follow", id="two-values"),
        pytest.param("{}\xa0", (1, 3), "no-break space", id="no-break-space"),
        pytest.param("[\ufeff1]", (1, 2), "byte order mark", id="stray-byte-order-mark"),
        pytest.param('{"a": 1,\n "a": 2}', (2, 2), 'the key "a" is here twice', id="double-key"),
        pytest.param('{"a": 1, "\\u0061": 2}', (1, 10), '"a" is here twice', id="double-escaped"),
        pytest.param('{"a": {"b": 1, "b": 1}}', (1, 16), '"b" is here twice', id="double-inside"),
    ],
)
def test_a_fault_is_placed_and_its_likely_cause_named(
    body: str, place: tuple[int, int], likely: str
) -> None:
    fault = refused(body)

    assert (fault.line, fault.column) == place
    assert likely in fault.likely


def test_a_double_key_says_where_the_first_one_stands() -> None:
    assert "in line 2" in refused('{\n"to": 1,\n"type": 2,\n"to": 3\n}').likely


def test_a_long_double_key_is_cut_in_the_hint() -> None:
    key = "k" * 5000

    assert len(refused(f'{{"{key}": 1, "{key}": 2}}').likely) < 120


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_body_in_a_wide_encoding_is_told_so(encoding: str) -> None:
    assert "UTF-16" in refused('{"a": 1}'.encode(encoding)).likely


def test_a_byte_that_is_not_utf_8_is_placed() -> None:
    fault = refused('{"a": 1,\n "b": "é"}'.encode("latin-1"))

    assert (fault.line, fault.column) == (2, 8)
    assert "UTF-8" in fault.likely


def test_a_surrogate_written_as_bytes_is_not_utf_8() -> None:
    assert "UTF-8" in refused(b'["\xed\xa0\x80"]').likely


def test_a_byte_order_mark_before_the_body_is_passed_over() -> None:
    assert parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 10_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_too_many_levels_are_refused_where_they_begin(
    levels: int, opening: str, closing: str
) -> None:
    for body in (opening * levels, opening * levels + "1" + closing * levels):
        fault = refused(body)

        assert fault.column == MAX_DEPTH * len(opening) + 1
        assert str(MAX_DEPTH) in fault.likely


def test_as_many_levels_as_allowed_are_read() -> None:
    body = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    assert canonical(parse(body.encode())).decode() == body


def test_brackets_beside_each_other_or_inside_texts_are_no_levels() -> None:
    value: list[object] = [[], {}] * MAX_DEPTH + ["[{" * MAX_DEPTH, '\\"[' * MAX_DEPTH]

    assert parse(json.dumps(value).encode()) == value


def test_many_brackets_before_an_ordinary_fault_do_not_hide_it() -> None:
    assert TRAILING in refused("[" + "[]," * 100 + "]").likely


@pytest.mark.parametrize("digits", [MAX_DIGITS + 1, 5000])
def test_a_whole_number_with_more_digits_than_anyone_reads_is_refused(digits: int) -> None:
    assert f"more than {MAX_DIGITS} digits" in refused("[" + "1" * digits + "]").likely


def test_a_whole_number_with_as_many_digits_as_allowed_is_kept_exactly() -> None:
    body = b"1" * MAX_DIGITS

    assert canonical(parse(body)) == body


def test_the_excerpt_shows_a_few_characters_on_both_sides() -> None:
    fault = refused(
        '{"token": "abcdefghijklmnopqrstuvwxyz" #\n "text": "abcdefghijklmnopqrstuvwxyz"}'
    )

    assert fault.excerpt == '…ijklmnopqrstuvwxyz" # "text": "abcdefgh…'


def test_the_excerpt_makes_invisible_characters_visible() -> None:
    assert refused("[\x1b1]").excerpt == "[\\u001b1]"
    assert refused("[\xa01]").excerpt == "[\\u00a01]"


def test_the_error_itself_repeats_nothing_of_the_body() -> None:
    assert str(refused('{"+62821": 1, "+62821": 1}')) == "not JSON: line 1, column 15"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        pytest.param(b'{"a": null}', {"a": None}, id="null"),
        pytest.param(b'"\\ud83d\\ude00"', "\U0001f600", id="whole-pair"),
        pytest.param(b'"\\\\ud83d"', "\\ud83d", id="escaped-backslash"),
        pytest.param(b" [1, -0.5, 1E2, true] \n", [1, -0.5, 100.0, True], id="numbers"),
        pytest.param(b'"\\u0000"', "\0", id="escaped-nul"),
        pytest.param(
            b'{"a": {"a": 1}, "b": {"a": 1}}', {"a": {"a": 1}, "b": {"a": 1}}, id="nested"
        ),
    ],
)
def test_json_is_read(body: bytes, value: object) -> None:
    assert parse(body) == value


def test_the_seeds_sample_leads_step_by_step_to_json() -> None:
    body = SAMPLE

    fault = refused(body)
    assert (fault.line, COMMENT in fault.likely) == (14, True)
    body = body.replace("# if media", "")

    fault = refused(body)
    assert (fault.line, "a comma is missing" in fault.likely) == (14, True)
    body = body.replace('"URL_IMAGE"', '"URL_IMAGE",')

    fault = refused(body)
    assert (fault.line, COMMENT in fault.likely) == (15, True)
    body = body.replace("# if text", "")

    assert isinstance(parse(body.encode()), dict)


# What holds for every body

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@st.composite
def nearly_json(draw: st.DrawFn) -> str:
    """JSON with a few places changed, so that most of it is broken."""
    text = draw(VALUES.map(json.dumps) | st.just(json.dumps(mended())))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(start + 3, len(text))))
        patch = draw(st.text("{}[]\",:\\u/#'+-.0123456789eEtrufalsenN \n\tdD8c", max_size=4))
        text = text[:start] + patch + text[end:]
    return text


def reference(text: str) -> object:
    """What the standard library says, with our rules added the slow way."""

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    def number(name: str) -> object:
        value = float(name)
        assert value - value == 0
        return value

    value: object = json.loads(
        text, object_pairs_hook=members, parse_constant=number, parse_float=number
    )
    json.dumps(value, ensure_ascii=False).encode()
    return value


@given(nearly_json())
def test_what_is_refused_and_what_is_read_agree_with_the_standard_library(text: str) -> None:
    try:
        expected = reference(text)
    except (ValueError, AssertionError):
        fault = refused(text)
        assert 1 <= fault.line <= text.count("\n") + 1
        assert fault.likely
        assert len(fault.excerpt) < 300
    else:
        assert repr(parse(text.encode())) == repr(expected)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_json_invalid(body: bytes) -> None:
    try:
        value = parse(body)
    except JsonInvalid:
        return  # any other error, such as a decoder's, fails the test

    assert parse(canonical(value)) == value


@given(VALUES)
def test_what_is_read_from_canonical_json_is_the_same_value(value: object) -> None:
    assert parse(canonical(value)) == value


@given(VALUES, st.randoms())
def test_order_spaces_and_escapes_do_not_change_canonical_json(
    value: object, random: object
) -> None:
    spaced = json.dumps(value, indent=2, ensure_ascii=True)

    assert canonical(parse(spaced.encode())) == canonical(value)


def test_canonical_json_has_sorted_keys_and_no_spaces() -> None:
    assert canonical({"b": [1, 2.5, None], "a": {"d": "ü", "c": True}}) == (
        '{"a":{"c":true,"d":"ü"},"b":[1,2.5,null]}'.encode()
    )


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\0", "U+0000 NUL"),
        ("\x07", "U+0007 CONTROL CHARACTER"),
        ("１", "U+FF11 FULLWIDTH DIGIT ONE"),
        ("\ue000", "U+E000"),
    ],
)
def test_characters_are_named_by_code_point_and_name(character: str, name: str) -> None:
    assert character_name(character) == name


def test_reading_broken_json_takes_time_in_proportion_to_its_length() -> None:
    # Quadratic work on 200 kB of these would run into the suite's time limit.
    for body in ("[" * 70 + '"' + '\\"' * 100_000, '"' * 200_001, "{" * 70 + "\\" * 200_000):
        assert refused(body)
