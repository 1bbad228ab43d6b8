"""An event loop whose time passes only while nothing is ready: virtual, and the same each time."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar
from typing import Any, Protocol, TypeVarTuple, Unpack

Ts = TypeVarTuple("Ts")


class Owner(Protocol):
    """Whoever runs a step of the loop, such as a process that may be dead by now."""

    def may_run(self, step: Step) -> bool:
        """Whether this step runs now; else it is dropped, or the owner keeps it."""
        ...


#: Who runs; every task and timer that it makes inherits it. None: the world around the processes.
OWNER: ContextVar[Owner | None] = ContextVar("OWNER", default=None)


class Deadlock(Exception):
    """Nothing is ready, and no timer will ever make anything so."""


class Step(asyncio.Handle):
    """A callback that is due, and whose it is."""

    __slots__ = ("owner",)

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: Context | None,
    ) -> None:
        super().__init__(callback, args, loop, context)
        self.owner = OWNER.get() if context is None else context.get(OWNER)

    def run(self) -> None:
        """Run it, whoever it belongs to."""
        self._run()


class Timer(asyncio.TimerHandle):
    """A callback that is due later, and whose it is."""

    __slots__ = ("owner",)

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: Context | None,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self.owner = OWNER.get() if context is None else context.get(OWNER)


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where in memory it lies."""

    _log_destroy_pending: bool

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **kwargs: Any) -> None:
        self._number = number
        super().__init__(coro, **kwargs)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without I/O, threads or real time.

    What is ready runs in its order, as asyncio promises; timers that end at the same moment are
    answers from outside, and come in any order.

    Args:
        shuffle: puts what ends at the same moment into some order.
    """

    def __init__(self, shuffle: Callable[[list[Any]], None]) -> None:
        super().__init__()
        self._shuffle = shuffle
        self._now = 0.0
        self._numbers = 0
        self._turn: deque[Any] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._tasks: list[_Task] = []
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """See asyncio."""
        step = Step(callback, args, self, context)
        self._turn.append(step)
        return step

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Timer:
        """See asyncio."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Timer:
        """See asyncio."""
        timer = Timer(when, callback, args, self, context)
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, timer))
        return timer

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """See asyncio: there is one thread only."""
        return self.call_soon(callback, *args, context=context)

    def run_again(self, steps: list[Any]) -> None:
        """Let steps run that their owner kept."""
        self._turn.extend(steps)

    def bury(self) -> None:
        """Drop every task that is left, quietly: a schedule is over, or its process is dead."""
        asyncio._set_running_loop(self)  # for what a task still does on its way out
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False
                coro = task.get_coro()
                with suppress(BaseException):
                    if coro is not None:
                        coro.close()
        asyncio._set_running_loop(None)
        self._tasks.clear()
        self._turn.clear()
        self._timers.clear()

    def _run_once(self) -> None:
        turn = self._turn
        if not turn:
            self._pass_time()
        elif self._timers and self._timers[0][0] <= self._now:
            self._end_timers()
        for _ in range(len(turn)):
            step = turn.popleft()
            if step._cancelled:
                continue
            owner = step.owner
            if owner is None or owner.may_run(step):
                step._run()

    def _pass_time(self) -> None:
        """Go to the moment of the next timer."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            raise Deadlock(f"nothing happens any more after {self._now:.3f} s")
        self._now = max(self._now, timers[0][0])
        self._end_timers()

    def _end_timers(self) -> None:
        ended = []
        while self._timers and self._timers[0][0] <= self._now:
            timer = heapq.heappop(self._timers)[2]
            if not timer._cancelled:
                ended.append(timer)
        if len(ended) > 1:
            self._shuffle(ended)
        self._turn.extend(ended)

    def _make_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> _Task:
        self._numbers += 1
        task = _Task(self._numbers, coro, loop=loop, **kwargs)
        self._tasks.append(task)
        return task

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to count: a cancelled timer is passed over when its moment comes."""
