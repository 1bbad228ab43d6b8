"""A long line is looked at from its head on; who comes to stand before it is found all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.clock import START
from tests.contract.stores import Backend, Stores
from tests.examples import MAIN, begin_due
from tests.running import in_a_loop

from alir.dispatch.ports import Begun
from alir.messages.model import Message, Priority
from alir.store import starts
from alir.store.starts import SLACK, WHOLE_SECONDS

LONG = 4
#: As after a clock was set back.
LONG_AGO = START - timedelta(hours=1)


@pytest.fixture(autouse=True)
def soon_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is long once four went of it."""
    monkeypatch.setattr(starts, "LONG", LONG)


async def two(store: Stores) -> Begun:
    return await store.messages.begin(MAIN, limit=2, judge=begin_due)


async def in_line(store: Stores, count: int) -> list[Message]:
    return [await store.accepted() for _ in range(count)]


def ids(*messages: Message) -> list[str]:
    return [message.id for message in messages]


@in_a_loop
async def test_a_long_line_goes_in_its_order_to_its_end(database: Backend) -> None:
    async with database.open() as store:
        line = await in_line(store, 9)
        begun = [await two(store) for _ in range(6)]

        assert [id_ for one in begun for id_ in ids(*one.messages)] == ids(*line)
        assert [one.more for one in begun] == [True] * 5 + [False]


@in_a_loop
async def test_who_comes_to_stand_before_a_long_line_is_next_within_ten_seconds(
    database: Backend,
) -> None:
    async with database.open() as store:
        line = await in_line(store, 12)
        for _ in range(2):
            await two(store)
        early = await store.accepted(created_at=LONG_AGO, due_at=LONG_AGO, first_due_at=LONG_AGO)

        hidden = await two(store)
        store.clock.leap(WHOLE_SECONDS)
        found = await two(store)

        assert ids(*hidden.messages) == ids(*line[4:6])
        assert ids(*found.messages) == ids(early, line[6])


@in_a_loop
async def test_a_long_line_is_not_at_its_end_while_somebody_may_stand_before_it(
    database: Backend,
) -> None:
    async with database.open() as store:
        await in_line(store, 6)
        for _ in range(2):
            await two(store)
        early = await store.accepted(created_at=LONG_AGO, due_at=LONG_AGO, first_due_at=LONG_AGO)
        begun = [await two(store) for _ in range(3)]

        assert [len(one.messages) for one in begun] == [2, 0, 1]
        assert ids(*begun[2].messages) == [early.id]
        assert [one.more for one in begun] == [True, True, False]


@in_a_loop
async def test_a_little_before_the_head_of_a_long_line_anybody_is_seen_at_once(
    database: Backend,
) -> None:
    just_before = START - SLACK
    async with database.open() as store:
        await in_line(store, 8)
        for _ in range(2):
            await two(store)
        other = await store.accepted(
            created_at=just_before, due_at=just_before, first_due_at=just_before
        )

        begun = await two(store)

        assert begun.messages[0].id == other.id


@in_a_loop
async def test_a_class_in_which_nobody_stood_is_seen_beside_a_long_line(
    database: Backend,
) -> None:
    async with database.open() as store:
        for _ in range(8):
            await store.accepted(priority=Priority.BULK)
        for _ in range(2):
            await two(store)
        single = await store.accepted()

        begun = await two(store)

        assert begun.messages[0].id == single.id
