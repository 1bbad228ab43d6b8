"""Processes of one PostgreSQL database wake one another: what is told, heard, lost and ignored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs
from tests.clock import FakeClock, idle
from tests.contract.stores import Consequences, PostgreSQL, Stores
from tests.contract.test_postgresql import asked, cut
from tests.examples import MAIN, OTHER, a_message, begin_due
from tests.postgres import named
from tests.running import in_a_loop

from alir.ids import SenderName, new_message_id
from alir.intake.elsewhere import Elsewhere
from alir.intake.waiting import PENDING, Waiting
from alir.messages.life import Settlement
from alir.messages.model import Message, Outcome
from alir.store import postgresql_session, wakeups
from alir.store.database import open_database, open_wakeups
from alir.store.messages import MessageStore
from alir.store.news import LONGEST_BYTES, news_in
from alir.store.wakeups import CHANNEL, MOST_SETTLED
from alir.wakeups import News, Wakeups

LAST = SenderName("last")
MESSAGE = new_message_id()
LONG = 15.0


@pytest.fixture
def url(postgresql_url: str) -> str:
    """A database with empty tables."""
    return PostgreSQL(postgresql_url).url


class Process:
    """One that listens.

    Attributes:
        has_peers: whether it believes that others live.
    """

    def __init__(self, url: str, name: str) -> None:
        self.has_peers = True
        self.wakeups = open_wakeups(url, name, has_peers=lambda: self.has_peers)
        self._news: asyncio.Queue[News] = asyncio.Queue()
        self.wakeups.listen(self._news.put_nowait)

    async def next(self) -> News:
        """What it hears next."""
        return await self._news.get()


@asynccontextmanager
async def process(url: str, name: str) -> AsyncIterator[Process]:
    """A process, from when it listens."""
    one = Process(url, name)
    running = asyncio.create_task(one.wakeups.run())
    assert await one.next() == News(missed=True)
    try:
        yield one
    finally:
        await one.wakeups.close()
        await running


@asynccontextmanager
async def eavesdropper(url: str) -> AsyncIterator[asyncio.Queue[str]]:
    """The texts of all notifications, as anybody hears them."""
    texts: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(url)
    await connection.add_listener(CHANNEL, lambda *told: texts.put_nowait(told[-1]))
    try:
        yield texts
    finally:
        await connection.close()


async def told(texts: asyncio.Queue[str], teller: Wakeups) -> list[str]:
    """What everybody was told so far; the sender `last` marks the end of it."""
    teller.queued(LAST)
    heard = [await texts.get()]
    while LAST not in news_in(heard[-1])[1].queued:
        heard.append(await texts.get())
    return heard


async def tell(url: str, text: str) -> None:
    """Notify, as anybody can who may log in."""
    await asked(url, "SELECT pg_notify($1, $2)", CHANNEL, text)


# What is told and heard


@pytest.mark.parametrize(
    ("deed", "news"),
    [
        (lambda w: w.queued(MAIN), News(queued=(MAIN,))),
        (lambda w: w.settled(MESSAGE), News(settled=(MESSAGE,))),
        (lambda w: w.callback_kept(), News(callbacks=True)),
        (lambda w: w.lease_changed(), News(leases=True)),
        (lambda w: w.pause_changed(MAIN), News(pauses=(MAIN,))),
        (lambda w: w.evidence_missed(), News(evidence_missed=True)),
        (lambda w: [w.heard(MAIN), w.heard(MAIN), w.heard(OTHER)], News(heard={MAIN: 2, OTHER: 1})),
    ],
)
@in_a_loop
async def test_what_one_tells_the_other_hears(
    url: str, deed: Callable[[Wakeups], None], news: News
) -> None:
    async with process(url, "one") as one, process(url, "other") as other:
        deed(one.wakeups)

        assert await other.next() == news


@in_a_loop
async def test_nobody_hears_what_it_tells_itself(url: str) -> None:
    async with process(url, "one") as one, process(url, "other") as other:
        one.wakeups.queued(MAIN)
        assert await other.next() == News(queued=(MAIN,))
        other.wakeups.queued(OTHER)

        assert await one.next() == News(queued=(OTHER,))


@in_a_loop
async def test_what_is_told_in_one_turn_of_the_event_loop_is_one_notification(url: str) -> None:
    ids = {new_message_id() for _ in range(100)}
    async with process(url, "one") as one, process(url, "other") as other:
        for each in ids:
            one.wakeups.settled(each)
            one.wakeups.queued(MAIN)
            one.wakeups.callback_kept()
        heard = await other.next()

        assert set(heard.settled) == ids
        assert (heard.queued, heard.callbacks) == ((MAIN,), True)


@in_a_loop
async def test_a_commit_group_is_told_of_in_one_notification(url: str) -> None:
    groups: list[int] = []

    class Observe:
        def committed(self, size: int, seconds: float) -> None:
            groups.append(size)

    database = open_database(url, observe=Observe())
    async with process(url, "one") as one, eavesdropper(url) as texts:
        messages = MessageStore(
            database,
            FakeClock(),
            changed=lambda message: one.wakeups.queued(SenderName(message.id)),
            consequences=Consequences(),
        )
        stored = await asyncio.gather(*(messages.accept(a_message(), None) for _ in range(60)))
        await database.close()
        heard = await told(texts, one.wakeups)

    assert sum(groups) == len(stored)
    assert len(groups) < 10
    assert len(heard) <= len(groups) + 1
    assert {sender for text in heard for sender in news_in(text)[1].queued} == {
        LAST,
        *(one.message.id for one in stored),
    }


@in_a_loop
async def test_what_is_told_while_a_notification_is_under_way_gathers_for_the_next(
    url: str,
) -> None:
    turns = 500
    async with process(url, "one") as one, eavesdropper(url) as texts:
        for _ in range(turns):
            one.wakeups.heard(MAIN)
            await asyncio.sleep(0)
        heard = await told(texts, one.wakeups)

    assert sum(news_in(text)[1].heard.get(MAIN, 0) for text in heard) == turns
    assert len(heard) < turns / 2


@in_a_loop
async def test_what_is_too_long_for_one_notification_goes_in_several(url: str) -> None:
    ids = [new_message_id() for _ in range(MOST_SETTLED)]
    async with process(url, "one") as one, eavesdropper(url) as texts:
        for each in ids:
            one.wakeups.settled(each)
        heard = await told(texts, one.wakeups)

    assert len(heard) > 3
    assert max(len(text.encode()) for text in heard) <= LONGEST_BYTES
    assert sorted(each for text in heard for each in news_in(text)[1].settled) == sorted(ids)


@in_a_loop
async def test_only_so_many_messages_are_told_of_at_once(url: str) -> None:
    async with process(url, "one") as one, process(url, "other") as other:
        for _ in range(MOST_SETTLED + 100):
            one.wakeups.settled(new_message_id())
        one.wakeups.queued(LAST)
        heard = [await other.next()]
        while LAST not in {sender for news in heard for sender in news.queued}:
            heard.append(await other.next())
        one.wakeups.queued(MAIN)
        while MAIN not in heard[-1].queued:
            heard.append(await other.next())

    assert sum(len(news.settled) for news in heard) == MOST_SETTLED


@in_a_loop
async def test_while_nobody_else_lives_nothing_is_told(url: str) -> None:
    async with process(url, "one") as one, eavesdropper(url) as texts:
        one.has_peers = False
        one.wakeups.queued(MAIN)
        one.wakeups.settled(new_message_id())
        one.wakeups.callback_kept()
        one.wakeups.lease_changed()
        one.wakeups.pause_changed(MAIN)
        one.wakeups.heard(MAIN)
        await idle()
        one.has_peers = True

        [text] = await told(texts, one.wakeups)
        assert news_in(text) == ("one", News(queued=(LAST,)))


@in_a_loop
async def test_whoever_closes_tells_first_what_is_left_to_tell(url: str) -> None:
    async with process(url, "other") as other:
        async with process(url, "one") as one:
            one.wakeups.queued(MAIN)
            await asyncio.sleep(0)  # by now that is under way
            one.wakeups.lease_changed()
        heard = [await other.next()]
        while not heard[-1].leases:
            heard.append(await other.next())

        assert heard[0].queued == (MAIN,)
        one.wakeups.queued(MAIN)  # too late, and no fault
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'alir' AND"
    while await asked(url, f"{left} datname = current_database()"):
        pass


@in_a_loop
async def test_a_fault_of_whoever_hears_keeps_nothing_from_the_others(url: str) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    async with process(url, "one") as one, process(url, "other") as other:
        later: asyncio.Queue[News] = asyncio.Queue()
        other.wakeups.listen(lambda _: 1 / 0)  # type: ignore[arg-type]
        other.wakeups.listen(later.put_nowait)
        for sender in (MAIN, OTHER):
            one.wakeups.queued(sender)
            assert (await later.get()).queued == (sender,)

    assert [type(fault["exception"]) for fault in faults] == [ZeroDivisionError] * 2


# What is lost, and ignored


@in_a_loop
async def test_a_session_that_was_cut_is_followed_by_another_and_that_is_said(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "AGAIN_SECONDS", 0.01)
    async with process(url, "one") as one, process(url, "other") as other:
        with capture_logs() as logged:
            assert await cut(url) == 2
            assert await one.next() == await other.next() == News(missed=True)
        one.wakeups.queued(MAIN)
        assert await other.next() == News(queued=(MAIN,))
        other.wakeups.queued(MAIN)
        assert await one.next() == News(queued=(MAIN,))

    assert sorted(line["event"] for line in logged) == ["wakeups_back"] * 2 + ["wakeups_lost"] * 2


@in_a_loop
async def test_that_evidence_was_missed_is_told_once_a_session_is_to_be_had(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "AGAIN_SECONDS", 0.01)
    one = Process(url, "one")
    one.has_peers = False  # as far as it knows
    one.wakeups.evidence_missed()
    async with process(url, "other") as other:
        running = asyncio.create_task(one.wakeups.run())
        assert await other.next() == News(evidence_missed=True)
        one.has_peers = True
        one.wakeups.queued(MAIN)
        assert await other.next() == News(queued=(MAIN,))  # and it was told once
        await one.wakeups.close()
        await running


@in_a_loop
async def test_while_no_session_is_to_be_had_what_is_told_is_forgotten_and_that_is_said_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "AGAIN_SECONDS", 0.01)
    refused: asyncio.Queue[str] = asyncio.Queue()
    is_refused = True
    connect = postgresql_session.connect

    async def connect_in_vain(address: str) -> postgresql_session.PostgresConnection:
        if is_refused:
            refused.put_nowait(address)
            address = named(address, "there_is_no_such_database")
        return await connect(address)

    async with process(url, "one") as one:
        monkeypatch.setattr(wakeups, "connect", connect_in_vain)
        with capture_logs() as logged:
            await cut(url)
            for _ in range(3):
                await refused.get()
                one.wakeups.queued(MAIN)
            monkeypatch.setattr(wakeups, "connect", connect)
            is_refused = False
            assert await one.next() == News(missed=True)
        async with process(url, "other"), eavesdropper(url) as texts:
            [text] = await told(texts, one.wakeups)
        assert news_in(text) == ("one", News(queued=(LAST,)))

    assert [line["event"] for line in logged] == ["wakeups_lost", "wakeups_back"]


@in_a_loop
async def test_a_session_that_is_quiet_is_tried_from_time_to_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "LOOK_SECONDS", 0.01)
    tried = "SELECT max(query_start)::text FROM pg_stat_activity WHERE application_name = 'alir'"
    tried += " AND datname = current_database() AND query LIKE '%pg_notify%'"
    async with process(url, "one"), eavesdropper(url) as texts:
        seen = {None}
        while len(seen) < 4:
            seen.add(await asked(url, tried))

    assert texts.empty()


@in_a_loop
async def test_what_alir_did_not_write_is_ignored_and_that_is_said_once(url: str) -> None:
    async with process(url, "one") as one:
        with capture_logs() as logged:
            for text in ("", "hello", "[1]", '{"from":1}', '{"from":"x","queued":"main"}'):
                await tell(url, text)
            await tell(url, '{"from":"x","weather":"fair","queued":["main"]}')

            assert await one.next() == News(queued=(MAIN,))
    assert [line["event"] for line in logged] == ["notification_not_understood"]


@in_a_loop
async def test_a_close_does_not_wait_for_a_database_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wakeups, "AGAIN_SECONDS", 3600.0)
    monkeypatch.setattr(wakeups, "CLOSING_SECONDS", 3600.0)
    one = Process("postgresql://alir:secret@127.0.0.1:1/alir", "one")
    with capture_logs() as logged:
        running = asyncio.create_task(one.wakeups.run())
        while not logged:
            await idle()
        await one.wakeups.close()
        await running

    assert [line["event"] for line in logged] == ["wakeups_lost"]


@in_a_loop
async def test_on_sqlite_there_is_nobody_to_tell_or_to_hear() -> None:
    one = Process("sqlite:///alir.db", "one")
    running = asyncio.create_task(one.wakeups.run())
    one.wakeups.queued(MAIN)
    await idle()
    await one.wakeups.close()

    assert not running.done()  # as who runs it takes an end for a fault
    running.cancel()


# Who waits


@in_a_loop
async def test_who_waits_in_one_process_hears_from_the_one_that_settles_it(url: str) -> None:
    clock = FakeClock()  # no second ever passes on it
    waiting = Waiting()

    def changed(message: Message) -> None:
        if message.status not in PENDING:
            there.wakeups.settled(message.id)

    async with process(url, "api") as here, process(url, "dispatch") as there:
        api = Stores(open_database(url), clock)
        database = open_database(url, exclusive=False)
        dispatch = MessageStore(database, clock, changed=changed, consequences=Consequences())
        elsewhere = Elsewhere(waiting, api.messages, clock, has_peers=lambda: True)
        here.wakeups.listen(elsewhere.hear)
        running = asyncio.create_task(elsewhere.run())
        callers = [
            asyncio.create_task(waiting.settled(await api.accepted(), LONG)) for _ in range(10)
        ]
        begun = await dispatch.begin(MAIN, limit=100, judge=begin_due)
        settled = await asyncio.gather(
            *(
                dispatch.settle(message, Settlement(outcome=Outcome.ACCEPTED), number=1)
                for message in begun.messages
            )
        )

        assert sorted([await caller for caller in callers], key=lambda m: m.id) == sorted(
            settled, key=lambda m: m.id
        )
        running.cancel()
        await api.database.close()
        await database.close()
