"""`parse` asks a quick reader first: it never says anything but what the slow one says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alir.errors import JsonInvalid
from alir.strictjson import MAX_DEPTH, parse
from alir.strictjson.read import parse_slowly

#: Spellings that two readers may see differently, alone and beside each other.
SCALARS = st.sampled_from([
    *("1", "-0", "0", "-0.0", "1.0", "1.10", "1e2", "1E-2", "1e999", "100.0", "0.1", "1e16"),
    *("9223372036854775808", "18446744073709551616", "-9223372036854775809", "1" * 30, "NaN"),
    *('"a"', '"a b"', '" :"', '"\\":"', '"\\u0061"', '"\\u00e9"', '"é"', '"\\/"', '"\\n"'),
    *('"\\u0000"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00"', '"😀"', '"\x7f"', "true", "null"),
])  # fmt: skip
KEYS = st.sampled_from(['"a"', '"b"', '"a "', '"\\u0061"', '""', '"a:"', '"\\ud83d"'])
SPACE = st.sampled_from(["", "", "", " ", "\n", "\t\r", "\xa0"])


def arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")


def objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.builds("{}{}{}:{}{}".format, SPACE, KEYS, SPACE, SPACE, inner)
    return st.lists(member, max_size=4).map(lambda members: f"{{{','.join(members)}}}")


BODIES = st.recursive(SCALARS, lambda inner: arrays(inner) | objects(inner), max_leaves=8)


def said(text: str, *, slowly: bool) -> str:
    try:
        return repr((parse_slowly if slowly else parse)(text.encode()))
    except JsonInvalid as error:
        return f"{error.line}:{error.column}: {error.likely}"


@given(BODIES)
def test_both_readers_say_the_same(text: str) -> None:
    assert said(text, slowly=False) == said(text, slowly=True)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n")])
def test_a_key_twice_is_found_in_every_layout(separators: tuple[str, str]) -> None:
    comma, colon = separators
    for members in (
        ['"a"', "1", '"a"', "1"],
        ['"a"', "1", '"a"', "1e2"],
        ['"a"', "[ ]", '"a"', "[]"],
    ):
        first, one, second, two = members
        text = f"{{{first}{colon}{one}{comma}{second}{colon}{two}}}"

        assert "twice" in said(text, slowly=False)


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1, 300])
def test_depth_is_counted_whoever_reads(levels: int) -> None:
    text = "[" * levels + "]" * levels

    assert said(text, slowly=False) == said(text, slowly=True)
    assert (said(text, slowly=False) == repr(json.loads(text))) is (levels <= MAX_DEPTH)
