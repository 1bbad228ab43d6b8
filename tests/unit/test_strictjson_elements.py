"""A long body, read one value at a time, says just what it says when it is read at once."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alir.errors import BodyTooLarge, JsonInvalid
from alir.strictjson import is_array, parse, parse_elements, parse_lines

LARGEST = 64 * 1024

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('a"\\]}[{,: \n\u00e9🙂', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab]", max_size=2), inner),
    max_leaves=8,
)
#: What a slip of the keyboard puts into a body.
SLIPS = st.sampled_from([*'[]{},:"\\ 1-.ae#', "//", "\n", "null", '"a"', "\xe9", "\\ud800"])

Said = list[Any] | tuple[int, int, str, str]


def at_once(body: bytes) -> Said:
    try:
        value = parse(body)
    except JsonInvalid as error:
        return error.line, error.column, error.likely, error.excerpt
    assert isinstance(value, list)
    return value


def one_by_one(body: bytes, largest: int = LARGEST) -> Said:
    try:
        found = [one for one in parse_elements(body, largest=largest) if one is not None]
    except JsonInvalid as error:
        return error.line, error.column, error.likely, error.excerpt
    return [one.value for one in found]


@given(st.lists(VALUES, max_size=5), st.integers(0, 2), st.data())
@settings(max_examples=300)
def test_an_array_read_one_by_one_says_what_it_says_at_once(
    values: list[Any], slips: int, data: st.DataObject
) -> None:
    text = json.dumps(values, ensure_ascii=False, indent=data.draw(st.sampled_from([None, 1])))
    for _ in range(slips):
        at = data.draw(st.integers(1, len(text)))
        text = text[:at] + data.draw(SLIPS) + text[at + data.draw(st.integers(0, 1)) :]
    body = text.encode()

    assert one_by_one(body) == at_once(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b" [ ] ",
        b"\xef\xbb\xbf[1]",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[1]]",
        b"[1] x",
        b"[",
        b"[{",
        b'[{"a": "x]',
        b'[{"a": 1}\n {"b": 2}]',
        b'[{"a": 1},\n {"a": 1, "a": 2}]',
        b'[{"a": ]',
        b'[{"a": 1]}, 2]',
        b"[[1}]",
        b"[\xff]",
        b"[1, \xff]",
        b"[NaN]",
        b"['a']",
        b"[" + b"[" * 70 + b"]" * 70 + b"]",
        b"[" + b"[" * 5000,
        b"[" + b"1" * 600 + b"]",
    ],
    ids=lambda body: body[:20].decode(errors="replace"),
)
def test_a_fault_of_an_array_is_told_as_if_it_were_read_at_once(body: bytes) -> None:
    assert is_array(body)
    assert one_by_one(body) == at_once(body)


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b'"["', b"1", b"\xef\xbb\xbf{}"])
def test_what_does_not_begin_like_an_array_is_none(body: bytes) -> None:
    assert not is_array(body)


TOO_LARGE = ['"' + "x" * 100 + '"', '{"]": [' + '"}",' * 20 + "1]}", "[" * 60 + "]" * 60, "1" * 99]


@pytest.mark.parametrize("large", TOO_LARGE, ids=lambda text: text[:8])
@pytest.mark.parametrize("space", ["", " \n"])
def test_an_element_that_is_too_large_spoils_no_other(large: str, space: str) -> None:
    body = f"[1,{space}{large}{space},{space}[2]]".encode()

    before, found, after = list(one_by_one(body, largest=20))

    assert (before, after) == (1, [2])
    assert isinstance(found, BodyTooLarge)
    assert "20 bytes" in str(found)


@given(st.text('"\\]}[{,: ', min_size=21, max_size=80))
@example('"[[[[[[[[[[[[[[[[[[[[[[[[[')
def test_what_is_large_and_broken_is_a_fault_or_too_large(text: str) -> None:
    body = f"[{text}, 1]".encode()
    said = one_by_one(body, largest=20)

    is_told = isinstance(said, tuple) or any(isinstance(one, BodyTooLarge) for one in said)
    assert is_told or said == at_once(body)


@pytest.mark.parametrize("end", ["e5", "e+5", "E-5"])
@pytest.mark.parametrize("largest", [4 * 1024, 64 * 1024])
@pytest.mark.parametrize("beside", range(4))
def test_a_number_that_is_cut_where_it_goes_on_is_not_taken_for_a_shorter_one(
    largest: int, end: str, beside: int
) -> None:
    body = f"[0.{'1' * (largest - 2 - beside)}{end},2]".encode()

    said = one_by_one(body, largest=largest)

    is_passed_over = isinstance(said[0], BodyTooLarge) and said[1:] == [2]
    assert is_passed_over or said == at_once(body)


def test_a_large_body_that_is_cut_off_says_so() -> None:
    said = one_by_one(b'[1,\n["' + b"x" * 100, largest=20)

    assert said[:2] == (2, 103)
    assert "cut off" in said[2]


@pytest.mark.parametrize(
    "inside",
    [b"[]," * 700_000 + b"1", b'"",' * 700_000 + b"1", b'"' + rb"\\" * 1_000_000 + b'"'],
    ids=["brackets", "texts", "backslashes"],
)
def test_a_large_element_is_passed_over_in_small_steps(inside: bytes) -> None:
    body = b"[[" + inside + b"]]"

    steps = [*parse_elements(body, largest=LARGEST)]

    assert steps.count(None) >= len(body) // (16 * 1024)
    assert [type(one.value) for one in steps if one is not None] == [BodyTooLarge]


# Lines


def said_by_line(body: bytes, largest: int = LARGEST) -> list[Any]:
    return [
        (one.value.line, one.value.column) if isinstance(one.value, JsonInvalid) else one.value
        for one in parse_lines(body, largest=largest)
    ]


@given(st.lists(VALUES, max_size=6), st.sampled_from(["\n", "\r\n", "\n\n", " \n"]))
def test_each_line_has_its_value(values: list[Any], end: str) -> None:
    text = "".join(json.dumps(value) + end for value in values)

    assert said_by_line(text.encode()) == values
    assert said_by_line(text.rstrip().encode()) == values


def test_a_fault_of_a_line_says_where_in_the_body_it_is() -> None:
    body = b'1\n\n{"a" 2}\n3\n\xff\n[1,\n2]'

    assert said_by_line(body) == [1, (3, 6), 3, (5, 1), (6, 4), (7, 2)]


@pytest.mark.parametrize("blank", [b"\n", b" \r\n", b" "])
def test_many_lines_without_anything_are_passed_over_quickly(blank: bytes) -> None:
    body = blank * 2_000_000 + b"1" + blank * 2_000_000 + b"\n{"
    begun = time.thread_time()

    first, second = said_by_line(body)

    assert first == 1 if b"\n" in blank else isinstance(first, BodyTooLarge)
    assert second == (blank.count(b"\n") * 4_000_000 + 2, 2)

    assert time.thread_time() - begun < 2


def test_a_line_that_is_too_large_spoils_no_other() -> None:
    before, found, after = said_by_line(b"1\n" + b'"' + b"x" * 50 + b'"\n2', largest=20)

    assert (before, after) == (1, 2)
    assert isinstance(found, BodyTooLarge)
