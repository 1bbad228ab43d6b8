"""What is to happen later: one heap, one task, however many things wait."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from math import inf

from alir.clock import Clock

#: The shortest nap, in seconds: what falls due within it is done together.
TICK = 0.005
#: Actions done in a row before other tasks get their turn.
BURST = 100


class Agenda:
    """Runs actions at their time, in the order of their times, inside `run`.

    Actions are quick and do not raise; what takes time starts a task of its own.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._entered = 0
        self._woken = asyncio.Event()
        self._wakes_at = -inf

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run `action` once `seconds` have passed."""
        due = self._clock.elapsed() + seconds
        self._entered += 1
        heapq.heappush(self._heap, (due, self._entered, action))
        if due < self._wakes_at:
            self._woken.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._do_what_is_due()
            self._woken.clear()
            wait = None
            if self._heap:
                wait = max(self._heap[0][0] - self._clock.elapsed(), TICK)
            self._wakes_at = inf if wait is None else self._clock.elapsed() + wait
            await self._nap(wait)
            self._wakes_at = -inf

    async def _do_what_is_due(self) -> None:
        done = 0
        now = self._clock.elapsed()
        while self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2]()
            done += 1
            if done % BURST == 0:
                await asyncio.sleep(0)

    async def _nap(self, seconds: float | None) -> None:
        waits: list[asyncio.Task[object]] = [asyncio.create_task(self._woken.wait())]
        if seconds is not None:
            waits.append(asyncio.create_task(self._clock.sleep(seconds)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
