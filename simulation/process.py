"""A process that can be killed between any two steps, suspended, and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from alir.errors import StoreUnavailable
from simulation.gateway import Gateway, Outside
from simulation.happened import Trace
from simulation.loop import OWNER, Step, VirtualLoop
from simulation.plan import Plan

T = TypeVar("T")


class Process:
    """A gateway that can be killed between any two steps, and suspended.

    Attributes:
        number: from 1; each start is another process.
        left: the leases that it held when it was killed: their fencing numbers, by sender.
        stood_still: seconds for which it was suspended.
        woke_at: when it ran on, each time, in the loop's time.
        is_up: it takes requests.
        ended_at: in the loop's time; none: it lives.
        was_killed: it had no time to put its affairs in order.
        is_doomed: it is going to be killed.
        is_suspended: it does not run for now.
    """

    def __init__(
        self,
        number: int,
        plan: Plan,
        loop: VirtualLoop,
        trace: Trace,
        changed: Callable[[], None],
    ) -> None:
        """`changed`: told where it is up, or runs on."""
        self.number = number
        self.ended_at: float | None = None
        self.was_killed = False
        self.is_up = False
        self.is_doomed = False
        self.is_suspended = False
        self.left: dict[str, int] = {}
        self.stood_still = 0.0
        self.woke_at: list[float] = []
        self.ended = loop.create_future()
        self._plan = plan
        self._loop = loop
        self._trace = trace
        self._changed = changed
        self._steps_left: int | None = None
        self._after_steps: Callable[[], None] = self.kill
        self._kept: list[Step] = []
        # In the order in which they came, which the order of a set would not be each time.
        self._serving: dict[asyncio.Future[Any], None] = {}
        self._running: list[asyncio.Task[None]] = []
        self._context = Context()
        self._context.run(OWNER.set, self)

    @property
    def name(self) -> str:
        """Unlike any other's."""
        return f"process-{self.number}"

    @property
    def lives(self) -> bool:
        return self.ended_at is None

    def may_run(self, step: Step) -> bool:
        """See `Owner`."""
        if self.ended_at is not None:
            return False
        if self.is_suspended:
            self._kept.append(step)
            return False
        if self._steps_left is not None:
            self._steps_left -= 1
            if self._steps_left < 0:
                self._steps_left = None
                self._after_steps()
                return self.may_run(step)
        return True

    def start(self, outside: Outside) -> None:
        """Begin to run."""
        self._say("starts")
        self.database = outside.database
        self.clock = outside.clock
        self.looks = outside.sharing.looks.total_seconds()
        self.gateway = self._context.run(Gateway, self._plan, outside)
        self._run(self._start())

    def kill_after(self, steps: int, within: float) -> None:
        """Have it die once it has done so many more steps, or after so many seconds."""
        self.is_doomed = True
        self._steps_left, self._after_steps = steps, self.kill
        self._loop.call_later(within, self.kill)

    def kill(self) -> None:
        """It is gone, wherever it was."""
        if self.lives:
            self.was_killed = True
            self._say("is killed")
            self._end()

    def stop(self) -> None:
        """It is asked to end; one that has just begun, or was asked before, ends at once."""
        if not self.is_up:
            self.kill()
            return
        self.is_up = False
        self._say("stops")
        self._run(self._stop())

    def suspend_after(self, steps: int, within: float, seconds: float) -> None:
        """Have it stand still once it has done so many more steps, or after a while."""
        suspended = False

        def suspend() -> None:
            nonlocal suspended
            if not suspended and self.lives:
                suspended = True
                self.suspend(seconds)

        if not self.is_doomed:
            self._steps_left, self._after_steps = steps, suspend
        self._loop.call_later(within, suspend)

    def suspend(self, seconds: float) -> None:
        """It does not run for so long."""
        self._say("is suspended", seconds=seconds)
        self.is_suspended = True
        self.stood_still += seconds
        self._loop.call_later(seconds, self.resume)

    def resume(self) -> None:
        """It runs on."""
        if self.is_suspended:
            self.is_suspended = False
            self.woke_at.append(self._loop.time())
            kept, self._kept = self._kept, []
            self._loop.run_again(kept)
            self._changed()

    def serve(self, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Future[T]:
        """What it answers a caller; `ConnectionError` where it ends first."""
        answer: asyncio.Future[T] = self._loop.create_future()
        if not (self.lives and self.is_up):
            answer.set_exception(ConnectionRefusedError())
            return answer
        self._serving[answer] = None
        self._run(self._serve(work, answer))
        return answer

    @property
    def serving(self) -> int:
        """How many callers wait for it."""
        return len(self._serving)

    async def _serve(
        self, work: Callable[[], Coroutine[Any, Any, T]], answer: asyncio.Future[T]
    ) -> None:
        try:
            result = await work()
        except Exception as error:  # whatever it is: it is for the caller
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)
        self._serving.pop(answer, None)

    async def _start(self) -> None:
        try:
            works = await self.gateway.start()
        except StoreUnavailable as error:
            self._say("cannot start", reason=error)
            self._end()
            return
        self._running = [self._run(work) for work in works]
        self.is_up = True
        self._say("is up")
        self._changed()

    async def _stop(self) -> None:
        await self.gateway.stop(self._running)
        self._say("has stopped")
        self._end()

    def _end(self) -> None:
        self.ended_at = self._loop.time()
        self.is_up = False
        self.database.die()
        for answer in self._serving:
            if not answer.done():
                answer.set_exception(ConnectionResetError())
        self._serving.clear()
        self._kept.clear()
        if not self.ended.done():
            self.ended.set_result(None)

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._loop.create_task(work, context=self._context.copy())

    def _say(self, what: str, **more: Any) -> None:
        self._trace.add(f"process {self.number}", what, **more)
