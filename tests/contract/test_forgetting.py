"""A person who asks to be forgotten: all that names that person goes, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.clock import START, Restless
from tests.contract.stores import ROUNDS, Backend, SQLite, Stores, race, told, two_writers
from tests.examples import MAIN, OTHER, begin_due
from tests.running import in_a_loop

from alir.dispatch.housekeeping import Housekeeper
from alir.dispatch.pause import Pause
from alir.errors import PauseScope
from alir.intake.ports import Filters
from alir.messages import life
from alir.messages.model import Message, OnUnknown, Outcome, ReceiptStatus, Status
from alir.receipts.guess import GUESS_AFTER
from alir.receipts.model import Heard
from alir.retention.person import Found
from alir.store import person, tables
from alir.store.messages import MessageStore
from alir.store.person import PersonStore
from alir.store.sql import run

SENT, DELIVERED, READ, FAILED = ReceiptStatus
THEIRS = "+15551230001"
NAME = "15551230001"
OTHERS = "+15551230009"
#: Another spelling of the same number, by which WhatsApp does not know it.
SPELLING = "+155501230001"
NOTHING = Found(
    messages=0,
    waiting=0,
    under_way=[],
    events=0,
    callbacks=0,
    unapplied=0,
    parked=0,
    names=0,
    pauses=0,
)


def people(store: Stores) -> PersonStore:
    return PersonStore(store.database, Restless(store.clock))


async def forget(store: Stores, name: str = NAME) -> Found:
    known = people(store)
    return await known.forget(await known.known_as(name))


async def find(store: Stores, name: str = NAME) -> Found:
    known = people(store)
    return await known.find(await known.known_as(name))


async def receive(store: Stores, body: str, *, applied: bool = True) -> None:
    """A callback with this body."""
    raw = await store.callbacks.keep("cloud", [MAIN], body.encode())
    if applied:
        await store.receipts.apply([], callback=raw.seq)


async def everything(store: Stores) -> str:
    """Every value of every row, as one text."""

    def work(connection: Any) -> str:
        return "\n".join(
            str(value)
            for table in tables.metadata.tables.values()
            for row in run(connection, select(*table.c)).fetchall()
            for value in row
        )

    return await store.database.read(work)


async def count(store: Stores, table: str) -> int:
    query = select(func.count()).select_from(tables.metadata.tables[table])
    found: int = await store.database.read(lambda c: run(c, query).fetchone()[0])
    return found


async def a_life(store: Stores, to: str, wa_id: str, user_id: str) -> Message:
    """A person who got a message, wrote, and could not be reached for a while."""
    message = await store.sent(f"wamid.{wa_id}", to=to)
    body = f'{{"statuses":[{{"id":"wamid.{wa_id}","recipient_id":"{wa_id}"}}]}}'
    await receive(store, body)
    await store.receipts.apply([told(READ, of=message, wa_id=wa_id)], callback=1)
    heard = Heard(sender=MAIN, at=START, wa_id=wa_id, user_id=user_id)
    await store.receipts.apply([heard], callback=1)
    await store.park(told(SENT, provider_id=f"stranger.{wa_id}", wa_id=wa_id))
    pause = Pause(sender=MAIN, scope=PauseScope.RECIPIENT, key=to, title="wait", since=START)
    await store.pauses.put(pause, is_new=True)
    return message


@in_a_loop
async def test_all_that_names_the_person_goes_and_nothing_of_anybody_else(
    database: Backend,
) -> None:
    async with database.open() as store:
        await a_life(store, THEIRS, NAME, "US.1")
        other = await a_life(store, OTHERS, OTHERS[1:], "US.2")
        found = await find(store)
        assert NAME in await everything(store)
        forgotten = await forget(store)

        assert forgotten == found
        assert forgotten == Found(
            messages=1,
            waiting=0,
            under_way=[],
            events=3,
            callbacks=1,
            unapplied=0,
            parked=1,
            names=3,
            pauses=1,
        )
        left = await everything(store)
        assert NAME not in left
        assert "US.1" not in left
        assert (await store.messages.get(other.id)).status is Status.READ
        assert await find(store, OTHERS[1:]) == forgotten
        assert await find(store) == NOTHING


@in_a_loop
async def test_a_person_is_found_by_every_name(database: Backend) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id=NAME, user_id="US.1"))
        for to, provider_id in ((THEIRS, "wamid.1"), (SPELLING, "wamid.2")):
            begun = await store.begun(to=to)
            await store.settle(begun, Outcome.ACCEPTED, provider_id=provider_id, wa_id=NAME)
        await store.sent("wamid.3", to=None, recipient="US.1", sender=OTHER)
        known = people(store)

        for name in (NAME, SPELLING[1:], "US.1"):
            known_as = await known.known_as(name)
            assert known_as.addresses == [SPELLING, THEIRS, "US.1"]
            assert (await known.find(known_as)).messages == 3
        assert (await forget(store, "US.1")).messages == 3
        assert (await store.messages.page(Filters(), limit=10, before=None))[0] == []


@in_a_loop
async def test_a_message_is_found_by_whom_whatsapp_knows_it_went_to(database: Backend) -> None:
    async with database.open() as store:
        begun = await store.begun(to=SPELLING)
        await store.settle(begun, Outcome.ACCEPTED, provider_id="wamid.1", wa_id=NAME)
        # By now the other number is known to be somebody else's.
        begun = await store.begun(to=SPELLING)
        await store.settle(begun, Outcome.ACCEPTED, provider_id="wamid.2", wa_id=OTHERS[1:])

        assert (await forget(store)).messages == 1
        assert (await forget(store, OTHERS[1:])).messages == 1


@in_a_loop
async def test_what_waits_or_is_unknown_goes_and_never_goes_out(database: Backend) -> None:
    async with database.open() as store:
        await store.settle(await store.begun(on_unknown=OnUnknown.RETRY), Outcome.UNKNOWN)
        await store.accepted()
        await store.accepted(due_at=START + timedelta(days=1))
        forgotten = await forget(store)
        store.clock.leap(2 * 86_400)

        assert (forgotten.messages, forgotten.waiting) == (3, 3)
        assert (await store.messages.begin(MAIN, limit=9, judge=begin_due)).messages == ()
        assert await store.messages.unknown_to_retry(of=[MAIN], limit=9) == []
        assert THEIRS not in await everything(store)


@in_a_loop
async def test_what_is_on_the_wire_stays_with_its_events_and_goes_the_next_time(
    database: Backend,
) -> None:
    async with database.open() as store:
        gone = await store.sent("wamid.1")
        message = await store.begun()
        forgotten = await forget(store)

        assert (forgotten.messages, forgotten.under_way) == (1, [message.id])
        assert not await store.is_there(gone)
        assert await store.event_types(message.id) == ["message.queued"]
        after = await store.settle(message, Outcome.ACCEPTED, provider_id="wamid.2")
        assert after.status is Status.ACCEPTED
        again = await forget(store)
        assert (again.messages, again.under_way, again.events) == (1, [], 2)
        assert THEIRS not in await everything(store)


@in_a_loop
async def test_a_message_that_arrived_stays_while_another_attempt_of_it_is_on_the_wire(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.settle(await store.begun(), Outcome.UNKNOWN)
        await store.messages.change(message.id, lambda m: life.retry(m, now=START))
        await store.messages.begin(MAIN, limit=1, judge=begin_due)
        await store.tell(told(DELIVERED, of=message))

        assert (await forget(store)).under_way == [message.id]


@in_a_loop
async def test_race_a_message_that_is_begun_after_the_look_is_not_removed(
    database: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.open() as store:
        message = await store.accepted()
        known = people(store)
        look = PersonStore._messages

        async def look_then_begin(self: PersonStore, someone: Any) -> Any:
            found = await look(self, someone)
            await store.messages.begin(MAIN, limit=9, judge=begin_due)
            return found

        monkeypatch.setattr(PersonStore, "_messages", look_then_begin)
        forgotten = await known.forget(await known.known_as(NAME))

        assert (forgotten.messages, forgotten.under_way) == (0, [message.id])
        assert (await store.messages.get(message.id)).status is Status.SENDING


@in_a_loop
async def test_race_of_begin_in_one_process_and_forget_in_another(database: Backend) -> None:
    async with two_writers(database) as (dispatch, aside):
        for round_ in range(ROUNDS):
            messages = [await dispatch.accepted() for _ in range(3)]
            begun, forgotten = await race(
                round_,
                partial(dispatch.messages.begin, MAIN, limit=2, judge=begin_due),
                partial(forget, aside),
            )

            gone_out = {message.id for message in begun.messages}
            there = {message.id for message in messages if await dispatch.is_there(message)}
            assert gone_out <= there  # what is on the wire is never removed
            assert set(forgotten.under_way) <= there
            for message in messages:  # and what is left can be sent or removed as ever
                if message.id in there and message.id not in gone_out:
                    assert (await dispatch.messages.get(message.id)).status is Status.QUEUED
            for message in begun.messages:
                await dispatch.settle(message, Outcome.REFUSED)
            await forget(aside)
            assert THEIRS not in await everything(dispatch)


@in_a_loop
async def test_race_of_a_receipt_in_one_process_and_forget_in_another(database: Backend) -> None:
    async with two_writers(database) as (gateway, aside):
        for round_ in range(ROUNDS):
            message = await gateway.sent(f"wamid.{round_}")
            receipt = told(READ, of=message, provider_id=f"wamid.{round_}", wa_id=NAME)
            await race(round_, partial(gateway.tell, receipt), partial(forget, aside))
            await forget(aside)

            assert not await gateway.is_there(message)
            assert await gateway.parked() == 0


@in_a_loop
async def test_race_a_guess_about_a_message_that_is_gone_settles_nothing(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.settle(await store.begun(), Outcome.UNKNOWN)
        other = await store.settle(await store.begun(to=OTHERS), Outcome.UNKNOWN)
        for to, provider_id in ((NAME, "request-1"), (OTHERS[1:], "request-2")):
            await store.tell(told(SENT, provider_id=provider_id, wa_id=to))
        store.clock.leap(GUESS_AFTER.total_seconds())
        plain = store.database.write
        forgotten = False

        def forget_first(work: Any, **more: Any) -> Any:
            async def both() -> Any:
                nonlocal forgotten
                if not forgotten:
                    forgotten = True
                    await forget(store)
                return await plain(work, **more)

            return both()

        store.database.write = forget_first  # type: ignore[method-assign]
        await store.receipts.guess([MAIN])

        assert not await store.is_there(message)
        assert (await store.messages.get(other.id)).status is Status.SENT


@in_a_loop
async def test_race_a_message_that_is_gone_before_it_expires_keeps_no_other_from_expiring(
    database: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.open() as store:
        soon = START + timedelta(minutes=1)
        gone = await store.accepted(expires_at=soon)
        other = await store.accepted(expires_at=soon, to=OTHERS)
        store.clock.leap(60)
        look = MessageStore.expired

        async def look_then_forget(self: MessageStore, **asked: Any) -> Any:
            found = await look(self, **asked)
            await forget(store)
            return found

        monkeypatch.setattr(MessageStore, "expired", look_then_forget)
        minutes = timedelta(minutes=2)
        housekeeper = Housekeeper(
            store.messages,
            store.clock,
            attempt_time=minutes,
            unknown_after=minutes,
            decided=lambda *_: None,
            leases={},
        )
        await housekeeper.look()

        assert not await store.is_there(gone)
        assert (await store.messages.get(other.id)).status is Status.EXPIRED


@in_a_loop
async def test_a_callback_that_is_not_applied_yet_stays_and_is_told_of(database: Backend) -> None:
    async with database.open() as store:
        await receive(store, f'{{"recipient_id": "{NAME}"}}', applied=False)
        await receive(store, f'{{"recipient_id": "{NAME}"}}')
        await receive(store, f'{{"recipient_id": "1{NAME}"}}')
        forgotten = await forget(store)

        assert (forgotten.callbacks, forgotten.unapplied) == (1, 1)
        assert await count(store, "callback") == 2


@in_a_loop
async def test_a_callback_that_names_only_the_message_goes_too(database: Backend) -> None:
    async with database.open() as store:
        message = await store.sent()
        await receive(store, f'{{"biz_opaque_callback_data": "alir1:{message.id}:1"}}')

        assert (await forget(store)).callbacks == 1


@in_a_loop
async def test_an_event_that_outlived_its_message_goes_too(database: Backend) -> None:
    async with database.open() as store:
        message = await store.sent()
        other = await store.sent("wamid.2", to=OTHERS, callback_data=f"of {THEIRS}")
        ids = [message.id]
        await store.database.write(
            lambda c: run(c, tables.message.delete().where(tables.message.c.id.in_(ids)))
        )
        forgotten = await forget(store)

        assert (forgotten.messages, forgotten.events) == (0, 2)
        assert await store.event_types(other.id) == ["message.queued", "message.accepted"]


@in_a_loop
async def test_everything_is_found_however_many_stretches_there_are(
    database: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person, "STRETCH", 2)
    monkeypatch.setattr(person, "STEP_MESSAGES", 2)
    monkeypatch.setattr(person, "STEP_ROWS", 3)
    async with database.open() as store:
        for number in range(5):
            await store.sent(f"wamid.{number}")
            await store.sent(f"wamid.other.{number}", to=OTHERS)
            await receive(store, NAME)
        forgotten = await forget(store)

        assert replace(forgotten, under_way=[]) == replace(
            NOTHING, messages=5, events=10, callbacks=5
        )
        assert await count(store, "message") == 5


@in_a_loop
async def test_on_sqlite_nothing_of_the_person_is_left_in_the_file(
    tmp_path: Path, sqlite_template: Path
) -> None:
    database = SQLite(tmp_path, sqlite_template)
    async with database.open() as store:
        await a_life(store, THEIRS, NAME, "US.1")
        await a_life(store, OTHERS, OTHERS[1:], "US.2")
    assert NAME.encode() in database.path.read_bytes()
    async with database.open() as store:
        await forget(store)
    held = database.path.read_bytes()

    assert OTHERS[1:].encode() in held
    assert NAME.encode() not in held
    assert not database.path.with_name(f"{database.path.name}-wal").exists()
