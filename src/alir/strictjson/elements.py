"""The values of a long body one by one, so that no step over it takes long.

Of NDJSON each line is read by itself, and of an array each element: it is cut out by its brackets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from itertools import accumulate
from typing import Final, NamedTuple, NoReturn

from alir.errors import BodyTooLarge, JsonInvalid
from alir.strictjson import hints
from alir.strictjson.explain import explain_inside, fault
from alir.strictjson.read import BOM, decoded, parse

#: Most elements are smaller; more is looked at only of one that is not.
_SMALL: Final = 4 * 1024
#: How much of an element that is too large is passed over in one step.
_STRIDE: Final = 16 * 1024

_SPACE: Final = re.compile(rb"[ \t\n\r]*+")
# No group is possessive: before 3.11.5 Python goes on from within what matched of it in part.
_TEXT: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*"'
_TEXTS: Final = re.compile(_TEXT, re.DOTALL)
#: As far as no text is cut off.
_WHOLE_TEXTS: Final = re.compile(rb'(?:[^"]++|%s)*' % _TEXT, re.DOTALL)
_TO_TEXTS_END: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*', re.DOTALL)
_TO_ELEMENTS_END: Final = re.compile(rb"[^],]*+")
_BRACKETS: Final = re.compile(rb"%s|[][{}]" % _TEXT, re.DOTALL)
_DEPTH: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS: Final = bytes({*range(256)} - _DEPTH.keys())
#: Finds where a value ends. What it reads is not used: it is too lenient, and sees single bytes.
_SCANNER: Final = json.JSONDecoder()
#: What is left over where a number is cut in or before its fraction or its exponent.
_CUT_NUMBERS: Final = frozenset({".", "e", "E", "e+", "e-", "E+", "E-"})


class Element(NamedTuple):
    """One value, or why there is none; and the size of its text in bytes."""

    value: object | JsonInvalid | BodyTooLarge
    size: int


def parse_lines(body: bytes, *, largest: int) -> Iterator[Element]:
    """The value of each line of NDJSON; lines without anything are passed over.

    Args:
        largest: bytes that a value may have.
    """
    start, number = 0, 1
    while (at := _after_space(body, start)) < len(body):
        number += body.count(b"\n", start, at)
        begun = max(start, body.rfind(b"\n", start, at) + 1)
        end = body.find(b"\n", at)
        end = len(body) if end < 0 else end
        yield _line(body[begun:end], number, largest)
        start, number = end + 1, number + 1


def _line(line: bytes, number: int, largest: int) -> Element:
    if len(line) > largest:
        return Element(_too_large(largest), len(line))
    try:
        return Element(parse(line), len(line))
    except JsonInvalid as error:
        here = JsonInvalid(error.likely, line=number, column=error.column, excerpt=error.excerpt)
        return Element(here, len(line))


def is_array(body: bytes) -> bool:
    """Whether `body`, if it is JSON, is an array."""
    return body.startswith(b"[", _after_space(body, len(BOM) if body.startswith(BOM) else 0))


def parse_elements(body: bytes, *, largest: int) -> Iterator[Element | None]:
    """Each element of the array in `body`; None now and then on the way to the next.

    Args:
        body: of which `is_array` says so.
        largest: bytes that an element may have.

    Raises:
        JsonInvalid: it is not JSON; what came before this was noticed is of no use then.
    """
    body = body.removeprefix(BOM)
    at = _after_space(body, 0) + 1
    if body.startswith(b"]", _after_space(body, at)):
        end = at
    else:
        end = yield from _elements(body, at, largest)
    rest = _after_space(body, _after_space(body, end) + 1)
    if rest < len(body):
        text, at = _as_text(body, rest)
        raise fault(text, at, hints.instead_of_end(text, at))


def _elements(body: bytes, at: int, largest: int) -> Generator[Element | None, None, int]:
    """Each element from `at` on; in the end, where the last one ends."""
    while True:
        start = _after_space(body, at)
        end = _end_of(body, start, min(_SMALL, largest)) or _end_of(body, start, largest)
        is_read = end is not None
        if end is not None:
            yield Element(_read(body, at, body[start:end]), end - start)
        else:
            end = yield from _pass_over(body, start)
            if end is None and len(body) - start > largest:
                text, _ = _as_text(body, 0)
                raise fault(text, len(text), hints.CUT_OFF)
            if end is None or end - start <= largest:
                _explain(body, at)
            yield Element(_too_large(largest), end - start)
        following = _after_space(body, end)
        if body.startswith(b"]", following):
            return end
        if not body.startswith(b",", following):
            _explain(body, at if is_read else end, after_value=not is_read)
        at = following + 1


def _too_large(largest: int) -> BodyTooLarge:
    return BodyTooLarge(f"This message is larger than {largest} bytes.")


def _after_space(body: bytes, at: int) -> int:
    return _end(_SPACE, body, at, len(body))


def _end(pattern: re.Pattern[bytes], body: bytes, at: int, stop: int) -> int:
    found = pattern.match(body, at, stop)
    return found.end() if found else at


def _end_of(body: bytes, start: int, most: int) -> int | None:
    """Where the value from `start` on ends, if it is one and has at most so many bytes."""
    text = body[start : start + most + 1].decode("latin-1")  # a character a byte
    try:
        _, size = _SCANNER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    # Of a number that is cut here, the scanner takes what stands before.
    return None if size > most or text[size:] in _CUT_NUMBERS else start + size


def _pass_over(body: bytes, start: int) -> Generator[None, None, int | None]:
    """Where a value ends that cannot be read or is too large; None: the body ends first."""
    first = body[start : start + 1]
    if first == b'"':
        return (yield from _end_of_text(body, start))
    if first not in {b"{", b"["}:
        return _end(_TO_ELEMENTS_END, body, start, len(body))
    at, depth = start, 0
    while at < len(body):
        yield None
        stop = min(at + _STRIDE, len(body))
        end: int | None = _end(_WHOLE_TEXTS, body, at, stop)
        if end == at:  # a text, and a longer one
            end = yield from _end_of_text(body, at)
        if end is None:
            return None
        piece = _TEXTS.sub(b"", body[at:end])
        depths = [*accumulate(map(_DEPTH.__getitem__, piece.translate(None, _NO_BRACKETS)))]
        if depths and depth + min(depths) <= 0:
            return _closing(body, at, end, 1 + depths.index(-depth))
        depth += depths[-1] if depths else 0
        at = end
    return None


def _end_of_text(body: bytes, start: int) -> Generator[None, None, int | None]:
    """Where a text from `start` on ends; None: the body ends first."""
    at = start + 1
    while at < len(body):
        yield None
        at = _end(_TO_TEXTS_END, body, at, min(at + _STRIDE, len(body)))
        if body.startswith(b'"', at):
            return at + 1
        if body.startswith(b"\\", at):  # the step ended before what this makes a plain character
            at += len(rb"\"")
    return None


def _closing(body: bytes, at: int, stop: int, number: int) -> int:
    """Past the bracket of this number from `at` on, those in texts left out."""
    for found in _BRACKETS.finditer(body, at, stop):
        number -= found[0] in b"[]{}"
        if number == 0:
            return found.end()
    raise AssertionError("there are as many brackets as were counted")


def _read(body: bytes, at: int, element: bytes) -> object:
    try:
        return parse(element)
    except JsonInvalid:
        _explain(body, at)


def _explain(body: bytes, at: int, *, after_value: bool = False) -> NoReturn:
    text, place = _as_text(body, at)
    raise explain_inside(text, place, after_value=after_value) from None


def _as_text(body: bytes, at: int) -> tuple[str, int]:
    """The body as text, and where in it the byte `at` stands."""
    return decoded(body), len(body[:at].decode())
