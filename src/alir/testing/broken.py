"""Things as nobody documents them: broken JSON, and values where they do not belong."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

#: How every search runs: the same in each run, and without files of its own.
SEARCH: Final = settings(max_examples=150, deadline=None, derandomize=True, database=None)

#: What is put in the place of a value.
ODD_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, -1, 1.5, 10**12, "", "\x00", "９", "soon", "9" * 5000, "ünïcøde", [], {}),
    *([None], [[]], {"": None}, [{"id": 1}]),
)

#: Bodies that are no JSON, or JSON that says nothing.
ODD_BODIES: Final[tuple[bytes, ...]] = (
    *(b"", b" ", b"OK", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[{}]", b"[null]"),
    *(b"<html><body>Bad Gateway</body></html>", b"\xff\xfe\x00", b'{"', b'{"a":NaN}'),
    *(b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5000, b'{"a":"\\ud83d"}', b'{"a":1,"a":2}'),
)

JSON: Final[SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=12,
)

Path = tuple[str | int, ...]


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value, the whole first.

    >>> list(paths({"a": [1]}))
    [(), ('a',), ('a', 0)]
    """
    yield at
    if isinstance(value, dict):
        for key, below in value.items():
            yield from paths(below, (*at, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from paths(below, (*at, index))


def text_paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value where a text stands.

    >>> list(text_paths({"a": ["x", 1], "b": "y"}))
    [('a', 0), ('b',)]
    """
    if isinstance(value, str):
        yield at
    inner = value if isinstance(value, dict) else {}
    if isinstance(value, list):
        inner = dict(enumerate(value))
    for step, below in inner.items():
        yield from text_paths(below, (*at, step))


def replaced(value: Any, at: Path, by: Any) -> Any:
    """A copy with another value at that place.

    >>> replaced({"a": [1]}, ("a", 0), None)
    {'a': [None]}
    """
    if not at:
        return by
    found = copy.deepcopy(value)
    inner = found
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = by
    return found


def without(value: Any, at: Path) -> Any:
    """A copy without what stands at that place.

    >>> without({"a": [1], "b": 2}, ("a",))
    {'b': 2}
    """
    found = copy.deepcopy(value)
    inner = found
    for step in at[:-1]:
        inner = inner[step]
    del inner[at[-1]]
    return found


def breaks(value: Any) -> Iterator[Any]:
    """A JSON value, broken at each place in each way."""
    for at in paths(value):
        if at:
            yield without(value, at)
        for odd in ODD_VALUES:
            yield replaced(value, at, odd)
