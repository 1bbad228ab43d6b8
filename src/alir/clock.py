"""Time is handed in, so that tests and the simulation move it by hand."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_WITHOUT_FRACTION = len("2026-01-01T00:00:00+00:00")
_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """What alir asks of time."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC, cut to milliseconds (as the store keeps it)."""
        ...

    def elapsed(self) -> float:
        """Seconds since some fixed moment; never jumps, and runs on while the machine sleeps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once `seconds` have passed."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return from_milliseconds(time.time_ns() // 1_000_000)

    def elapsed(self) -> float:
        # CLOCK_MONOTONIC stands still during a suspend; a lease does not.
        return time.clock_gettime(_BOOT)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Breath:
    """Gives the event loop back each time that so much work is done.

    Measured in work and not in time, so that the same work always stops at the same places.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._done = 0

    async def after(self, work: int) -> None:
        """So much more was done."""
        self._done += work
        if self._done >= self._every:
            self._done = 0
            await asyncio.sleep(0)


def to_milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, as the store keeps a moment.

    >>> to_milliseconds(datetime(2026, 1, 1, tzinfo=UTC))
    1767225600000
    """
    return (moment - EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> datetime:
    """The aware moment in UTC that the store keeps as `milliseconds`.

    >>> from_milliseconds(1767225600123).isoformat()
    '2026-01-01T00:00:00.123000+00:00'
    """
    # Exact in every year, and quicker than `fromtimestamp` of a double.
    return EPOCH + _MILLISECOND * milliseconds


def rfc3339(moment: datetime) -> str:
    """`moment` as the API writes it: UTC, milliseconds, `Z`.

    >>> rfc3339(from_milliseconds(1767225600120))
    '2026-01-01T00:00:00.120Z'
    >>> rfc3339(from_milliseconds(1767225600000))
    '2026-01-01T00:00:00.000Z'
    """
    return _written(moment)


# The moments of a message are written into every event of it, and those of a group are the same.
@lru_cache(maxsize=1024)
def _written(moment: datetime) -> str:
    # Asking `isoformat` for milliseconds takes three times as long as cutting what it gives.
    text = moment.isoformat()
    return f"{text[:23]}Z" if len(text) > _WITHOUT_FRACTION else f"{text[:19]}.000Z"
