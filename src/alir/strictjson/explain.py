"""Where a text stops being JSON, and what its writer likely meant.

Slow beside the standard library's scanner, and run only on what that has refused.
"""

from __future__ import annotations

import json
import math
import re
from enum import Enum, auto
from typing import Final, NamedTuple

from alir.errors import JsonInvalid
from alir.strictjson import hints

MAX_DEPTH: Final = 64  #: levels of objects and arrays; a message needs four
MAX_DIGITS: Final = 500  #: of a whole number; a double ends at 309, Python may at 640
EXCERPT: Final = 20  #: characters of the body shown before and after a fault


def explain(text: str) -> JsonInvalid:
    """The first fault of `text`, which must have one."""
    try:
        _Scan(text).run()
    except _FoundFault as found:
        return fault(text, found.at, found.likely)
    raise AssertionError("the two readers disagree on what JSON is")


def explain_inside(text: str, at: int, *, after_value: bool) -> JsonInvalid:
    """The first fault of an array's elements in `text`, which must have one.

    Args:
        at: past the bracket or the comma before an element; or, with `after_value`, past one.
    """
    scan = _Scan(text)
    scan.take(at)
    scan.open.append(_Bracket("]", _Next.VALUE, {}))
    try:
        scan.run(_Next.COMMA if after_value else _Next.VALUE)
    except _FoundFault as found:
        return fault(text, found.at, found.likely)
    raise AssertionError("the two readers disagree on what JSON is")


def fault(text: str, at: int, likely: str) -> JsonInvalid:
    """The error for what is `likely` wrong at the index `at` of `text`."""
    start, end = max(at - EXCERPT, 0), at + EXCERPT
    around = _SPACES.sub(" ", text[start:end]).strip(" ")
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in around)
    return JsonInvalid(
        likely,
        line=_line(text, at),
        column=at - text.rfind("\n", 0, at),
        excerpt=("…" if start else "") + shown + ("…" if end < len(text) else ""),
    )


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


class _FoundFault(Exception):
    def __init__(self, at: int, likely: str) -> None:
        super().__init__(likely)
        self.at = at
        self.likely = likely


class _Next(Enum):
    VALUE = auto()
    KEY = auto()
    COLON = auto()
    COMMA = auto()  # or the closing bracket, or, outside all brackets, the end


_SPACES: Final = re.compile(r"[ \t\n\r]+")
_SPACE: Final = re.compile(r"[ \t\n\r]*+")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*+')
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u([0-9a-fA-F]{4}))')
_LOW_HALF: Final = re.compile(r"\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?([eE][+-]?[0-9]++)?")
_LITERAL: Final = re.compile(r"true|false|null")


class _Bracket(NamedTuple):
    """An object or array that is not closed yet."""

    closing: str
    following: _Next  # what comes after a comma inside
    keys: dict[str, int]  # and where each stands


class _Scan:
    """Walks along the text and stops at the first fault."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.last_end = 0  # where the token before this one ended
        self.open: list[_Bracket] = []

    def run(self, following: _Next = _Next.VALUE) -> None:
        steps = {
            _Next.VALUE: self.value,
            _Next.KEY: self.key,
            _Next.COLON: self.colon,
            _Next.COMMA: self.comma,
        }
        following = steps[following]()
        while self.char() or self.open:
            following = steps[following]()

    def char(self) -> str:
        """Pass over white space; the character there, or nothing at the end."""
        self.at = self.end_of(_SPACE)
        return self.text[self.at : self.at + 1]

    def end_of(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        return found.end() if found else self.at

    def take(self, end: int) -> None:
        self.at = self.last_end = end

    def here(self, likely: str) -> _FoundFault:
        return _FoundFault(self.at, likely)

    def value(self) -> _Next:
        char = self.char()
        if char == "{":
            return self.opened(_Bracket("}", _Next.KEY, {}))
        if char == "[":
            return self.opened(_Bracket("]", _Next.VALUE, {}))
        if char == '"':
            self.string()
        elif literal := _LITERAL.match(self.text, self.at):
            self.take(literal.end())
        elif number := _NUMBER.match(self.text, self.at):
            self.number(number)
        else:
            if char == "]":
                self.refuse_trailing_comma()
            raise self.here(hints.instead_of_value(self.text, self.at, is_root=not self.open))
        return _Next.COMMA

    def opened(self, bracket: _Bracket) -> _Next:
        if len(self.open) == MAX_DEPTH:
            raise self.here(f"this is nested deeper than {MAX_DEPTH} levels")
        self.open.append(bracket)
        self.take(self.at + 1)
        return self.closed() if self.char() == bracket.closing else bracket.following

    def closed(self) -> _Next:
        self.open.pop()
        self.take(self.at + 1)
        return _Next.COMMA

    def key(self) -> _Next:
        char = self.char()
        if char != '"':
            if char == "}":
                self.refuse_trailing_comma()
            raise self.here(hints.instead_of_key(self.text, self.at))
        start = self.at
        self.string()
        name: str = json.loads(self.text[start : self.at])
        first = self.open[-1].keys.setdefault(name, start)
        if first != start:
            raise _FoundFault(start, hints.key_twice(name, _line(self.text, first)))
        return _Next.COLON

    def refuse_trailing_comma(self) -> None:
        if self.text[self.last_end - 1] == ",":
            raise _FoundFault(self.last_end - 1, hints.TRAILING_COMMA)

    def colon(self) -> _Next:
        char = self.char()
        if char == ":":
            self.take(self.at + 1)
            return _Next.VALUE
        raise self.here(hints.instead_of_colon(self.text, self.at))

    def comma(self) -> _Next:
        char = self.char()
        if not self.open:
            raise self.here(hints.instead_of_end(self.text, self.at))
        bracket = self.open[-1]
        if char == ",":
            self.take(self.at + 1)
            return bracket.following
        if char == bracket.closing:
            return self.closed()
        if likely := hints.instead_of_comma(self.text, self.at):
            raise self.here(likely)
        raise _FoundFault(self.last_end, hints.missing_comma(self.text, self.last_end))

    def string(self) -> None:
        start = self.at
        self.at += 1
        while True:
            self.at = self.end_of(_PLAIN)
            char = self.text[self.at : self.at + 1]
            if char == '"':
                return self.take(self.at + 1)
            if not char:
                raise _FoundFault(start, hints.UNCLOSED_TEXT)
            if char != "\\":
                raise self.here(hints.inside_text(char))
            self.escape()

    def escape(self) -> None:
        found = _ESCAPE.match(self.text, self.at)
        if found is None:
            raise self.here(hints.BACKSLASH)
        end, unit = found.end(), (found[1] or "").lower()
        if "d800" <= unit <= "dbff" and _LOW_HALF.match(self.text, end):
            end += len("\\udc00")
        elif "d800" <= unit <= "dfff":
            raise self.here(hints.HALF_CHARACTER)
        self.at = end

    def number(self, found: re.Match[str]) -> None:
        end = found.end()
        if hints.NUMBERISH.match(self.text, end):
            raise self.here(hints.NOT_A_NUMBER)
        is_whole = found[1] is None and found[2] is None
        if is_whole and end - self.at > MAX_DIGITS:
            raise self.here(f"a number of more than {MAX_DIGITS} digits: {hints.QUOTE_IT}")
        if not is_whole and math.isinf(float(found[0])):
            raise self.here("this number is larger than any that JSON readers agree on")
        self.take(end)
