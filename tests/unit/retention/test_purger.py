"""When purging is done, in how small steps, and what becomes of a fault."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from tests.clock import FakeClock
from tests.running import in_a_loop

from alir.errors import StoreUnavailable
from alir.retention.model import KeptFor, Kind
from alir.retention.ports import Place, Stretch
from alir.retention.purger import (
    AGAIN_SECONDS,
    FIRST_SECONDS,
    PAUSE_SECONDS,
    PERIOD_SECONDS,
    REST_FACTOR,
    STEP_MESSAGES,
    STEP_ROWS,
    Purger,
)

DAY = timedelta(days=1)
KEPT = KeptFor(messages=DAY, events=DAY, callbacks=None, contacts=None)


@dataclass
class Numbered:
    """A store with this many old things of each kind, numbered from 1, that notes each removal."""

    clock: FakeClock
    old: dict[Kind, int]
    step_seconds: float = 0.0
    error: Exception | None = None
    removals: list[tuple[float, Kind, int]] = field(default_factory=list)

    async def look(
        self, kind: Kind, *, before: datetime, after: Place | None, limit: int
    ) -> Stretch:
        begin = after[0] if after else 0
        end = min(self.old.get(kind, 0), begin + limit)
        return Stretch((end,), old=end - begin, more=end < self.old.get(kind, 0))

    async def remove(
        self, kind: Kind, *, before: datetime, after: Place | None, upto: Place
    ) -> int:
        if self.error is not None:
            raise self.error
        count: int = upto[0] - (after[0] if after else 0)
        self.removals.append((self.clock.elapsed(), kind, count))
        self.clock.leap(self.step_seconds)
        return count


async def run_for(purger: Purger, clock: FakeClock, *seconds: float) -> None:
    """Let it run, while so much time passes."""
    task = asyncio.create_task(purger.run())
    for each in seconds:
        await clock.advance(each)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@in_a_loop
async def test_it_purges_soon_after_a_start_and_then_once_a_day() -> None:
    clock = FakeClock()
    store = Numbered(clock, {Kind.EVENTS: 1})
    await run_for(Purger(store, clock, KEPT), clock, FIRST_SECONDS - 1, 1, 2 * PERIOD_SECONDS + 1)

    begun = [at for at, _, _ in store.removals]
    assert begun == pytest.approx(
        [FIRST_SECONDS, FIRST_SECONDS + PERIOD_SECONDS, FIRST_SECONDS + 2 * PERIOD_SECONDS], abs=1
    )


@in_a_loop
async def test_each_step_is_small_and_rests_before_the_next_one() -> None:
    clock = FakeClock()
    store = Numbered(clock, {Kind.MESSAGES: 3 * STEP_MESSAGES, Kind.EVENTS: STEP_ROWS + 1})
    await run_for(Purger(store, clock, KEPT), clock, FIRST_SECONDS + 60)

    assert [(kind, count) for _, kind, count in store.removals] == [
        *[(Kind.MESSAGES, STEP_MESSAGES)] * 3,
        (Kind.EVENTS, STEP_ROWS),
        (Kind.EVENTS, 1),
    ]
    begun = [at for at, _, _ in store.removals]
    pauses = [after - before for before, after in pairwise(begun)]
    assert pauses == pytest.approx([PAUSE_SECONDS] * 4)


@in_a_loop
async def test_where_a_step_takes_long_the_rest_is_longer_too() -> None:
    clock = FakeClock()
    store = Numbered(clock, {Kind.MESSAGES: 2 * STEP_MESSAGES}, step_seconds=1.0)
    await run_for(Purger(store, clock, KEPT), clock, FIRST_SECONDS + 60)

    [first, second] = [at for at, _, _ in store.removals]
    assert second - first == pytest.approx(1 + REST_FACTOR)


@pytest.mark.parametrize(
    ("error", "again_after"),
    [
        pytest.param(StoreUnavailable("it is full"), AGAIN_SECONDS, id="the store"),
        pytest.param(RuntimeError("a fault"), PERIOD_SECONDS, id="a fault"),
    ],
)
@in_a_loop
async def test_after_a_failure_it_goes_on_another_time(
    error: Exception, again_after: float
) -> None:
    clock = FakeClock()
    store = Numbered(clock, {Kind.EVENTS: 1}, error=error)
    purger = Purger(store, clock, KEPT)
    task = asyncio.create_task(purger.run())
    await clock.advance(FIRST_SECONDS)
    store.error = None
    await clock.advance(again_after - 1)
    assert store.removals == []
    await clock.advance(1)
    assert len(store.removals) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
