"""Whoever takes a sender over learns to whom it sent lately, however much the others send."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import cast

import pytest
from tests.clock import START, FakeClock, idle
from tests.contract.stores import Backend, Stores
from tests.examples import MAIN, OTHER
from tests.running import in_a_loop

from alir.errors import StoreUnavailable
from alir.ids import SenderName
from alir.store import lately
from alir.store.database import Database
from alir.store.group import Work
from alir.store.lately import Lately

SECOND = timedelta(seconds=1)
NAMES = tuple(SenderName(f"shop{n}") for n in range(20))


class Slow:
    """A database that keeps back what it read until `open` is set.

    Attributes:
        reads: how many there were.
        broken: nothing can be read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.open = asyncio.Event()
        self._was_read = asyncio.Event()
        self.reads = 0
        self.broken = False

    async def read(self, work: Work[object]) -> object:
        found = await self._database.read(work)
        self.reads += 1
        self._was_read.set()
        await self.open.wait()
        if self.broken:
            raise StoreUnavailable("the disk is gone")
        return found

    async def was_read(self) -> None:
        """Return once it was read once more."""
        await self._was_read.wait()
        self._was_read.clear()


def reader(store: Stores) -> tuple[Lately, Slow]:
    slow = Slow(store.database)
    return Lately(cast(Database, slow)), slow


async def begun_to(store: Stores, to: str, sender: SenderName = MAIN) -> None:
    await store.begun(to=to, sender=sender)


@in_a_loop
async def test_each_learns_of_its_own_attempts_since_its_own_moment_in_their_order(
    database: Backend,
) -> None:
    clock = FakeClock()
    async with database.open(clock=clock) as store:
        await begun_to(store, "+12125550100")
        await clock.advance(1)
        await begun_to(store, "+12125550101", OTHER)
        await begun_to(store, "+12125550102")
        await clock.advance(1)
        await begun_to(store, "+12125550102")
        await store.begun(to=None, recipient="US.1", sender=OTHER)

        mine, others, later, nobodys = await asyncio.gather(
            store.messages.lately(MAIN, since=START + SECOND),
            store.messages.lately(OTHER, since=START),
            store.messages.lately(MAIN, since=START + 3 * SECOND),
            store.messages.lately(NAMES[0], since=START),
        )

        assert mine == [("+12125550102", START + SECOND), ("+12125550102", START + 2 * SECOND)]
        assert others == [("+12125550101", START + SECOND), ("US.1", START + 2 * SECOND)]
        assert (later, nobodys) == ([], [])


@in_a_loop
async def test_nothing_is_left_out_where_there_is_more_than_one_piece(
    database: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lately, "PIECE", 2)
    clock = FakeClock()
    expected = []
    async with database.open(clock=clock) as store:
        for n in range(3):
            for person in range(n + 3):  # of one moment, more than a piece holds
                to = f"+121255501{n}{person}"
                await begun_to(store, to)
                await begun_to(store, to, OTHER)
                expected.append((to, clock.now()))
            await clock.advance(1)

        found = await store.messages.lately(MAIN, since=START)

        assert sorted(found) == expected
        assert [at for _, at in found] == sorted(at for _, at in found)


@in_a_loop
async def test_twenty_senders_that_are_taken_over_at_once_cost_two_looks(
    database: Backend,
) -> None:
    async with database.open() as store:
        for number, name in enumerate(NAMES):
            await begun_to(store, f"+121255501{number:02}", name)
        reading, slow = reader(store)
        first = asyncio.create_task(reading.of(NAMES[0], since=START))
        await slow.was_read()
        rest = [asyncio.create_task(reading.of(name, since=START)) for name in NAMES[1:]]
        await idle()
        slow.open.set()

        found = await asyncio.gather(first, *rest)

        assert found == [[(f"+121255501{n:02}", START)] for n in range(len(NAMES))]
        assert slow.reads == 2


@in_a_loop
async def test_race_what_was_begun_while_another_looked_is_not_missed(database: Backend) -> None:
    async with database.open() as store:
        reading, slow = reader(store)
        looks = asyncio.create_task(reading.of(MAIN, since=START))
        await slow.was_read()
        await begun_to(store, "+12125550100", OTHER)
        asks = asyncio.create_task(reading.of(OTHER, since=START))
        slow.open.set()

        assert (await looks, await asks) == ([], [("+12125550100", START)])


@in_a_loop
async def test_race_who_is_cancelled_while_it_looks_for_all_costs_the_others_nothing(
    database: Backend,
) -> None:
    async with database.open() as store:
        await begun_to(store, "+12125550100")
        reading, slow = reader(store)
        looks, looks_next = (asyncio.create_task(reading.of(OTHER, since=START)) for _ in range(2))
        also = asyncio.create_task(reading.of(MAIN, since=START))
        for cancelled in (looks, looks_next):
            await slow.was_read()
            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
        slow.open.set()

        assert await also == [("+12125550100", START)]


@in_a_loop
async def test_where_it_cannot_be_read_all_who_asked_hear_it_and_whoever_asks_again_is_served(
    database: Backend,
) -> None:
    async with database.open() as store:
        await begun_to(store, "+12125550100")
        reading, slow = reader(store)
        slow.broken = True
        asking = [
            asyncio.create_task(reading.of(name, since=START)) for name in (MAIN, OTHER, *NAMES)
        ]
        await slow.was_read()
        slow.open.set()

        asked = await asyncio.gather(*asking, return_exceptions=True)

        assert {type(one) for one in asked} == {StoreUnavailable}
        assert slow.reads == 2

        slow.broken = False
        assert await reading.of(MAIN, since=START) == [("+12125550100", START)]
