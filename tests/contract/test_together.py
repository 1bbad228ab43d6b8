"""Messages that come together are stored together, and each hears what became of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import func, select
from tests.contract.stores import Backend, Stores
from tests.examples import TEMPLATE, a_message
from tests.running import in_a_loop

from alir.errors import AlirError, IdempotencyConflict, RequestInvalid
from alir.intake.ports import Filters, IdempotencyKey, New, Stored
from alir.messages.model import Message, Status
from alir.receipts.model import Heard
from alir.store import tables
from alir.store.sql import run
from alir.store.together import LARGEST_PIECE
from alir.store.writer import Link


def key(name: str, body: bytes = b"h") -> IdempotencyKey:
    return IdempotencyKey(name, body * 32)


def messages_of(answers: list[Stored | AlirError]) -> list[Message]:
    return [answer.message for answer in answers if isinstance(answer, Stored)]


async def groups(store: Stores) -> int:
    """How many groups were committed so far."""
    query = select(func.max(tables.commit_group.c.number))
    [[number]] = await store.database.read(lambda connection: run(connection, query).fetchall())
    return number or 0


@in_a_loop
async def test_a_thousand_messages_share_one_commit(database: Backend) -> None:
    new = [New(a_message(to=f"+1555123{n:04}")) for n in range(1000)]
    async with database.open() as store:
        await store.messages.accept_all(new[:1])
        before = await groups(store)

        answers = await store.messages.accept_all(new[1:])

        assert await groups(store) - before == 1
        assert messages_of(answers) == [one.message for one in new[1:]]
        listed, _ = await store.messages.page(Filters(), limit=1000, before=None)
        assert [m.id for m in reversed(listed)] == [one.message.id for one in new]
        assert [m.id for m in store.changed] == [one.message.id for one in new]
        events = await store.events()
        assert [event["data"]["id"] for event in events] == [one.message.id for one in new]


@in_a_loop
async def test_while_a_thousand_are_stored_others_get_their_turn(database: Backend) -> None:
    turns, had = 0, list[int]()

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    new = [New(a_message()) for _ in range(10 * LARGEST_PIECE)]
    async with database.open() as store:
        link: Link = store.database._writer._link  # type: ignore[attr-defined]
        plain = link.commit

        async def commit() -> None:
            had.append(turns)
            await plain()

        link.commit = commit  # type: ignore[method-assign]
        looking = asyncio.create_task(others())
        await store.messages.accept_all(new)
        looking.cancel()

    assert len(had) == 1
    assert had[0] >= 9, "between two pieces each, before the one commit"


@in_a_loop
async def test_a_key_that_comes_again_finds_the_first_message(database: Backend) -> None:
    earlier, first, second, third = (a_message() for _ in range(4))
    async with database.open() as store:
        await store.messages.accept(earlier, key("earlier"))
        store.changed.clear()

        answers = await store.messages.accept_all(
            [
                New(first, key("a")),
                New(a_message(), key("earlier")),
                New(a_message(), key("a")),
                New(second, key("b")),
                New(a_message(), key("a", b"x")),
                New(third),
                New(a_message(), key("earlier", b"x")),
            ]
        )

        expected = [(first, False), (earlier, True), (first, True), (second, False)]
        assert [(a.message, a.replayed) for a in answers[:4] if isinstance(a, Stored)] == expected
        assert answers[5] == Stored(third, replayed=False)
        assert [type(answers[at]) for at in (4, 6)] == [IdempotencyConflict] * 2
        assert [m.id for m in store.changed] == [first.id, second.id, third.id]
        listed, _ = await store.messages.page(Filters(), limit=10, before=None)
        assert [m.id for m in listed] == [third.id, second.id, first.id, earlier.id]


@in_a_loop
async def test_a_key_that_comes_again_far_behind_finds_the_first_message(database: Backend) -> None:
    first = a_message()
    others = [New(a_message()) for _ in range(LARGEST_PIECE)]
    async with database.open() as store:
        answers = await store.messages.accept_all(
            [New(first, key("a")), *others, New(a_message(), key("a"))]
        )

        assert answers[-1] == Stored(first, replayed=True)


@in_a_loop
async def test_a_refusal_spoils_no_other(database: Backend) -> None:
    person = "+15551230001"
    async with database.open() as store:
        heard = Heard(sender=a_message().sender, at=store.clock.now(), wa_id=person[1:])
        raw = await store.callbacks.keep("cloud", [heard.sender], b"{}")
        await store.receipts.apply([heard], callback=raw.seq)
        store.clock.leap(timedelta(days=2).total_seconds())
        later = store.clock.now()
        moments = {"created_at": later, "due_at": later, "first_due_at": later}

        answers = await store.messages.accept_all(
            [
                New(a_message(to=person, **moments), refuse_shut=True),
                New(a_message(to=person, fallback=TEMPLATE, **moments), refuse_shut=True),
                New(a_message(to="+15551230002", **moments), refuse_shut=True),
            ]
        )

        assert isinstance(answers[0], RequestInvalid)
        assert [m.to for m in messages_of(answers)] == [person, "+15551230002"]
        assert [w.code for w in messages_of(answers)[0].warnings] == ["window_shut"]


@in_a_loop
async def test_what_is_stored_together_waits_for_its_turn(database: Backend) -> None:
    new = [New(a_message()), New(a_message(parked="recipient +15551230001"))]
    async with database.open() as store:
        stored = messages_of(await store.messages.accept_all(new))

        assert [m.status for m in stored] == [Status.QUEUED] * 2
        assert await store.messages.parked(stored[0].sender) == [("recipient +15551230001", 1)]


@in_a_loop
async def test_nothing_to_store_is_stored_at_once(database: Backend) -> None:
    async with database.open() as store:
        assert await store.messages.accept_all([]) == []
