"""Evidence without a mark: parked receipts settle attempts that nobody answered, if it is clear."""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.stores import Backend, Stores, told
from tests.examples import MAIN, OTHER, a_message, begin_due
from tests.running import in_a_loop

from alir.messages import life
from alir.messages.model import Decision, Flag, Message, Outcome, ReceiptStatus, Status
from alir.receipts.guess import GUESS_AFTER
from alir.store.contacts import Learnt, learn

SENT, DELIVERED, READ, FAILED = ReceiptStatus
PERSON = "15551230001"  # whom the messages of the examples go to


async def _unknown(store: Stores, **fields: Any) -> Message:
    return await store.settle(await store.begun(**fields), Outcome.UNKNOWN)


async def _later(store: Stores) -> None:
    """Guess, once receipts have waited for long enough."""
    store.clock.leap(GUESS_AFTER.total_seconds())
    await store.receipts.guess([MAIN])


@pytest.mark.parametrize("on_the_wire", [False, True])
@in_a_loop
async def test_a_receipt_to_the_same_person_settles_the_only_attempt_without_an_answer(
    database: Backend, on_the_wire: bool
) -> None:
    async with database.open() as store:
        message = await (store.begun() if on_the_wire else _unknown(store))
        await store.sent("request-0")  # answered
        await store.tell(told(SENT, provider_id="request-1", wa_id=PERSON))
        await store.receipts.guess([MAIN])
        assert await store.messages.get(message.id) == message
        await _later(store)
        after = await store.messages.get(message.id)

        assert (after.status, after.flags) == (Status.SENT, (Flag.GUESS,))
        assert (after.attempts[0].outcome, after.attempts[0].provider_id) == (
            Outcome.ACCEPTED,
            "request-1",
        )
        assert store.changed[-1] == after
        told_of = (await store.events(message.id))[-2:]
        assert [event["type"] for event in told_of] == ["message.accepted", "message.sent"]
        assert [event["data"]["flags"] for event in told_of] == [[Flag.GUESS]] * 2
        assert store.consequences.decisions == [(message.id, Decision.GUESS)]
        assert await store.parked() == 0


@in_a_loop
async def test_everything_that_is_parked_under_the_id_goes_with_it_and_what_comes_later(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await _unknown(store)
        for status in (SENT, DELIVERED):
            await store.tell(told(status, provider_id="request-1", wa_id=PERSON))
        await _later(store)
        assert (await store.messages.get(message.id)).status is Status.DELIVERED
        await store.tell(told(READ, provider_id="request-1"))
        after = await store.messages.get(message.id)

        assert [receipt.status for receipt in after.receipts] == [SENT, DELIVERED, READ]
        assert after.status is Status.READ


@in_a_loop
async def test_where_two_attempts_have_no_answer_neither_is_settled_until_one_has(
    database: Backend,
) -> None:
    async with database.open() as store:
        first, second = await _unknown(store), await _unknown(store)
        await store.tell(told(SENT, provider_id="request-1", wa_id=PERSON))
        await _later(store)
        assert await store.messages.get(first.id) == first
        assert await store.messages.get(second.id) == second

        await store.settle(second, Outcome.REFUSED)
        await store.receipts.guess([MAIN])
        assert (await store.messages.get(first.id)).status is Status.SENT


@in_a_loop
async def test_two_attempts_of_one_message_are_two(database: Backend) -> None:
    async with database.open() as store:
        message = await _unknown(store)
        now = store.clock.now()
        await store.messages.change(message, lambda m: life.retry(m, now=now))
        [again] = (await store.messages.begin(MAIN, limit=1, judge=begin_due)).messages
        await store.tell(told(SENT, provider_id="request-1", wa_id=PERSON))
        await _later(store)

        assert await store.messages.get(message.id) == again


@pytest.mark.parametrize(
    "receipt",
    [
        told(SENT, provider_id="request-1"),
        told(SENT, provider_id="request-1", wa_id="15551230002"),
        told(SENT, provider_id="request-1", wa_id=PERSON, sender=OTHER),
        told(SENT, provider_id="request-1", wa_id=PERSON, of=a_message()),
        told(FAILED, provider_id="request-1", wa_id=PERSON),
    ],
    ids=["nobody", "somebody else", "another sender", "another message", "failed"],
)
@in_a_loop
async def test_what_may_be_about_something_else_settles_nothing(
    database: Backend, receipt: Any
) -> None:
    async with database.open() as store:
        message = await _unknown(store)
        await store.tell(receipt)
        await _later(store)

        assert await store.messages.get(message.id) == message
        assert await store.parked() == 1


@in_a_loop
async def test_what_came_before_the_begin_settles_nothing(database: Backend) -> None:
    async with database.open() as store:
        await store.tell(told(SENT, provider_id="request-1", wa_id=PERSON))
        store.clock.leap(0.001)
        message = await _unknown(store)
        await _later(store)

        assert await store.messages.get(message.id) == message


@in_a_loop
async def test_a_sender_that_is_not_guessed_for_is_left_alone(database: Backend) -> None:
    async with database.open() as store:
        message = await _unknown(store, sender=OTHER)
        await store.tell(told(SENT, provider_id="request-1", wa_id=PERSON, sender=OTHER))
        await _later(store)

        assert await store.messages.get(message.id) == message


@pytest.mark.parametrize("known_by", ["alias", "answer"])
@in_a_loop
async def test_a_person_is_the_same_by_other_digits(database: Backend, known_by: str) -> None:
    to, wa_id = "+5511987650001", "551187650001"
    async with database.open() as store:
        begun = await store.begun(to=to)
        if known_by == "alias":
            await store.database.write(lambda c: learn(c, [Learnt(MAIN, to, wa_id)]))
            await store.settle(begun, Outcome.UNKNOWN)
        else:
            await store.settle(begun, Outcome.UNKNOWN, wa_id=wa_id)
        await store.tell(told(SENT, provider_id="request-1", wa_id=wa_id))
        await _later(store)

        assert (await store.messages.get(begun.id)).status is Status.SENT


@in_a_loop
async def test_an_answer_that_comes_later_adds_nothing_that_the_guess_did_not_know(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.begun()
        await store.tell(told(SENT, provider_id="request-1", wa_id=PERSON))
        await _later(store)
        guessed = await store.messages.get(message.id)
        after = await store.settle(message, Outcome.ACCEPTED, provider_id="request-1")

        assert after == guessed
