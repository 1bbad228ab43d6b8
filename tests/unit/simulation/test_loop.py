"""The virtual loop: time passes only while nothing is ready, and the dead do nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextvars import Context
from typing import Any

import pytest
from simulation.loop import OWNER, Deadlock, Step, VirtualLoop


class Somebody:
    """Runs steps while it lives, and counts them."""

    def __init__(self) -> None:
        self.lives = True
        self.steps = 0

    def may_run(self, _step: Step) -> bool:
        self.steps += self.lives
        return self.lives


def run_as(loop: VirtualLoop, owner: Somebody, work: Coroutine[Any, Any, None]) -> None:
    """Have `owner` do it, as soon as the loop runs."""
    context = Context()
    context.run(OWNER.set, owner)
    loop.create_task(work, context=context)


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop(lambda ended: ended.reverse())
    yield loop
    loop.bury()
    loop.close()


def test_time_passes_while_nothing_is_ready_and_not_before(loop: VirtualLoop) -> None:
    seen: list[tuple[str, float]] = []

    async def work(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        for _ in range(3):
            await asyncio.sleep(0)
        seen.append((name, loop.time()))

    async def both() -> None:
        await asyncio.gather(work("late", 3600.0), work("early", 1.5))

    loop.run_until_complete(both())

    assert seen == [("early", 1.5), ("late", 3600.0)]


def test_what_ends_at_the_same_moment_comes_in_the_order_that_is_drawn(loop: VirtualLoop) -> None:
    seen: list[int] = []

    async def work() -> None:
        for number in range(3):
            loop.call_later(1.0, seen.append, number)
        await asyncio.sleep(2.0)

    loop.run_until_complete(work())

    assert seen == [2, 1, 0]


def test_what_is_ready_runs_in_its_order_as_asyncio_promises(loop: VirtualLoop) -> None:
    seen: list[int] = []

    async def work() -> None:
        for number in range(3):
            loop.call_soon(seen.append, number)
        await asyncio.sleep(0)

    loop.run_until_complete(work())

    assert seen == [0, 1, 2]


def test_the_dead_run_no_step_more_and_neither_does_what_they_began(loop: VirtualLoop) -> None:
    somebody = Somebody()
    seen: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(1.0)
        finally:
            seen.append("the child ends")

    async def parent() -> None:
        begun = asyncio.create_task(child())
        seen.append("begun")
        await begun
        seen.append("the parent ends")

    run_as(loop, somebody, parent())

    async def world() -> None:
        await asyncio.sleep(0.5)
        somebody.lives = False
        await asyncio.sleep(10.0)

    loop.run_until_complete(world())

    assert seen == ["begun"]
    assert somebody.steps > 0


def test_a_world_in_which_nothing_can_happen_any_more_says_so(loop: VirtualLoop) -> None:
    async def waits_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        loop.run_until_complete(waits_for_ever())
