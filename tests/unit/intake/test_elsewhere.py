"""Who waits here hears what another process did: at once where it tells, else within a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs
from tests.clock import FakeClock, idle
from tests.examples import a_message
from tests.running import in_a_loop

from alir.errors import StoreUnavailable
from alir.ids import MessageId
from alir.intake.elsewhere import MOST_AT_ONCE, Elsewhere
from alir.intake.waiting import Waiting
from alir.messages.model import Message, Status
from alir.wakeups import News

LONG = 15.0


class Store:
    """The messages as other processes leave them.

    Attributes:
        asked: how many messages each read asked for.
        fault: what the next read ends with.
        is_free: a read that has looked waits until this is set.
    """

    def __init__(self) -> None:
        self.messages: dict[MessageId, Message] = {}
        self.asked: list[int] = []
        self.fault: Exception | None = None
        self.is_free = asyncio.Event()
        self.is_free.set()

    async def moved(self, known: Mapping[MessageId, int]) -> list[Message]:
        self.asked.append(len(known))
        found = [self.messages[id_] for id_ in known if id_ in self.messages]
        await self.is_free.wait()
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        return [message for message in found if message.version > known[message.id]]

    def change(self, message: Message, status: Status, *, by: int = 1) -> Message:
        after = message.but(status=status, version=message.version + by)
        self.messages[message.id] = after
        return after


class Here:
    """A process in which callers wait for what others do."""

    def __init__(self) -> None:
        self.waiting = Waiting(self._look)
        self.store = Store()
        self.clock = FakeClock()
        self.has_peers = True
        self.elsewhere = Elsewhere(
            self.waiting, self.store, self.clock, has_peers=lambda: self.has_peers
        )

    def _look(self, message_id: MessageId) -> None:
        self.elsewhere.look(message_id)

    async def wait_for(self, message: Message) -> asyncio.Task[Message]:
        """A caller that waits for it by now."""
        caller = asyncio.create_task(self.waiting.settled(message, LONG))
        await idle()
        return caller


@asynccontextmanager
async def here() -> AsyncIterator[Here]:
    process = Here()
    running = asyncio.create_task(process.elsewhere.run())
    await idle()
    try:
        yield process
    finally:
        process.waiting.stop()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@in_a_loop
async def test_news_of_a_settled_message_ends_the_wait_for_it_at_once() -> None:
    async with here() as process:
        message, other = a_message(), a_message()
        callers = [await process.wait_for(message) for _ in range(2)]
        waits_on = await process.wait_for(other)
        settled = process.store.change(message, Status.ACCEPTED)
        process.elsewhere.hear(News(settled=(message.id, MessageId("msg_unheard_of"))))

        assert await asyncio.gather(*callers) == [settled] * 2
        assert process.store.asked == [1]
        assert not waits_on.done()


@in_a_loop
async def test_what_was_settled_before_its_repeat_waited_for_it_ends_the_wait_at_once() -> None:
    async with here() as process:
        process.has_peers = False
        message = a_message(status=Status.SENDING)
        settled = process.store.change(message, Status.ACCEPTED)
        process.waiting.publish(settled)  # nobody waits yet

        repeats = [process.waiting.settled(message, LONG, replayed=True) for _ in range(3)]
        assert await asyncio.gather(*repeats) == [settled] * 3
        assert process.store.asked == [1]


@in_a_loop
async def test_of_many_that_are_told_at_once_there_is_one_read() -> None:
    async with here() as process:
        messages = [a_message() for _ in range(100)]
        callers = [await process.wait_for(message) for message in messages]
        settled = [process.store.change(message, Status.ACCEPTED) for message in messages]
        for at in range(0, 100, 10):
            told = tuple(message.id for message in messages[at : at + 10])
            process.elsewhere.hear(News(settled=told))

        assert await asyncio.gather(*callers) == settled
        assert process.store.asked == [100]


@in_a_loop
async def test_without_news_it_is_noticed_within_a_second() -> None:
    async with here() as process:
        message = a_message()
        caller = await process.wait_for(message)
        settled = process.store.change(message, Status.FAILED)
        await process.clock.advance(0.9)
        assert not caller.done()
        await process.clock.advance(0.1)

        assert await caller == settled


@in_a_loop
async def test_where_news_may_have_been_missed_all_that_is_waited_for_is_looked_for() -> None:
    async with here() as process:
        message = a_message()
        caller = await process.wait_for(message)
        settled = process.store.change(message, Status.CANCELLED)
        process.elsewhere.hear(News(missed=True))

        assert await caller == settled


@in_a_loop
async def test_whoever_waits_in_vain_is_answered_with_how_the_message_stands_by_then() -> None:
    async with here() as process:
        message = a_message()
        caller = await process.wait_for(message)
        sending = process.store.change(message, Status.SENDING)
        await process.clock.advance(1)
        assert not caller.done()
        process.waiting.stop()

        assert await caller == sending


@in_a_loop
async def test_while_nobody_waits_nothing_is_read() -> None:
    async with here() as process:
        process.elsewhere.hear(News(settled=(a_message().id,)))
        process.elsewhere.hear(News(missed=True))
        await process.clock.advance(10)
        caller = await process.wait_for(a_message())
        caller.cancel()
        await process.clock.advance(10)

        assert process.store.asked == []


@in_a_loop
async def test_while_there_is_no_other_process_nothing_is_looked_for() -> None:
    async with here() as process:
        message = a_message()
        caller = await process.wait_for(message)
        process.has_peers = False
        settled = process.store.change(message, Status.ACCEPTED)
        await process.clock.advance(10)
        assert process.store.asked == []
        process.has_peers = True
        await process.clock.advance(1)

        assert await caller == settled


@in_a_loop
async def test_no_read_asks_for_more_than_it_may() -> None:
    async with here() as process:
        messages = [a_message() for _ in range(MOST_AT_ONCE + 1)]
        callers = [
            asyncio.create_task(process.waiting.settled(message, LONG)) for message in messages
        ]
        await idle()
        settled = [process.store.change(message, Status.ACCEPTED) for message in messages]
        await process.clock.advance(1)

        assert await asyncio.gather(*callers) == settled
        assert process.store.asked == [MOST_AT_ONCE, 1]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (StoreUnavailable("it does not answer"), "looking_failed"),
        (ZeroDivisionError(), "looking_broke"),
    ],
)
@in_a_loop
async def test_what_cannot_be_read_is_looked_for_again_within_a_second(
    fault: Exception, line: str
) -> None:
    async with here() as process:
        message = a_message()
        caller = await process.wait_for(message)
        settled = process.store.change(message, Status.ACCEPTED)
        process.store.fault = fault
        with capture_logs() as logged:
            process.elsewhere.hear(News(settled=(message.id,)))
            await idle()
        assert [each["event"] for each in logged] == [line]
        assert not caller.done()
        await process.clock.advance(1)

        assert await caller == settled


@in_a_loop
async def test_race_of_a_slow_read_and_a_later_change_in_this_process() -> None:
    async with here() as process:
        message = a_message()
        caller = await process.wait_for(message)
        process.store.change(message, Status.SENDING)
        process.store.is_free.clear()
        process.elsewhere.hear(News(settled=(message.id,)))
        await idle()
        later = process.store.change(message, Status.UNKNOWN, by=2)
        process.waiting.publish(later)
        process.store.is_free.set()
        await idle()
        process.waiting.stop()

        assert await caller == later
