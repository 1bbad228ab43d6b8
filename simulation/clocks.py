"""Clocks that differ: each process's goes wrong in its own way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from alir.clock import from_milliseconds, to_milliseconds

#: When the world begins, by a clock that goes right.
START = datetime(2026, 1, 1, tzinfo=UTC)
_START_MS = to_milliseconds(START)


class SkewedClock:
    """A process's clocks over the loop's time: an `alir.clock.Clock`.

    Attributes:
        skew: seconds that the wall clock goes before the right one.
        latest: by how many seconds a sleeper wakes late, at most.
        set_at: when somebody last set the wall clock, in the loop's time; none: nobody did.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        skew: float = 0.0,
        rate: float = 1.0,
        latest: float = 0.0,
        random: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`rate`: seconds that the clock that never jumps counts in a second.

        `random`: at least 0 and less than 1: how late of `latest` a sleeper wakes.
        """
        self._loop = loop
        self._rate = rate
        self._random = random
        self.latest = latest
        self.skew = skew
        self.set_at: float | None = None

    def now(self) -> datetime:
        """See `Clock`."""
        return from_milliseconds(self.milliseconds())

    def milliseconds(self) -> int:
        """The wall clock, in milliseconds since 1970."""
        return _START_MS + int((self._loop.time() + self.skew) * 1000)

    def elapsed(self) -> float:
        """See `Clock`. It begins elsewhere than any other clock."""
        return 1_000_000.0 + self._loop.time() * self._rate

    async def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        await asyncio.sleep(seconds / self._rate + self.latest * self._random())

    def set_by(self, seconds: float) -> None:
        """Somebody sets the wall clock, forward or back."""
        self.skew += seconds
        self.set_at = self._loop.time()


def moment(seconds: float) -> datetime:
    """The moment so many seconds after the start, by a clock that goes right."""
    return START + timedelta(milliseconds=int(seconds * 1000))
