"""What filters select is cancelled or retried, each message by a write of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.clock import Restless
from tests.contract.stores import Backend, Stores
from tests.examples import FLOW, MAIN, OTHER, begin_due
from tests.running import in_a_loop

from alir.intake import selection
from alir.intake.ports import Filters
from alir.intake.selection import Selection, Step
from alir.messages import life
from alir.messages.model import Message, Outcome, Status
from alir.retention.model import KeptFor
from alir.retention.purger import Purger


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few messages take many steps."""
    monkeypatch.setattr(selection, "PLACES", 3)
    monkeypatch.setattr(selection, "TOGETHER", 2)


async def done(steps: AsyncIterator[Step]) -> tuple[int, int]:
    changed = skipped = 0
    async for step in steps:
        changed += step.changed
        skipped += step.skipped
    return changed, skipped


async def cancelled(store: Stores, **filters: Any) -> tuple[int, int]:
    return await done(Selection(store.messages, store.clock).cancel(Filters(**filters)))


async def retried(store: Stores, **filters: Any) -> tuple[int, int]:
    return await done(Selection(store.messages, store.clock).retry(Filters(**filters)))


async def status(store: Stores, message: Message) -> Status:
    return (await store.messages.get(message.id)).status


async def failed(store: Stores, **fields: Any) -> Message:
    message = await store.begun(**fields)
    return await store.settle(message, Outcome.REFUSED, error=life.error("x", "X"))


@in_a_loop
async def test_all_that_is_queued_is_cancelled_and_nothing_else(database: Backend) -> None:
    async with database.open() as store:
        gone = await store.sent()
        unknown = await store.begun()
        await store.settle(unknown, Outcome.UNKNOWN, error=life.error("x", "X"))
        waiting = [await store.accepted() for _ in range(8)]

        assert await cancelled(store, sender=MAIN) == (9, 1)

        assert {await status(store, message) for message in waiting} == {Status.CANCELLED}
        assert await status(store, unknown) is Status.FAILED
        assert await status(store, gone) is Status.ACCEPTED
        assert await store.event_types(waiting[0].id) == ["message.queued", "message.cancelled"]
        assert await cancelled(store, sender=MAIN) == (0, 10)  # as after a crash


@in_a_loop
async def test_all_that_failed_or_is_unknown_is_queued_once_more_in_its_order(
    database: Backend,
) -> None:
    async with database.open() as store:
        again = [await failed(store) for _ in range(5)]
        unknown = await store.begun()
        await store.settle(unknown, Outcome.UNKNOWN, error=life.error("x", "X"))
        await store.sent()

        assert await retried(store, until=store.clock.now() + timedelta(seconds=1)) == (6, 1)

        begun = (await store.messages.begin(MAIN, limit=10, judge=begin_due)).messages
        assert [m.id for m in begun] == [m.id for m in (*again, unknown)]
        assert [m.flags for m in begun] == [()] * 5 + [("resent",)]


@pytest.mark.parametrize(
    "filters",
    [
        {"status": "queued"},
        {"to": "+15551230009"},
        {"flow_id": "7"},
        {"flow_token": "mine"},
        {"sender": "other"},
        {"senders": ("other",)},
    ],
    ids=str,
)
@in_a_loop
async def test_only_what_the_filters_select_is_touched(
    database: Backend, filters: dict[str, Any]
) -> None:
    async with database.open() as store:
        others = [await failed(store) for _ in range(4)]
        mine = [
            await store.accepted(
                sender=OTHER, to="+15551230009", flow=FLOW | {"id": "7", "token": "mine"}
            )
            for _ in range(4)
        ]

        assert await cancelled(store, **filters) == (4, 0)

        assert {await status(store, message) for message in mine} == {Status.CANCELLED}
        assert {await status(store, message) for message in others} == {Status.FAILED}


@in_a_loop
async def test_moments_select_what_was_accepted_between_them(database: Backend) -> None:
    async with database.open() as store:
        early = await store.accepted()
        store.clock.leap(60)
        since = store.clock.now()
        between = await store.accepted()
        store.clock.leap(60)
        late = await store.accepted()

        assert await cancelled(store, since=since, until=store.clock.now()) == (1, 0)

        found = [await status(store, message) for message in (early, between, late)]
        assert found == [Status.QUEUED, Status.CANCELLED, Status.QUEUED]


@in_a_loop
async def test_race_of_cancelling_many_with_dispatch_one_wins_each(database: Backend) -> None:
    async with database.open() as store:
        messages = [await store.accepted() for _ in range(30)]

        cancelling = asyncio.create_task(cancelled(store, sender=MAIN))
        begins = [store.messages.begin(MAIN, limit=4, judge=begin_due) for _ in range(5)]
        begun = await asyncio.gather(*begins)
        changed, skipped = await cancelling

        sending = [message.id for one in begun for message in one.messages]
        assert (changed, skipped) == (30 - len(sending), len(sending))
        for message in messages:
            now = await status(store, message)
            assert now is (Status.SENDING if message.id in sending else Status.CANCELLED)


@in_a_loop
async def test_race_of_retrying_what_is_unknown_with_its_answer_leaves_what_failed(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.begun()
        unknown = await store.settle(message, Outcome.UNKNOWN, error=life.error("x", "X"))
        steps = Selection(store.messages, store.clock).retry(Filters(status="unknown"))
        assert await anext(steps) == Step(0, 0)  # it is selected by now, and not yet retried

        await store.messages.settle(
            unknown,
            life.Settlement(outcome=Outcome.REFUSED, error=life.error("x", "X")),
            number=1,
        )

        assert await done(steps) == (0, 1)
        assert await status(store, message) is Status.FAILED


@in_a_loop
async def test_what_is_accepted_after_the_call_is_left_alone(database: Backend) -> None:
    async with database.open() as store:
        for _ in range(4):
            await store.accepted()
        steps = Selection(store.messages, store.clock).cancel(Filters(sender=MAIN))
        await anext(steps)
        later = await store.accepted()

        assert await done(steps) == (4, 0)
        assert await status(store, later) is Status.QUEUED


@in_a_loop
async def test_where_nothing_was_ever_stored_nothing_is_done(database: Backend) -> None:
    async with database.open() as store:
        assert await cancelled(store, sender=MAIN) == (0, 0)


@in_a_loop
async def test_what_was_purged_is_not_walked_through(database: Backend) -> None:
    async with database.open() as store:
        for _ in range(2):  # gaps before the first that is left, and between two
            for _ in range(30):
                await store.sent()
            await store.accepted(sender=OTHER)
        store.clock.leap(100 * 86_400)
        kept_for = KeptFor(messages=timedelta(days=90), events=None, callbacks=None, contacts=None)
        await Purger(store.aged, Restless(store.clock), kept_for).purge()

        steps = [step async for step in Selection(store.messages, store.clock).cancel(Filters())]

        assert steps == [Step(0, 0), Step(1, 0)] * 2
