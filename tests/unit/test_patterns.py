"""What patterns may not use, as it goes wrong on some of the Pythons that alir runs on."""

from __future__ import annotations

import re
from pathlib import Path

import alir

#: Before 3.11.5 a possessive or atomic group that matched in part moves on all the same.
POSSESSIVE_GROUP = re.compile(r"[^(]\)(?:[*+?]|\{[\d,]+\})\+|\(\?>")


def test_no_group_is_possessive() -> None:
    found = {
        path.name: place[0]
        for path in Path(alir.__file__).parent.rglob("*.py")
        if (place := POSSESSIVE_GROUP.search(path.read_text()))
    }

    assert found == {}


def test_one_would_be_found() -> None:
    assert POSSESSIVE_GROUP.search(r'(?:[^"]++|a)*+')
    assert not POSSESSIVE_GROUP.search(r'(?:[^"]++|a)*')
