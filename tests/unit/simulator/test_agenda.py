from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.unit.simulator.doubles import FakeClock, settle

from alir.simulator.agenda import BURST, Agenda


def with_agenda(story: Callable[[Agenda, FakeClock], Awaitable[None]]) -> None:
    async def run() -> None:
        clock = FakeClock()
        agenda = Agenda(clock)
        work = asyncio.create_task(agenda.run())
        await settle()
        try:
            await story(agenda, clock)
        finally:
            work.cancel()
            await asyncio.wait([work])

    asyncio.run(run())


def test_actions_happen_in_the_order_of_their_times_not_of_their_entering() -> None:
    async def story(agenda: Agenda, clock: FakeClock) -> None:
        done: list[tuple[str, float]] = []
        for name, after in [("late", 2.0), ("soon", 0.5), ("between", 1.0)]:
            agenda.after(after, lambda name=name: done.append((name, clock.elapsed())))  # type: ignore[misc]
        await clock.advance(3)
        assert done == [("soon", 0.5), ("between", 1.0), ("late", 2.0)]

    with_agenda(story)


def test_something_sooner_that_is_entered_during_a_nap_ends_the_nap() -> None:
    async def story(agenda: Agenda, clock: FakeClock) -> None:
        done: list[float] = []
        agenda.after(60, lambda: done.append(clock.elapsed()))
        await settle()
        agenda.after(1, lambda: done.append(clock.elapsed()))
        await clock.advance(2)
        assert done == [1.0]

    with_agenda(story)


def test_what_is_due_now_needs_no_time_to_pass() -> None:
    async def story(agenda: Agenda, clock: FakeClock) -> None:
        done: list[float] = []
        agenda.after(0, lambda: done.append(clock.elapsed()))
        await settle()
        assert done == [0.0]

    with_agenda(story)


def test_an_action_may_enter_another() -> None:
    async def story(agenda: Agenda, clock: FakeClock) -> None:
        done: list[float] = []

        def again() -> None:
            done.append(clock.elapsed())
            if len(done) < 3:
                agenda.after(1, again)

        agenda.after(1, again)
        await clock.advance(10)
        assert done == [1.0, 2.0, 3.0]

    with_agenda(story)


def test_many_actions_due_at_once_let_other_tasks_run_between() -> None:
    async def story(agenda: Agenda, clock: FakeClock) -> None:
        done: list[int] = []
        seen: list[int] = []
        for i in range(3 * BURST):
            agenda.after(1, lambda i=i: done.append(i))  # type: ignore[misc]

        async def other() -> None:
            while len(done) < 3 * BURST:
                seen.append(len(done))
                await asyncio.sleep(0)

        watching = asyncio.create_task(other())
        await clock.advance(1)
        await watching
        assert {BURST, 2 * BURST} <= set(seen)

    with_agenda(story)
