"""An event loop whose time passes only while nothing is ready: virtual, and the same each time."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
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


class Step:
    """A callback that is due, now or later, and whose it is.

    Handed out where asyncio speaks of a handle, which costs more than most steps do.
    """

    __slots__ = ("args", "callback", "context", "is_cancelled", "owner")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self.owner = self.context.get(OWNER)
        self.is_cancelled = False

    def cancel(self) -> None:
        """Let it not run."""
        self.is_cancelled = True


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

    _stopping: bool  # asyncio's own

    def __init__(self, shuffle: Callable[[list[Any]], None]) -> None:
        super().__init__()
        self._shuffle = shuffle
        self._now = 0.0
        self._numbers = 0
        self._turn: deque[Step] = deque()
        self._later: list[tuple[float, int, Step]] = []
        self._tasks: list[_Task] = []

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def call_soon(  # type: ignore[override]  # see `Step`
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Step:
        """See asyncio."""
        step = Step(callback, args, context)
        self._turn.append(step)
        return step

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # there is one thread

    def call_later(  # type: ignore[override]  # see `Step`
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Step:
        """See asyncio."""
        step = Step(callback, args, context)
        self._numbers += 1
        heapq.heappush(self._later, (self._now + delay, self._numbers, step))
        return step

    def call_at(  # type: ignore[override]  # see `Step`
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Step:
        """See asyncio."""
        step = Step(callback, args, context)
        self._numbers += 1
        heapq.heappush(self._later, (when, self._numbers, step))
        return step

    def create_task(
        self,
        coro: Any,
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        """See asyncio."""
        self._numbers += 1
        task = _Task(self._numbers, coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    def run_again(self, steps: list[Step]) -> None:
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
        self._later.clear()

    def _run_once(self) -> None:
        """Run until somebody stops the loop: to be called for each turn took a while of its own."""
        turn, later = self._turn, self._later
        while not self._stopping:
            if not turn:
                self._pass_time()
            if later and later[0][0] <= self._now:
                self._end_timers()
            for _ in range(len(turn)):
                step = turn.popleft()
                if step.is_cancelled:
                    continue
                owner = step.owner
                if owner is None or owner.may_run(step):
                    try:
                        step.context.run(step.callback, *step.args)
                    except (SystemExit, KeyboardInterrupt):
                        raise
                    except BaseException as error:  # as in asyncio: told below, others go on
                        told = f"a fault in {step.callback!r}"
                        self.call_exception_handler({"message": told, "exception": error})

    def _pass_time(self) -> None:
        """Go to the moment of the next timer."""
        later = self._later
        while later and later[0][2].is_cancelled:
            heapq.heappop(later)
        if not later:
            raise Deadlock(f"nothing happens any more after {self._now:.3f} s")
        self._now = max(self._now, later[0][0])

    def _end_timers(self) -> None:
        later, now = self._later, self._now
        ended = []
        while later and later[0][0] <= now:
            step = heapq.heappop(later)[2]
            if not step.is_cancelled:
                ended.append(step)
        if len(ended) > 1:
            self._shuffle(ended)
        self._turn.extend(ended)
