"""Reading and writing JSON quickly.

Two steps. orjson reads, and the answer is sure where it also writes the value back as it came.
For all other bodies the standard library's scanner does the reading, with hooks where it is too
lenient. Neither it nor the hooks know places well, so a refused body is read again by `explain`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final, NoReturn

import orjson

from alir.strictjson import hints
from alir.strictjson.explain import MAX_DEPTH, MAX_DIGITS, explain, fault

BOM: Final = b"\xef\xbb\xbf"  #: what some editors put before a text in UTF-8
_WHITE_SPACE: Final = b" \t\n\r"


def parse(body: bytes) -> object:
    """The value that `body` holds. A byte order mark before it is passed over.

    Raises:
        JsonInvalid: it holds none, or not exactly one.

    >>> parse(b'{"to": "+10000000000"}')
    {'to': '+10000000000'}
    """
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        try:
            value: object = orjson.loads(body)
        except ValueError:
            pass  # a fault, or a byte order mark: the slow reader says which
        else:
            return value if _says(body, value) else parse_slowly(body, may_hold_halves=False)
    return parse_slowly(body)


def _says(body: bytes, value: object) -> bool:
    """Is `body` the one spelling of `value`, but for white space?

    Then no key stands in it twice and no number was rounded, which orjson is silent about: what
    it dropped or changed would be missing or different in what it writes. White space inside of
    texts is passed over too; that moves no quote, and so hides no key.
    """
    written = orjson.dumps(value)
    return written == body or (
        len(written) < len(body)
        and written.translate(None, _WHITE_SPACE) == body.translate(None, _WHITE_SPACE)
    )


def parse_slowly(body: bytes, *, may_hold_halves: bool = True) -> object:
    """The same as `parse`, without orjson, which has ruled out halves of surrogate pairs."""
    text = decoded(body)
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_too_deep(text):
        raise explain(text)
    try:
        value: object = _DECODER.decode(text)
        if may_hold_halves and "\\u" in text:
            canonical(value)  # refuses half of a surrogate pair, which UTF-8 cannot write
    except ValueError:
        raise explain(text) from None
    return value


def canonical(value: object) -> bytes:
    """One spelling for all bodies that say the same: sorted keys, no spaces, UTF-8.

    >>> canonical({"b": 1, "a": "é"}).decode()
    '{"a":"é","b":1}'
    """
    return _ENCODER.encode(value).encode()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key twice")
    return members


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError("too many digits")
    return int(digits)


def _real(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("too large")
    return number


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_float=_real, parse_constant=_no_number
)
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


def decoded(body: bytes) -> str:
    """The text of a body, without a byte order mark.

    Raises:
        JsonInvalid: it is not UTF-8.
    """
    content = body.removeprefix(BOM)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        at = len(content[: error.start].decode())
        is_wide = json.detect_encoding(content) != "utf-8"
        likely = hints.WIDE if is_wide else hints.NOT_UTF_8
        raise fault(content.decode(errors="replace"), at, likely) from None


#: A text that is never closed runs to the end, so that each character is looked at once.
_BETWEEN_BRACKETS: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*(?:"|\\?\Z)|[^][{}"]+', re.DOTALL)


def _is_too_deep(text: str) -> bool:
    # The count is exact up to the first fault of the text, and no scanner gets past that one.
    depth = 0
    for bracket in _BETWEEN_BRACKETS.sub("", text):
        depth += (bracket in "[{") - (bracket in "]}")
        if depth > MAX_DEPTH:
            return True
    return False
