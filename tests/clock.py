"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """An `alir.clock.Clock` whose time passes only by `advance` and `leap`."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = timedelta()
        self._order = itertools.count()
        self._sleepers: list[tuple[timedelta, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + self._passed

    def elapsed(self) -> float:
        return self._passed.total_seconds()

    async def sleep(self, seconds: float) -> None:
        wakes: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        until = self._passed + timedelta(seconds=seconds)
        heapq.heappush(self._sleepers, (until, next(self._order), wakes))
        await wakes

    @property
    def sleepers(self) -> int:
        """How many tasks sleep."""
        return sum(not wakes.done() for _, _, wakes in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Let time pass; whoever sleeps wakes at the moment that it asked for."""
        end = self._passed + timedelta(seconds=seconds)
        await idle()
        while self._sleepers and self._sleepers[0][0] <= end:
            until, _, wakes = heapq.heappop(self._sleepers)
            self._passed = max(self._passed, until)
            if not wakes.done():
                wakes.set_result(None)
                await idle()
        self._passed = end
        await idle()

    def set_back(self, seconds: float) -> None:
        """Let somebody set the wall clock back; what has elapsed stays."""
        self._start -= timedelta(seconds=seconds)

    def leap(self, seconds: float) -> None:
        """Let time pass before anybody could notice, as in a suspend."""
        self._passed += timedelta(seconds=seconds)


@dataclass
class Restless:
    """A clock whose sleepers need not sleep."""

    clock: FakeClock

    def now(self) -> datetime:
        return self.clock.now()

    def elapsed(self) -> float:
        return self.clock.elapsed()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def idle() -> None:
    """Let every task run until it waits for something from outside this loop."""
    for _ in range(25):
        await asyncio.sleep(0)
