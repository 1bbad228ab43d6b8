"""A callback is applied by the process that claims it, and no other one claims it meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from tests.contract.stores import Backend, Stores, two_writers
from tests.examples import MAIN, OTHER
from tests.running import in_a_loop

from alir.receipts.ports import RawCallback
from alir.store.callbacks import CLAIM_SECONDS, LARGEST_PAGE, LARGEST_PAGE_BYTES

AN_HOUR = 3600.0


async def keep(
    store: Stores, *bodies: bytes, claim: bool = False, count: int = 1
) -> list[RawCallback]:
    bodies = bodies or (b"{}",) * count
    return [
        await store.callbacks.keep("cloud", [MAIN, OTHER], body, claim=claim) for body in bodies
    ]


async def pages(store: Stores) -> list[Sequence[RawCallback]]:
    """All that can be claimed."""
    claimed = []
    while page := await store.callbacks.claim():
        claimed.append(page)
    return claimed


@in_a_loop
async def test_what_nobody_claimed_is_claimed_as_it_came_and_only_once(database: Backend) -> None:
    async with two_writers(database) as (one, other):
        kept = await keep(one, b'{"object": 1}', b"\x00\xff\xfe", b"")

        assert await other.callbacks.claim() == kept
        assert await one.callbacks.claim() == ()
        assert await other.callbacks.claim() == ()


@in_a_loop
async def test_what_is_kept_by_a_process_that_applies_it_is_claimed_from_the_first(
    database: Backend,
) -> None:
    async with two_writers(database) as (one, other):
        kept = await keep(one, claim=True)
        one.clock.leap(CLAIM_SECONDS - 0.001)
        assert await other.callbacks.claim() == ()

        one.clock.leap(0.001)
        assert await other.callbacks.claim() == kept


@in_a_loop
async def test_a_claim_that_ran_out_is_taken_by_another_and_lasts_as_long(
    database: Backend,
) -> None:
    async with two_writers(database) as (one, other):
        kept = await keep(one)
        await one.callbacks.claim()
        one.clock.leap(CLAIM_SECONDS)
        assert await other.callbacks.claim() == kept

        one.clock.leap(CLAIM_SECONDS - 0.001)
        assert await one.callbacks.claim() == ()
        one.clock.leap(0.001)
        assert await one.callbacks.claim() == kept


@in_a_loop
async def test_what_is_applied_is_never_claimed(database: Backend) -> None:
    async with database.open() as store:
        applied, claimed_and_applied, left = await keep(store, count=3)
        await store.receipts.apply([], callback=applied.seq)
        assert await store.callbacks.claim() == [claimed_and_applied, left]
        await store.receipts.apply([], callback=claimed_and_applied.seq)
        store.clock.leap(AN_HOUR)
        assert await store.callbacks.claim() == [left]

        await store.callbacks.free(claimed=True)
        assert await store.callbacks.claim() == [left]


@pytest.mark.parametrize(
    ("count", "size", "longest"),
    [
        pytest.param(2 * LARGEST_PAGE + 1, 1, LARGEST_PAGE, id="small"),
        pytest.param(7, LARGEST_PAGE_BYTES // 3, 3, id="a third of a page each"),
        pytest.param(3, LARGEST_PAGE_BYTES, 1, id="a page each"),
        pytest.param(3, LARGEST_PAGE_BYTES + 1, 1, id="more than a page each"),
    ],
)
@in_a_loop
async def test_claims_come_in_pages_that_memory_has_room_for_oldest_first(
    database: Backend, count: int, size: int, longest: int
) -> None:
    async with database.open() as store:
        kept = await keep(store, *[b"x" * size] * count)
        await store.receipts.apply([], callback=kept[1].seq)
        claimed = await pages(store)

        assert [raw for page in claimed for raw in page] == [kept[0], *kept[2:]]
        assert max(len(page) for page in claimed) == longest


@in_a_loop
async def test_what_is_left_is_claimed_by_nobody_until_a_process_starts_and_then_once(
    database: Backend,
) -> None:
    async with two_writers(database) as (one, other):
        [broken] = await keep(one)
        await one.callbacks.claim()
        await one.callbacks.leave(broken.seq)
        [under_way] = await keep(one, claim=True)
        one.clock.leap(CLAIM_SECONDS - 1)
        assert await other.callbacks.claim() == ()

        await other.callbacks.free(claimed=False)
        assert await other.callbacks.claim() == [broken]
        await other.callbacks.leave(broken.seq)
        one.clock.leap(100 * 365 * 24 * AN_HOUR)
        assert await other.callbacks.claim() == [under_way]


@in_a_loop
async def test_who_is_alone_starts_with_all_that_is_not_applied_whoever_claimed_it(
    database: Backend,
) -> None:
    async with database.open() as store:
        claimed, left, free = await keep(store, claim=True, count=3)
        await store.callbacks.leave(left.seq)
        await store.callbacks.free(claimed=True)

        assert await store.callbacks.claim() == [claimed, left, free]


@in_a_loop
async def test_a_claim_by_a_clock_that_was_far_ahead_holds_up_nothing(database: Backend) -> None:
    async with two_writers(database) as (one, other):
        one.clock.leap(AN_HOUR)
        kept = await keep(one, claim=True)
        one.clock.set_back(AN_HOUR)

        assert await other.callbacks.claim() == kept


@pytest.mark.parametrize("seconds", [-CLAIM_SECONDS + 1, CLAIM_SECONDS])
@in_a_loop
async def test_clocks_that_differ_by_less_than_a_claim_leave_it_to_who_made_it(
    database: Backend, seconds: float
) -> None:
    async with two_writers(database) as (one, other):
        await keep(one, claim=True)
        one.clock.set_back(seconds)  # from now on it is the other's

        assert await other.callbacks.claim() == ()


# What is known and not applied

OLD = timedelta(seconds=3)


@in_a_loop
async def test_a_callback_that_nobody_applied_for_longer_is_found_whoever_claimed_it(
    database: Backend,
) -> None:
    async with two_writers(database) as (one, other):
        [kept] = await keep(one)
        one.clock.leap(OLD.total_seconds())
        assert not await other.callbacks.any_unapplied(longer_than=OLD)
        one.clock.leap(0.001)
        assert await other.callbacks.any_unapplied(longer_than=OLD)
        await one.callbacks.claim()
        assert await other.callbacks.any_unapplied(longer_than=OLD)
        await one.receipts.apply([], callback=kept.seq)
        assert not await other.callbacks.any_unapplied(longer_than=OLD)


@in_a_loop
async def test_a_callback_that_cannot_be_applied_is_not_waited_for(database: Backend) -> None:
    async with database.open() as store:
        [kept] = await keep(store)
        await store.callbacks.leave(kept.seq)
        store.clock.leap(AN_HOUR)
        assert not await store.callbacks.any_unapplied(longer_than=OLD)


@in_a_loop
async def test_a_callback_that_seems_to_be_kept_long_after_now_is_not_taken_for_a_young_one(
    database: Backend,
) -> None:
    async with database.open() as store:
        await keep(store)
        store.clock.set_back(AN_HOUR)
        assert await store.callbacks.any_unapplied(longer_than=OLD)
