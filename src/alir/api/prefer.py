"""The `Prefer` header of RFC 7240: how long a caller wants to wait."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Preference:
    """How long to wait for the answer.

    Attributes:
        applied: the `Preference-Applied` header of the answer; none: no preference was given.
    """

    seconds: float
    applied: str | None = None


#: One preference of the list, with its parameters; commas in quotes part nothing.
_PART: Final = re.compile(r'(?:[^",]|"[^"\\]*+(?:\\.[^"\\]*+)*"?)+')
#: A preference without its parameters.
_PREFERENCE: Final = re.compile(r'(?:[^";]|"[^"\\]*+(?:\\.[^"\\]*+)*"?)*')


@lru_cache(maxsize=256)
def preference(header: str | None, *, default: float, longest: float) -> Preference:
    """What `Prefer` asks for, as far as it is understood; what is not is ignored (RFC 7240, 2).

    A wait is digits (section 4.3), so `wait=-1` and `wait=1.5` are none, and are ignored too.

    >>> preference("wait=5", default=10, longest=60)
    Preference(seconds=5.0, applied='wait=5')
    >>> preference("respond-async", default=10, longest=60)
    Preference(seconds=0.0, applied='respond-async')
    >>> preference("return=minimal, wait=600", default=10, longest=60)
    Preference(seconds=60.0, applied='wait=60')
    >>> preference('for="a, wait=1", wait=5', default=10, longest=60)
    Preference(seconds=5.0, applied='wait=5')
    >>> preference("wait=-1", default=10, longest=60)
    Preference(seconds=10.0, applied=None)
    >>> preference(None, default=10, longest=60)
    Preference(seconds=10.0, applied=None)
    """
    if header is None:
        return Preference(float(default))
    asked: dict[str, str] = {}
    for part in _PART.findall(header):
        name, _, value = _without_parameters(part).partition("=")
        # Of a repeated preference the first one counts (RFC 7240, section 2).
        asked.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = asked.get("wait", "")
    seconds = min(int(wait[:9]), int(longest)) if wait.isascii() and wait.isdigit() else None
    applied = ["respond-async"] if "respond-async" in asked else []
    if seconds is not None:
        applied.append(f"wait={seconds}")
    if not applied:
        return Preference(float(default))
    return Preference(float(seconds or 0), ", ".join(applied))


def _without_parameters(preference: str) -> str:
    found = _PREFERENCE.match(preference)
    return found[0] if found else ""
