"""How many bytes of bodies may be read or held at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """An amount of memory for bodies, of which each takes its part before it is read.

    Args:
        size: in bytes. What is larger than that finds room while it is alone.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0

    def has(self, size: int) -> bool:
        """Whether there is room for so many bytes more."""
        return not self._taken or self._taken + size <= self._size

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Take so many bytes of it, for as long as this lasts; whoever does asks `has` first."""
        self._taken += size
        try:
            yield
        finally:
            self._taken -= size
