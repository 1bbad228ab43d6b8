"""A clock that a test moves by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

START: Final = datetime(2026, 1, 1, tzinfo=UTC)


class HandClock:
    """An `alir.clock.Clock` that stands still between two calls of `move`."""

    def __init__(self) -> None:
        self._passed = timedelta()

    def now(self) -> datetime:
        """See `Clock.now`."""
        return START + self._passed

    def elapsed(self) -> float:
        """See `Clock.elapsed`."""
        return self._passed.total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Moves the clock itself, so nobody waits."""
        self.move(seconds)
        await asyncio.sleep(0)

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += timedelta(seconds=seconds)
