"""The leases of senders: one process's at a time, and what is begun under an old one is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from tests.contract.stores import ROUNDS, Backend, Stores, two_writers
from tests.examples import MAIN, OTHER, a_message, begin_due
from tests.running import in_a_loop

from alir.dispatch.lease import LeaseRow, Part
from alir.errors import LeaseLost
from alir.ids import Fence, SenderName
from alir.messages import life
from alir.messages.model import Status
from alir.store.leases import LeaseStore

LASTS = timedelta(seconds=8)


@asynccontextmanager
async def two(database: Backend) -> AsyncIterator[tuple[Stores, Stores, LeaseStore, LeaseStore]]:
    """The stores of two processes on one database, and their leases."""
    async with two_writers(database) as (one, other):
        yield one, other, LeaseStore(one.database, one.clock), LeaseStore(other.database, one.clock)


def part(*senders: SenderName, takes: bool = True, applies: bool = True) -> Part:
    return Part(senders, takes_callbacks=takes, applies_callbacks=applies)


async def taken(leases: LeaseStore, process: str) -> Fence:
    lease = await leases.take(MAIN, process, LASTS)
    assert lease is not None
    return lease.fence


@in_a_loop
async def test_a_lease_is_one_processs_until_it_is_over(database: Backend) -> None:
    async with two(database) as (store, _, one, other):
        first = await one.take(MAIN, "one", LASTS)
        assert first is not None
        assert (first.fence, first.was_left, first.wait) == (Fence(MAIN, 1), False, timedelta())

        assert await other.take(MAIN, "other", LASTS) is None
        store.clock.leap(7.999)
        assert await other.take(MAIN, "other", LASTS) is None
        store.clock.leap(0.001)
        second = await other.take(MAIN, "other", LASTS)
        assert second is not None
        assert second.fence == Fence(MAIN, 2)
        assert second.was_left
        assert second.wait == timedelta(seconds=1)


@in_a_loop
async def test_a_process_that_takes_anew_what_it_holds_has_nobody_to_wait_for(
    database: Backend,
) -> None:
    async with two(database) as (_store, _, one, _other):
        await taken(one, "one")
        again = await one.take(MAIN, "one", LASTS)
        assert again is not None
        assert (again.fence.number, again.wait, again.was_left) == (2, timedelta(), False)


@in_a_loop
async def test_a_lease_that_is_renewed_goes_on_and_the_process_with_it(database: Backend) -> None:
    async with two(database) as (store, _, one, other):
        await one.renew("one", part(MAIN, OTHER), LASTS)
        await taken(one, "one")
        store.clock.leap(5)
        view = await one.renew("one", part(MAIN), LASTS)
        assert view.leases[MAIN] == LeaseRow(1, view.now + 8_000, "one")
        assert view.alive == {"one": (MAIN,)}

        store.clock.leap(5)
        assert await other.take(MAIN, "other", LASTS) is None
        assert (await other.look()).alive == {"one": (MAIN,)}
        store.clock.leap(3.001)
        assert (await other.look()).alive == {}


@in_a_loop
async def test_who_is_gone_keeps_nothing_for_longer_where_the_clock_was_set_back(
    database: Backend,
) -> None:
    async with two(database) as (store, _, one, other):
        await one.renew("one", part(MAIN), LASTS)
        await taken(one, "one")
        store.clock.set_back(600)
        await other.renew("other", part(MAIN), LASTS)

        store.clock.leap(7.999)
        assert "one" in (await other.look()).alive
        assert await other.take(MAIN, "other", LASTS) is None
        store.clock.leap(0.001)
        assert "one" not in (await other.look()).alive
        taken_over = await other.take(MAIN, "other", LASTS)
        assert taken_over is not None
        assert (taken_over.was_left, taken_over.wait) == (True, timedelta(seconds=1))


@in_a_loop
async def test_who_lives_keeps_what_it_has_where_the_clock_was_set_back(database: Backend) -> None:
    async with two(database) as (store, _, one, other):
        await one.renew("one", part(MAIN), LASTS)
        await taken(one, "one")
        store.clock.set_back(600)
        for _ in range(5):
            await other.renew("other", part(MAIN), LASTS)
            store.clock.leap(7)
            view = await one.renew("one", part(MAIN), LASTS)
            assert view.leases[MAIN] == LeaseRow(1, view.now + 8_000, "one")
            assert {"one", "other"} == view.alive.keys()


@in_a_loop
async def test_a_process_whose_leases_last_longer_keeps_them_beside_others(
    database: Backend,
) -> None:
    async with two(database) as (store, _, one, other):
        await one.renew("one", part(MAIN), 4 * LASTS)
        assert await one.take(MAIN, "one", 4 * LASTS) is not None
        await other.renew("other", part(MAIN), LASTS)
        store.clock.leap(31)
        assert await other.take(MAIN, "other", LASTS) is None


@in_a_loop
async def test_what_was_let_go_of_before_the_clock_was_set_back_is_not_waited_for_long(
    database: Backend,
) -> None:
    async with two(database) as (store, _, one, other):
        await taken(one, "one")
        await one.release(MAIN, "one")
        store.clock.set_back(600)
        second = await other.take(MAIN, "other", LASTS)
        assert second is not None
        assert second.wait == LASTS + timedelta(seconds=1)


@in_a_loop
async def test_a_lease_that_was_let_go_of_is_free_at_once_and_waits_from_then(
    database: Backend,
) -> None:
    async with two(database) as (store, _, one, other):
        await one.renew("one", part(MAIN), LASTS)
        await taken(one, "one")
        await one.release(MAIN, "one")
        await one.leave("one")
        store.clock.leap(0.25)
        view = await other.look()
        assert (view.leases[MAIN].holder, view.alive) == (None, {})

        second = await other.take(MAIN, "other", LASTS)
        assert second is not None
        assert second.wait == timedelta(seconds=0.75)
        assert not second.was_left


@in_a_loop
async def test_nobody_lets_go_of_anothers_lease(database: Backend) -> None:
    async with two(database) as (store, _, one, other):
        await taken(one, "one")
        store.clock.leap(9)
        fence = await taken(other, "other")
        await one.release(MAIN, "one")
        await one.renew("one", part(MAIN), LASTS)

        view = await other.look()
        assert (view.leases[MAIN].holder, view.leases[MAIN].fence) == ("other", fence.number)


@in_a_loop
async def test_nothing_is_begun_under_a_lease_that_was_taken_over(database: Backend) -> None:
    async with two(database) as (old, new, one, other):
        message = await old.accepted()
        fallen = await taken(one, "one")
        old.clock.leap(8)
        fence = await taken(other, "other")

        with pytest.raises(LeaseLost):
            await old.messages.begin(MAIN, limit=9, judge=begin_due, fence=fallen)
        assert (await old.messages.get(message.id)).attempts == ()
        begun = await new.messages.begin(MAIN, limit=9, judge=begin_due, fence=fence)
        assert [one.id for one in begun.messages] == [message.id]


@in_a_loop
async def test_nothing_is_begun_under_a_lease_that_was_let_go_of(database: Backend) -> None:
    async with two(database) as (store, _, one, _other):
        await store.accepted()
        fence = await taken(one, "one")
        await one.release(MAIN, "one")
        with pytest.raises(LeaseLost):
            await store.messages.begin(MAIN, limit=9, judge=begin_due, fence=fence)


@in_a_loop
async def test_a_message_is_stored_and_not_begun_where_its_lease_was_taken_over(
    database: Backend,
) -> None:
    async with two(database) as (old, _new, one, other):
        fallen = await taken(one, "one")
        now = old.clock.now()
        fields = {"created_at": now, "due_at": now, "first_due_at": now}
        begun = await old.messages.accept(a_message(**fields), None, begin=True, fence=fallen)
        assert begun.message.status is Status.SENDING
        old.clock.leap(8)
        await taken(other, "other")

        stored = await old.messages.accept(a_message(**fields), None, begin=True, fence=fallen)
        assert (stored.message.status, stored.message.attempts) == (Status.QUEUED, ())
        assert await old.messages.get(stored.message.id) == stored.message


@in_a_loop
async def test_nothing_is_decided_under_a_lease_that_was_taken_over(database: Backend) -> None:
    async with two(database) as (old, _new, one, other):
        message = await old.accepted()
        fallen = await taken(one, "one")
        old.clock.leap(8)
        await taken(other, "other")

        after = await old.messages.change(message, life.cancel, fence=fallen)
        assert after.status is Status.QUEUED


@in_a_loop
async def test_a_view_tells_whether_anybody_takes_callbacks_or_applies_them(
    database: Backend,
) -> None:
    async with two(database) as (store, _, one, other):
        seen = []

        async def look() -> None:
            view = await other.look()
            seen.append((view.callbacks_taken, view.callbacks_applied))

        await look()
        await one.renew("front", part(takes=True, applies=False), LASTS)
        await look()
        await one.renew("relay", part(takes=False, applies=True), LASTS)
        await look()
        await one.leave("front")
        await look()
        store.clock.leap(8)
        await look()
        assert seen == [(False, False), (True, False), (True, True), (False, True), (False, False)]


@in_a_loop
async def test_race_of_two_processes_that_take_a_lease(database: Backend) -> None:
    async with two(database) as (store, _, one, other):
        for round_ in range(ROUNDS):
            both = [one.take(MAIN, "one", LASTS), other.take(MAIN, "other", LASTS)]
            results = await asyncio.gather(*(both if round_ % 2 else reversed(both)))
            assert [lease is None for lease in results].count(False) == 1
            [won] = [lease for lease in results if lease is not None]
            assert won.fence.number == round_ + 1
            store.clock.leap(8)


@in_a_loop
async def test_race_of_a_begin_and_a_take_over(database: Backend) -> None:
    async with two(database) as (old, new, one, other):
        fence = await taken(one, "one")
        for round_ in range(ROUNDS):
            message = await old.accepted()
            old.clock.leap(8)
            begin = old.messages.begin(MAIN, limit=1, judge=begin_due, fence=fence)
            take = other.take(MAIN, "other", LASTS)
            deeds = (begin, take) if round_ % 2 else (take, begin)
            results = await asyncio.gather(*deeds, return_exceptions=True)
            errors = [result for result in results if isinstance(result, BaseException)]
            assert all(isinstance(error, LeaseLost) for error in errors), errors
            took = await other.take(MAIN, "other", LASTS)  # one whose begin was under way
            assert took is not None

            with pytest.raises(LeaseLost):
                await old.messages.begin(MAIN, limit=1, judge=begin_due, fence=fence)
            await new.messages.begin(MAIN, limit=1, judge=begin_due, fence=took.fence)
            stands = await new.messages.get(message.id)
            assert [attempt.number for attempt in stands.attempts] == [1]
            old.clock.leap(8)
            fence = await taken(one, "one")


@in_a_loop
async def test_time_is_the_databases_where_no_clock_is_handed_in(database: Backend) -> None:
    async with database.open() as store:
        leases = LeaseStore(store.database)
        before = (await leases.look()).now
        view = await leases.renew("one", part(), LASTS)
        assert before <= view.now <= before + 60_000
        assert before > 1_700_000_000_000
