"""What happened in a schedule, in order: the same for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any


class Trace:
    """Lines of what happened; put into words only when somebody reads them."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._lines: list[tuple[float, str, str, dict[str, Any]]] = []

    def add(self, who: str, what: str, **more: Any) -> None:
        """`who` did, or suffered, `what`."""
        self._lines.append((self._time(), who, what, more))

    def __iter__(self) -> Iterator[str]:
        for at, who, what, more in self._lines:
            words = " ".join(f"{name}={value}" for name, value in more.items())
            yield f"{at:10.4f} {who:<10} {what} {words}".rstrip()

    def digest(self) -> str:
        """A fingerprint of all of it."""
        return hashlib.sha256("\n".join(self).encode()).hexdigest()
