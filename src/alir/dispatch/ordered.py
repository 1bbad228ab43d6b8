"""Writes that go to disk in the order in which they were asked for, place by place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from alir.clock import Clock
from alir.errors import StoreUnavailable
from alir.observe import get_logger

STORE_PAUSE_SECONDS: Final = 0.5

T = TypeVar("T")

_log = get_logger("pauses")


@dataclass(slots=True, eq=False)
class _Job:
    """A write; where somebody waits for it, it is tried once."""

    work: Callable[[], Awaitable[Any]]
    waits: asyncio.Future[Any] | None = None
    has_failed: bool = False


class Ordered:
    """Writes, each about a place. Those of one place go one after the other, in their order.

    One that nobody waits for is tried until the store takes it. One that somebody waits for is not:
    whoever asked hears that the store cannot be written, also where what stands before it cannot.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: dict[Hashable, deque[_Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def places(self) -> set[Hashable]:
        """What has not all been written yet."""
        return set(self._jobs)

    def soon(self, place: Hashable, work: Callable[[], Awaitable[object]]) -> None:
        """Write it, however long that takes."""
        self._add(place, _Job(work))

    async def now(self, place: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Write it; what `work` returned.

        Raises:
            StoreUnavailable: it is not written, and is not going to be.
        """
        waits: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._add(place, _Job(work, waits))
        return await waits

    async def finish(self, grace: timedelta) -> None:
        """Return once everything is written, or after `grace`; what is left then is dropped."""
        try:
            async with asyncio.timeout(grace.total_seconds()):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            _log.warning("pauses_left_unwritten", places=len(self._jobs))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _add(self, place: Hashable, job: _Job) -> None:
        if place in self._jobs:
            self._jobs[place].append(job)
            return
        self._jobs[place] = deque([job])
        task = asyncio.create_task(self._work(place), name="pauses")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, place: Hashable) -> None:
        jobs = self._jobs[place]
        try:
            while jobs:
                error = await self._try(jobs[0])
                if error is None:
                    jobs.popleft()
                    continue
                self._disappoint(jobs, error)
                if jobs:
                    await self._clock.sleep(STORE_PAUSE_SECONDS)
        finally:
            del self._jobs[place]
            for job in jobs:
                if job.waits is not None:
                    job.waits.cancel()

    async def _try(self, job: _Job) -> StoreUnavailable | None:
        """Write it; None: it is written, or never can be for a fault in it."""
        try:
            result = await job.work()
        except StoreUnavailable as error:
            if not job.has_failed:
                _log.warning("pause_not_stored", reason=str(error))
            job.has_failed = True
            return error
        except Exception as fault:
            # A fault of alir's own must not hold up what comes after it. Its text may hold a
            # person's number.
            _log.error("pause_write_broke", fault=type(fault).__name__)
            if job.waits is not None and not job.waits.done():
                job.waits.set_exception(fault)
            return None
        if job.waits is not None and not job.waits.done():
            job.waits.set_result(result)
        return None

    @staticmethod
    def _disappoint(jobs: deque[_Job], error: StoreUnavailable) -> None:
        """Tell everybody who waits that the store cannot be written."""
        for job in [job for job in jobs if job.waits is not None]:
            jobs.remove(job)
            if job.waits is not None and not job.waits.done():
                job.waits.set_exception(error)
