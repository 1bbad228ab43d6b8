"""Reading the JSON that providers send: as strictly as is fast, else whatever can be read."""

from __future__ import annotations

import json

import orjson

#: A whole number of more digits is kept as the text that it came as.
_WHOLE_DIGITS = 18


def parse(body: bytes) -> object:
    """The value that `body` holds; None where it is not even nearly JSON.

    One half of a character (a name that somebody cut off), a `NaN` or a number without bounds
    must not cost all that stands beside it. The half becomes `?`, the numbers become texts.

    >>> parse(b'{"id": "wamid.1", "name": "Zo\\\\ud83d", "at": NaN}')
    {'id': 'wamid.1', 'name': 'Zo?', 'at': 'NaN'}
    """
    try:
        parsed: object = orjson.loads(body)
    except ValueError:
        return _mended(body)
    return parsed


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
