"""How many bytes of bodies may be read or held at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class NoRoom(Exception):
    """There is no room for more of a body."""


class Room:
    """An amount of memory for bodies: each takes its part before it is read, or as it comes in.

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

    @contextmanager
    def share(self) -> Iterator[Share]:
        """A part of it for one body, nothing at first, for as long as this lasts."""
        share = Share(self._take)
        try:
            yield share
        finally:
            self._taken -= share.size

    def _take(self, size: int, has: int) -> None:
        is_alone = self._taken == has
        if not is_alone and self._taken + size > self._size:
            raise NoRoom
        self._taken += size


class Share:
    """What one body takes of a room while it comes in.

    Attributes:
        size: in bytes.
    """

    def __init__(self, take: Callable[[int, int], None]) -> None:
        self._take = take
        self.size = 0

    def grow(self, size: int) -> None:
        """Take so many bytes more.

        Raises:
            NoRoom: they are not there.
        """
        self._take(size, self.size)
        self.size += size
