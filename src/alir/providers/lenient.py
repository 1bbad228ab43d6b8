"""Reading what providers send: as strictly as is fast, else whatever can be read."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import orjson

#: A whole number of more digits is kept as the text that it came as.
_WHOLE_DIGITS = 18
#: As JSON writes it, behind any number of escaped backslashes.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_IN_PLACE_OF_NUL = "\ufffd".encode()
#: Digits of Unix seconds that a `datetime` can hold.
_TIMESTAMP_DIGITS = 11


def parse(body: bytes) -> object:
    """The value that `body` holds; None where it is not even nearly JSON.

    One half of a character (a name that somebody cut off), a `NaN` or a number without bounds
    must not cost all that stands beside it. The half becomes `?`, the numbers become texts; and a
    NUL, which not every database can keep, becomes U+FFFD.

    >>> parse(b'{"id": "wamid.1", "name": "Zo\\\\ud83d", "at": NaN}')
    {'id': 'wamid.1', 'name': 'Zo?', 'at': 'NaN'}
    >>> parse(b'{"id": "wa\\0mid"}')
    {'id': 'wa\ufffdmid'}
    >>> parse(b'{"id": "wamid\\\\u0000", "path": "c:\\\\\\\\u0000"}')
    {'id': 'wamid\ufffd', 'path': 'c:\\\\u0000'}
    """
    if b"\0" in body:  # as it is, it stands in no JSON
        body = body.replace(b"\0", _IN_PLACE_OF_NUL)
    if b"\\u0000" in body:
        body = _NUL.sub(rb"\1\\ufffd", body)
    try:
        parsed: object = orjson.loads(body)
    except ValueError:
        return _mended(body)
    return parsed


def moment(said: object, now: datetime) -> datetime:
    """Unix seconds, given as a string or a number; `now` where that is not what came.

    >>> moment("1790000000", now=datetime(2026, 9, 1, tzinfo=UTC)).isoformat()
    '2026-09-21T14:13:20+00:00'
    """
    # Nothing else is turned to text: of a list in a thousand lists that would fail.
    text = str(said) if isinstance(said, int | str) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= _TIMESTAMP_DIGITS):
        return now
    return datetime.fromtimestamp(int(text), UTC)


def _mended(body: bytes) -> object:
    try:
        read = json.loads(
            body.decode(errors="replace"),
            strict=False,
            parse_int=_whole,
            parse_float=str,
            parse_constant=str,
        )
        # Only writing finds the halves of characters.
        mended: object = orjson.loads(json.dumps(read, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return mended


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _WHOLE_DIGITS else digits
