"""A write that changes no row leaves nothing on disk, and waits for none."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from tests.contract.stores import Backend, PostgreSQL, SQLite, Stores
from tests.contract.test_postgresql import asked, cut
from tests.examples import MAIN, OTHER, a_message, begin_due
from tests.running import in_a_loop

from alir.errors import IdempotencyConflict
from alir.intake.ports import IdempotencyKey
from alir.messages import life
from alir.messages.model import Status
from alir.store import tables
from alir.store.bridge import wait_for
from alir.store.leases import LeaseStore
from alir.store.sql import Connection, run

KEY = IdempotencyKey("k", b"h" * 32)
_LASTS = timedelta(seconds=10)
_COUNT = select(func.count()).select_from(tables.message)


async def on_disk(database: Backend) -> object:
    """What a commit changes: the log of SQLite; of PostgreSQL, who wrote which group, and when."""
    match database:
        case SQLite():
            return database.path.with_name("alir.db-wal").read_bytes()
        case PostgreSQL():
            query = "SELECT array_agg((writer, number, xmin)::text) FROM commit_group"
            return await asked(database.url, query)
        case other:
            raise AssertionError(f"a backend that is not known: {other}")


async def _begin(store: Stores) -> None:
    assert not (await store.messages.begin(OTHER, limit=10, judge=begin_due)).messages


async def _let_wait(store: Stores) -> None:
    begun = await store.messages.begin(MAIN, limit=10, judge=lambda *_, **__: None)
    assert not begun.messages


async def _repeat(store: Stores) -> None:
    assert (await store.messages.accept(a_message(), KEY)).replayed


async def _repeat_with_another_body(store: Stores) -> None:
    with pytest.raises(IdempotencyConflict):
        await store.messages.accept(a_message(), IdempotencyKey(KEY.key, b"x" * 32))


async def _take_what_is_held(store: Stores) -> None:
    assert await LeaseStore(store.database, store.clock).take(MAIN, "another", _LASTS) is None


async def _decide_nothing(store: Stores) -> None:
    await store.messages.change(store.changed[0].id, lambda _: None)


async def _free_no_callback(store: Stores) -> None:
    await store.callbacks.free(claimed=True)


@pytest.mark.parametrize(
    "deed",
    [
        pytest.param(_begin, id="a begin of an empty line"),
        pytest.param(_let_wait, id="a begin of what has to wait"),
        pytest.param(_repeat, id="a key that comes again"),
        pytest.param(_repeat_with_another_body, id="a key that comes with another body"),
        pytest.param(_take_what_is_held, id="a lease that another process holds"),
        pytest.param(_decide_nothing, id="a change that is none"),
        pytest.param(_free_no_callback, id="no callback to free"),
    ],
)
@in_a_loop
async def test_what_changes_nothing_leaves_nothing_on_disk(
    database: Backend, deed: Callable[[Stores], Awaitable[None]]
) -> None:
    async with database.open() as store:
        await store.messages.accept(a_message(), KEY)
        assert await LeaseStore(store.database, store.clock).take(MAIN, "one", _LASTS) is not None
        before = await on_disk(database)

        await deed(store)
        assert await on_disk(database) == before

        await store.accepted()
        assert await on_disk(database) != before


@in_a_loop
async def test_who_only_reads_and_who_writes_share_one_commit(database: Backend) -> None:
    query = select(func.max(tables.commit_group.c.number))
    message = a_message()
    async with database.open() as store:
        await store.accepted()
        [[before]] = await store.database.read(lambda c: run(c, query).fetchall())
        begun, stored, repeated = await asyncio.gather(
            store.messages.begin(OTHER, limit=10, judge=begin_due),
            store.messages.accept(message, KEY),
            store.messages.accept(a_message(), KEY),
        )
        [[after]] = await store.database.read(lambda c: run(c, query).fetchall())

        assert after == before + 1
        assert (begun.messages, stored.replayed, repeated.replayed) == ((), False, True)
        assert repeated.message.id == message.id
        assert await store.is_there(message)


@in_a_loop
async def test_what_follows_a_write_that_changed_nothing_is_stored(database: Backend) -> None:
    async with database.open() as store:
        for _ in range(3):
            await _begin(store)
            message = await store.begun()
            cancelled = await store.messages.change((await store.accepted()).id, life.cancel)
            assert await store.is_there(message)
            assert cancelled.status is Status.CANCELLED


@in_a_loop
async def test_a_connection_that_is_lost_before_a_write_ends_that_only_read_is_not_noticed(
    database: Backend,
) -> None:
    runs = 0

    def work(connection: Connection) -> int:
        nonlocal runs
        runs += 1
        [[count]] = run(connection, _COUNT).fetchall()
        if runs == 1:
            if isinstance(database, PostgreSQL):
                assert wait_for(cut(database.url)) >= 1
            else:
                assert isinstance(connection, sqlite3.Connection)
                connection.close()
        return int(count)

    async with database.open() as store:
        await store.accepted()
        assert await store.database.write(work) == 1
        assert runs == 2
        assert await store.is_there(await store.accepted())


@in_a_loop
async def test_a_sweep_that_finds_nothing_shows_that_the_disk_takes_writes(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.accepted()
        before = await on_disk(database)
        await store.receipts.sweep(keep=timedelta(days=7))

        assert await on_disk(database) != before


@in_a_loop
async def test_a_database_is_tried_out_by_a_row_on_disk(database: Backend) -> None:
    async with database.open() as store:
        await store.accepted()
        before = await on_disk(database)
        await store.database.try_out()

        assert await on_disk(database) != before
