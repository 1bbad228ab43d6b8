"""Changes are decided upon the message as it stands, and written whole or not at all."""

from __future__ import annotations

import asyncio

import pytest
from tests.clock import START
from tests.contract.stores import Backend, told
from tests.examples import MAIN, begin_due
from tests.running import in_a_loop

from alir.errors import NotFound, TooLate
from alir.ids import MessageId
from alir.messages import life
from alir.messages.life import Change, Settlement
from alir.messages.model import Attempt, Message, Outcome, ReceiptStatus, Status

BUSY = life.error("provider_busy", "Busy", provider_code="131016", detail="Später – 🙂")


def _retried(message: Message) -> Change:
    return life.retry(message, now=START)


@in_a_loop
async def test_a_change_is_stored_and_told_of(database: Backend) -> None:
    async with database.open() as store:
        message = await store.accepted()
        cancelled = await store.messages.change(message.id, life.cancel)

        assert cancelled.status is Status.CANCELLED
        assert store.changed[-1] == cancelled
        assert await store.messages.get(message.id) == cancelled
        assert await store.event_types(message.id) == ["message.queued", "message.cancelled"]


@in_a_loop
async def test_a_decision_that_nothing_changes_writes_and_tells_nothing(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.accepted()
        same = await store.messages.change(message, lambda _: None)

        assert same == message
        assert len(store.changed) == 1
        assert len(await store.events()) == 1


@pytest.mark.parametrize("by_id", [False, True], ids=["message", "id"])
@in_a_loop
async def test_a_message_that_changed_meanwhile_is_decided_upon_anew(
    database: Backend, by_id: bool
) -> None:
    async with database.open() as store:
        stale = await store.begun()
        fresh = await store.settle(stale, Outcome.BUSY, due_at=START)

        after = await store.messages.change(stale.id if by_id else stale, life.cancel)

        assert after.status is Status.CANCELLED
        assert after.attempts == fresh.attempts
        assert await store.messages.get(stale.id) == after


@in_a_loop
async def test_a_stale_message_that_could_be_changed_is_not_where_it_no_longer_can(
    database: Backend,
) -> None:
    async with database.open() as store:
        queued = await store.accepted()
        await store.messages.begin(MAIN, limit=1, judge=begin_due)

        with pytest.raises(TooLate) as caught:
            await store.messages.change(queued, life.cancel)
        assert caught.value.status == "sending"
        assert (await store.messages.get(queued.id)).status is Status.SENDING


@in_a_loop
async def test_a_refused_decision_writes_nothing(database: Backend) -> None:
    async with database.open() as store:
        sent = await store.sent()
        changed = len(store.changed)
        with pytest.raises(TooLate):
            await store.messages.change(sent.id, life.cancel)

        assert await store.messages.get(sent.id) == sent
        assert len(store.changed) == changed


@in_a_loop
async def test_what_is_not_there_cannot_be_changed(database: Backend) -> None:
    async with database.open() as store:
        with pytest.raises(NotFound):
            await store.messages.change(MessageId("msg_none"), life.cancel)


@in_a_loop
async def test_of_many_who_take_a_message_back_or_begin_it_at_once_one_wins(
    database: Backend,
) -> None:
    async with database.open() as store:
        ids = [(await store.accepted()).id for _ in range(30)]
        cancels = [store.messages.change(id_, life.cancel) for id_ in ids]
        begins = [store.messages.begin(MAIN, limit=2, judge=begin_due) for _ in range(15)]
        mixed = [work for pair in zip(cancels[::2], begins, strict=True) for work in pair]
        results = await asyncio.gather(*mixed, *cancels[1::2], return_exceptions=True)

        for id_ in ids:
            message = await store.messages.get(id_)
            begun = message.status is Status.SENDING
            assert begun or message.status is Status.CANCELLED
            assert len(message.attempts) == int(begun)
        assert all(isinstance(r, TooLate) for r in results if isinstance(r, BaseException))


@in_a_loop
async def test_many_changes_of_one_message_at_once_all_count(database: Backend) -> None:
    async with database.open() as store:
        message = await store.settle(await store.begun(), Outcome.REFUSED)
        results = await asyncio.gather(
            *(store.messages.change(message, _retried) for _ in range(20)),
            return_exceptions=True,
        )

        assert sum(isinstance(r, Message) for r in results) == 1
        assert sum(isinstance(r, TooLate) for r in results) == 19
        types = await store.event_types(message.id)
        assert types == ["message.queued", "message.failed", "message.queued"]


# Settling


@in_a_loop
async def test_an_accepted_attempt_keeps_what_the_provider_said(database: Backend) -> None:
    async with database.open() as store:
        begun = await store.begun()
        store.clock.leap(0.25)
        settled = await store.settle(
            begun, Outcome.ACCEPTED, provider_id="wamid.1", wa_id="15551230001"
        )

        assert (settled.status, settled.wa_id) == (Status.ACCEPTED, "15551230001")
        [attempt] = settled.attempts
        assert (attempt.outcome, attempt.provider_id) == (Outcome.ACCEPTED, "wamid.1")
        assert attempt.settled_at == store.clock.now()
        assert await store.messages.get(begun.id) == settled


@in_a_loop
async def test_a_busy_attempt_queues_the_message_with_its_due_time(database: Backend) -> None:
    async with database.open() as store:
        begun = await store.begun()
        settled = await store.settle(begun, Outcome.BUSY, due_at=START.replace(hour=1), error=BUSY)

        assert (settled.status, settled.tries) == (Status.QUEUED, 1)
        assert await store.messages.get(begun.id) == settled
        later = await store.messages.begin(MAIN, limit=1, judge=begin_due)
        assert later.next_due == START.replace(hour=1)
        assert await store.event_types(begun.id) == ["message.queued"]


@in_a_loop
async def test_a_refused_attempt_fails_the_message_with_the_providers_words(
    database: Backend,
) -> None:
    async with database.open() as store:
        settled = await store.settle(await store.begun(), Outcome.REFUSED, error=BUSY)

        assert (settled.status, settled.error) == (Status.FAILED, BUSY)
        assert (await store.messages.get(settled.id)).error == BUSY
        assert settled.attempts[0].error == BUSY


@in_a_loop
async def test_the_same_answer_recorded_twice_changes_nothing(database: Backend) -> None:
    async with database.open() as store:
        begun = await store.begun()
        first = await store.settle(begun, Outcome.ACCEPTED, provider_id="wamid.1")
        changed = len(store.changed)
        second = await store.settle(begun, Outcome.ACCEPTED, provider_id="wamid.1")

        assert second == first
        # Told again all the same: had the first write been in doubt, nobody would know of it.
        assert store.changed[changed:] == [first]


@in_a_loop
async def test_a_late_answer_settles_an_unknown_attempt(database: Backend) -> None:
    async with database.open() as store:
        begun = await store.begun()
        await store.settle(begun, Outcome.UNKNOWN)
        settled = await store.settle(begun, Outcome.ACCEPTED, provider_id="wamid.1")

        assert settled.status is Status.ACCEPTED
        assert await store.messages.left_begun() == []


@in_a_loop
async def test_an_answer_to_an_earlier_attempt_settles_that_one(database: Backend) -> None:
    async with database.open() as store:
        begun = await store.begun()
        unknown = await store.settle(begun, Outcome.UNKNOWN)
        await store.messages.change(unknown, _retried)
        [again] = (await store.messages.begin(MAIN, limit=1, judge=begin_due)).messages
        settlement = Settlement(outcome=Outcome.ACCEPTED)
        settled = await store.messages.settle(begun, settlement, number=1)

        assert settled.attempts == (
            Attempt(number=1, begun_at=START, settled_at=START, outcome=Outcome.ACCEPTED),
            Attempt(number=2, begun_at=START),
        )
        assert settled.version == again.version + 1


@in_a_loop
async def test_nothing_is_settled_of_a_message_that_is_not_there(database: Backend) -> None:
    async with database.open() as store:
        begun = await store.begun()
        gone = begun.but(id=MessageId("msg_gone"))
        with pytest.raises(NotFound):
            await store.settle(gone, Outcome.ACCEPTED, provider_id="wamid.1")


@pytest.mark.parametrize("parked", [False, True], ids=["none parked", "some parked"])
@in_a_loop
async def test_many_answers_at_once_are_all_recorded_each_once(
    database: Backend, parked: bool
) -> None:
    async with database.open() as store:
        for _ in range(150):
            await store.accepted()
        begun = (await store.messages.begin(MAIN, limit=150, judge=begin_due)).messages
        stale, twice, refused = begun[10], begun[20], begun[30]
        await store.settle(stale, Outcome.UNKNOWN)
        await store.messages.change(stale.id, life.cancel)
        if parked:
            await store.tell(told(ReceiptStatus.READ, provider_id=f"wamid.{begun[40].id}"))
        answers = [
            store.settle(m, Outcome.ACCEPTED, provider_id=f"wamid.{m.id}")
            for m in (*begun, twice)
            if m is not refused
        ]
        results = await asyncio.gather(*answers, store.settle(refused, Outcome.REFUSED))

        for after in results:
            assert await store.messages.get(after.id) == after
            expected = {refused.id: Status.FAILED}
            if parked:
                expected[begun[40].id] = Status.READ
            assert after.status is expected.get(after.id, Status.ACCEPTED)
        types = await store.event_types(stale.id)
        assert types[1:] == ["message.unknown", "message.failed", "message.accepted"]
        assert (await store.event_types(twice.id)).count("message.accepted") == 1
        assert await store.messages.left_begun() == []


@in_a_loop
async def test_one_answer_that_cannot_be_recorded_spoils_no_other(database: Backend) -> None:
    async with database.open() as store:
        begun = [await store.begun() for _ in range(5)]
        gone = begun[2].but(id=MessageId("msg_gone"))
        results = await asyncio.gather(
            *(store.settle(m, Outcome.ACCEPTED) for m in (*begun[:2], gone, *begun[3:])),
            return_exceptions=True,
        )

        assert isinstance(results.pop(2), NotFound)
        assert all(isinstance(r, Message) and r.status is Status.ACCEPTED for r in results)


# Events


@in_a_loop
async def test_events_are_in_order_each_with_the_message_as_it_stood_then(
    database: Backend,
) -> None:
    async with database.open() as store:
        message = await store.begun()
        await store.settle(message, Outcome.UNKNOWN)
        await store.tell(told(ReceiptStatus.READ, of=message, wa_id="15551230001"))
        final = await store.messages.get(message.id)

        events = await store.events()
        assert [event["type"] for event in events] == [
            *("message.queued", "message.unknown", "message.accepted", "message.read"),
        ]
        for event in events:
            assert event["type"] == f"message.{event['data']['status']}"
            assert event["data"]["id"] == message.id
        queued, unknown, accepted, read = (event["data"] for event in events)
        assert queued["attempts"] == []
        assert unknown["attempts"][0]["outcome"] == "unknown"
        assert accepted["attempts"][0]["outcome"] == "accepted"
        assert [accepted["receipts"], len(read["receipts"])] == [[], 1]
        assert read == final.as_json()


@in_a_loop
async def test_a_message_survives_a_restart_at_every_step_of_its_life(database: Backend) -> None:
    async with database.open() as store:
        message = await store.begun()
    for step in (
        lambda s, m: s.settle(m, Outcome.UNKNOWN, error=BUSY),
        lambda s, m: s.messages.change(m, _retried),
        lambda s, m: s.messages.begin(MAIN, limit=1, judge=begin_due),
        lambda s, m: s.settle(m, Outcome.ACCEPTED, provider_id="wamid.2"),
        lambda s, m: s.tell(told(ReceiptStatus.FAILED, provider_id="wamid.2", error=BUSY)),
        lambda s, m: s.tell(told(ReceiptStatus.DELIVERED, of=m, provider_id="wamid.1")),
        lambda s, m: s.tell(told(ReceiptStatus.READ, of=m, attempt=2, provider_id="wamid.2")),
    ):
        async with database.open() as store:
            await step(store, message)  # type: ignore[no-untyped-call]
            after = await store.messages.get(message.id)
            assert store.changed[-1] == after
            assert after.version == message.version + 1
            message = after
        async with database.open() as store:
            assert await store.messages.get(message.id) == message
    assert message.status is Status.READ
    assert set(message.flags) == {"resent", "duplicated", "after_failed"}
