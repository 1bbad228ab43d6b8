"""How many messages are queued is counted by the writes that change it, and never drifts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from tests.contract.stores import Backend, Stores
from tests.contract.test_forgetting import forget
from tests.examples import MAIN, OTHER, a_message, begin_due
from tests.running import in_a_loop

from alir.errors import TooLate
from alir.intake.ports import IdempotencyKey, New
from alir.messages import life
from alir.messages.model import Message, Outcome
from alir.store import tables
from alir.store.sql import run


async def assert_counted(store: Stores, **queued: int) -> None:
    """The count says so, and so do the messages themselves."""
    message = tables.message.c
    query = (
        select(message.sender, func.count())
        .where(message.status == "queued")
        .group_by(message.sender)
    )
    rows = await store.database.read(lambda connection: run(connection, query).fetchall())
    assert {sender: count for sender, count in rows if count} == queued
    counted = await store.messages.queued()
    assert {sender: count for sender, count in counted.items() if count} == queued


async def cancel(store: Stores, message: Message) -> None:
    await store.messages.change(message, life.cancel)


@in_a_loop
async def test_whatever_is_stored_to_wait_is_counted(database: Backend) -> None:
    later = a_message().due_at + timedelta(days=1)
    async with database.open() as store:
        await assert_counted(store)
        await store.accepted()
        await store.accepted(sender=OTHER)
        await store.messages.accept(a_message(), IdempotencyKey("a", b"h" * 32))
        await store.messages.accept(a_message(), IdempotencyKey("a", b"h" * 32))
        await store.messages.accept(a_message(parked="recipient 1"), None)
        await store.messages.accept(a_message(send_at=later, due_at=later), None)
        await store.messages.accept_all([New(a_message()), New(a_message(sender=OTHER))])

        await assert_counted(store, main=5, other=2)


@in_a_loop
async def test_what_is_begun_as_it_is_stored_never_was_queued(database: Backend) -> None:
    async with database.open() as store:
        await store.messages.accept(a_message(), None, begin=True)

        await assert_counted(store)


@in_a_loop
async def test_what_leaves_the_queue_or_comes_back_is_counted(database: Backend) -> None:
    async with database.open() as store:
        now = store.clock.now()
        messages = [await store.accepted() for _ in range(4)]
        await store.accepted(sender=OTHER)
        begun = (await store.messages.begin(MAIN, limit=3, judge=begin_due)).messages
        await assert_counted(store, main=1, other=1)

        await store.settle(begun[0], Outcome.ACCEPTED, provider_id="wamid.1")
        failed = await store.settle(begun[1], Outcome.REFUSED, error=life.error("x", "X"))
        await assert_counted(store, main=1, other=1)

        await store.settle(begun[2], Outcome.BUSY, due_at=now + timedelta(minutes=1))
        await assert_counted(store, main=2, other=1)

        await store.messages.change(failed, lambda m: life.retry(m, now=now))
        await assert_counted(store, main=3, other=1)

        await cancel(store, messages[3])
        await cancel(store, await store.messages.get(messages[3].id))  # again: nothing changes
        await assert_counted(store, main=2, other=1)


@in_a_loop
async def test_what_expires_leaves_the_queue(database: Backend) -> None:
    async with database.open() as store:
        soon = store.clock.now() + timedelta(minutes=1)
        await store.accepted(expires_at=soon)
        message = await store.accepted(expires_at=soon)
        store.clock.leap(120)
        await store.messages.change(message, lambda m: life.expire(m, now=store.clock.now()))
        await assert_counted(store, main=1)

        def judge(
            message: Message, *, window_shut: bool, head_of: str | None = None
        ) -> life.Change | None:
            return life.expire(message, now=store.clock.now())

        await store.messages.begin(MAIN, limit=1, judge=judge)
        await assert_counted(store)


@in_a_loop
async def test_a_change_that_was_refused_counts_for_nothing(database: Backend) -> None:
    async with database.open() as store:
        message = await store.accepted()
        await cancel(store, message)
        with pytest.raises(TooLate):
            await store.messages.change(message.id, lambda m: life.begin(m, now=m.due_at))
        await assert_counted(store)


@in_a_loop
async def test_whoever_owns_the_database_next_counts_anew(database: Backend) -> None:
    async with database.open() as store:
        for _ in range(3):
            await store.accepted()
        wrong = tables.queue_count.update().values(queued=70)
        await store.database.write(lambda connection: run(connection, wrong) and None)
        assert await store.messages.queued() == {MAIN: 70}
    async with database.open() as store:
        await assert_counted(store, main=3)


@in_a_loop
async def test_what_is_removed_with_a_person_is_counted_no_more(database: Backend) -> None:
    async with database.open() as store:
        await store.accepted(to="+15551230001")
        await store.accepted(to="+15551230002")
        await forget(store, "15551230001")

        await assert_counted(store, main=1)
