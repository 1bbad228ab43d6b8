"""Waiting for what will be true soon: look again and again, up to a deadline, never just sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_BETWEEN_LOOKS = 0.02  # seconds


def eventually(look: Callable[[], T | None], *, within: float = 5.0) -> T:
    """What `look` finds, as soon as it finds something: neither nothing nor an empty list.

    Args:
        within: seconds; then the failure says what `look` last found.
    """
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            name = getattr(look, "__qualname__", repr(look))
            raise AssertionError(f"still {found!r} after {within} s: {name}")
        time.sleep(_BETWEEN_LOOKS)
