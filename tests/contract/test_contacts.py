"""When a person last wrote to a sender, whatever name the person goes by."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import pytest
from tests.clock import START
from tests.contract.stores import ACCEPTED, Backend, Stores, told
from tests.examples import MAIN, OTHER, begin_due
from tests.running import in_a_loop

from alir.messages.model import QueueClass, ReceiptStatus
from alir.receipts.model import Heard, Told
from alir.store.contacts import Learnt, heard_at, learn
from alir.store.sql import Connection

NUMBER = "+5511987650001"
#: The same person, as WhatsApp knows older numbers of some countries.
WA_ID = "551187650001"
USER_ID = "US.13491208655302741918"


def minutes(count: float) -> datetime:
    return START + timedelta(minutes=count)


async def last_heard(store: Stores, person: str) -> datetime | None:
    return await store.database.read(lambda connection: heard_at(connection, MAIN, person))


def _learn_all(told_in_order: Sequence[Learnt], connection: Connection) -> None:
    learn(connection, told_in_order)


async def learnt(store: Stores, to: str | None, wa_id: str) -> None:
    await store.database.write(lambda connection: learn(connection, [Learnt(MAIN, to, wa_id)]))


@in_a_loop
async def test_a_person_who_never_wrote_was_not_heard(database: Backend) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id="15551230002"))
        await store.tell(Heard(sender=OTHER, at=START, wa_id="15551230001"))

        assert await last_heard(store, "+15551230001") is None


@in_a_loop
async def test_a_person_is_heard_by_number_and_by_user_id(database: Backend) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id="15551230001", user_id=USER_ID))
        assert await last_heard(store, "+15551230001") == START
        assert await last_heard(store, USER_ID) == START

        # From here on it is known who that is.
        await store.tell(Heard(sender=MAIN, at=minutes(1), user_id=USER_ID))
        assert await last_heard(store, USER_ID) == minutes(1)
        assert await last_heard(store, "+15551230001") == minutes(1)

        await store.tell(Heard(sender=MAIN, at=minutes(2), wa_id="15551230001"))
        assert await last_heard(store, USER_ID) == minutes(2)

        await store.tell(Heard(sender=MAIN, at=minutes(3)))  # whoever that was
        await store.tell(Heard(sender=MAIN, at=minutes(3), user_id="US.2"))
        assert await last_heard(store, USER_ID) == minutes(2)
        assert await last_heard(store, "+15551230001") == minutes(2)


@in_a_loop
async def test_what_was_heard_under_a_user_id_counts_once_it_is_known_whose_it_is(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=minutes(5), user_id=USER_ID))
        await store.tell(Heard(sender=MAIN, at=START, wa_id="15551230001"))
        assert await last_heard(store, "+15551230001") == START

        # A callback that comes late, or the answer to a send.
        await store.tell(Heard(sender=MAIN, at=START, wa_id="15551230001", user_id=USER_ID))
        assert await last_heard(store, "+15551230001") == minutes(5)

        await store.tell(Heard(sender=MAIN, at=minutes(6), user_id="US.2"))
        await learnt(store, "US.2", "15551230001")
        assert await last_heard(store, "+15551230001") == minutes(6)


@in_a_loop
async def test_a_receipt_tells_whose_user_id_it_is(database: Backend) -> None:
    async with database.open() as store:
        message = await store.accepted()
        await store.tell(Heard(sender=MAIN, at=minutes(5), user_id=USER_ID))
        await store.tell(told(ReceiptStatus.READ, of=message, wa_id=WA_ID, user_id=USER_ID))

        assert await last_heard(store, f"+{WA_ID}") == minutes(5)

        await store.tell(told(ReceiptStatus.READ, of=message, wa_id="GROUP-1", user_id=USER_ID))
        await store.tell(Heard(sender=MAIN, at=minutes(6), user_id=USER_ID))
        assert await last_heard(store, f"+{WA_ID}") == minutes(6)


@pytest.mark.parametrize("last", ["15551230001", "15551230002"])
@in_a_loop
async def test_of_callbacks_that_come_together_the_last_says_whose_user_id_it_is(
    database: Backend, last: str
) -> None:
    async with database.open() as store:
        message = await store.sent()
        both: list[Told | Heard] = [
            told(ReceiptStatus.READ, of=message, wa_id="15551230001", user_id=USER_ID),
            Heard(sender=MAIN, at=START, wa_id="15551230002", user_id=USER_ID),
        ]
        await asyncio.gather(*map(store.tell, sorted(both, key=lambda one: one.wa_id == last)))
        await store.tell(Heard(sender=MAIN, at=minutes(1), user_id=USER_ID))

        assert await last_heard(store, f"+{last}") == minutes(1)


@in_a_loop
async def test_messages_that_come_together_find_each_persons_window(database: Backend) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id=WA_ID))
        await store.tell(Heard(sender=MAIN, at=START, wa_id="15551230001", user_id=USER_ID))
        await store.tell(Heard(sender=OTHER, at=START, wa_id="15551230002"))
        await learnt(store, NUMBER, WA_ID)
        await store.clock.advance(60)

        to = [NUMBER, f"+{WA_ID}", "+15551230001", "+15551230001", "+15551230002"]
        stored = await asyncio.gather(*(store.accepted(to=one) for one in to))

        reply, single = QueueClass.REPLY, QueueClass.SINGLE
        assert [one.queue_class for one in stored] == [reply, reply, reply, reply, single]


@in_a_loop
async def test_answers_that_come_together_each_say_by_which_digits_a_person_is_known(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id=WA_ID))
        people = [(NUMBER, WA_ID), ("+15551230002", "15551230003"), ("+15551230004", "15551230004")]
        for to, _ in people:
            await store.accepted(to=to)
        begun = (await store.messages.begin(MAIN, limit=9, judge=begin_due)).messages
        await asyncio.gather(
            *(
                store.settle(message, ACCEPTED, provider_id=f"wamid.{wa_id}", wa_id=wa_id)
                for message, (_, wa_id) in zip(begun, people, strict=True)
            )
        )
        for _, wa_id in people[1:]:
            await store.tell(Heard(sender=MAIN, at=minutes(1), wa_id=wa_id))

        assert await last_heard(store, NUMBER) == START
        assert await last_heard(store, "+15551230002") == minutes(1)
        assert await last_heard(store, "+15551230004") == minutes(1)


@in_a_loop
async def test_what_is_learnt_together_is_learnt_in_its_order(database: Backend) -> None:
    async with database.open() as store:
        for minute, wa_id in enumerate(("15551230002", "15551230003")):
            await store.tell(Heard(sender=MAIN, at=minutes(minute), wa_id=wa_id))
        two = Learnt(MAIN, "+15551230001", "15551230002")
        three = two._replace(wa_id="15551230003")
        itself = two._replace(wa_id="15551230001")
        for told_in_order, last in (
            ([two, three], minutes(1)),
            ([three, two], START),
            ([two, itself], None),
            ([itself, two], START),
        ):
            await store.database.write(partial(_learn_all, told_in_order))
            assert await last_heard(store, "+15551230001") == last


@in_a_loop
async def test_a_user_id_goes_with_a_person_who_has_another_number(database: Backend) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id="15551230001", user_id=USER_ID))
        await store.tell(Heard(sender=MAIN, at=minutes(1), wa_id="15551230002", user_id=USER_ID))
        await store.tell(Heard(sender=MAIN, at=minutes(2), user_id=USER_ID))

        assert await last_heard(store, "+15551230002") == minutes(2)
        assert await last_heard(store, "+15551230001") == START


@pytest.mark.parametrize("together", [False, True])
@in_a_loop
async def test_what_comes_late_never_moves_a_window_back(database: Backend, together: bool) -> None:
    told = [Heard(sender=MAIN, at=minutes(n), wa_id="15551230001") for n in (5, 9, 1)]
    async with database.open() as store:
        if together:
            await store.tell(*told)
        else:
            for one in told:
                await store.tell(one)

        assert await last_heard(store, "+15551230001") == minutes(9)
    async with database.open() as store:
        assert await last_heard(store, "+15551230001") == minutes(9)


@in_a_loop
async def test_a_number_that_whatsapp_knows_by_other_digits_is_heard_by_both(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id=WA_ID))
        assert await last_heard(store, NUMBER) is None

        await learnt(store, NUMBER, WA_ID)
        assert await last_heard(store, NUMBER) == START
        assert await last_heard(store, f"+{WA_ID}") == START


@in_a_loop
async def test_the_latest_under_either_of_its_digits_counts(database: Backend) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=minutes(1), wa_id=NUMBER[1:]))
        await learnt(store, NUMBER, WA_ID)
        assert await last_heard(store, f"+{WA_ID}") == minutes(1)

        await store.tell(Heard(sender=MAIN, at=minutes(2), wa_id=WA_ID))
        assert await last_heard(store, NUMBER) == minutes(2)
        await store.tell(Heard(sender=MAIN, at=minutes(3), wa_id=NUMBER[1:]))
        assert await last_heard(store, NUMBER) == minutes(3)
        assert await last_heard(store, f"+{WA_ID}") == minutes(3)


@in_a_loop
async def test_other_digits_count_no_longer_once_whatsapp_knows_the_number_by_itself(
    database: Backend,
) -> None:
    async with database.open() as store:
        await learnt(store, NUMBER, WA_ID)
        await learnt(store, NUMBER, NUMBER[1:])
        await store.tell(Heard(sender=MAIN, at=START, wa_id=WA_ID))
        assert await last_heard(store, NUMBER) is None

        await learnt(store, NUMBER, WA_ID)
        assert await last_heard(store, NUMBER) == START


@in_a_loop
async def test_the_latest_word_on_a_number_counts(database: Backend) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id=WA_ID))
        await learnt(store, NUMBER, "551187650002")
        assert await last_heard(store, NUMBER) is None
        await learnt(store, NUMBER, WA_ID)
        assert await last_heard(store, NUMBER) == START


@in_a_loop
async def test_nothing_is_learnt_where_the_digits_are_the_same_or_there_is_no_number(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.tell(Heard(sender=MAIN, at=START, wa_id=WA_ID))
        await learnt(store, None, WA_ID)
        await learnt(store, f"+{WA_ID}", WA_ID)

        assert await last_heard(store, f"+{WA_ID}") == START
        assert await last_heard(store, NUMBER) is None
