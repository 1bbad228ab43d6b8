"""Beginning: what is due, in order, once; and what time finds in the queue."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from tests.clock import START
from tests.contract.stores import Backend, told
from tests.examples import MAIN, OTHER, TEMPLATE, a_message, begin_due
from tests.running import in_a_loop

from alir.dispatch.gate import Turn
from alir.dispatch.ports import Due, Served
from alir.errors import RequestInvalid
from alir.intake.ports import IdempotencyKey
from alir.messages import life
from alir.messages.model import (
    Flag,
    Message,
    OnUnknown,
    Outcome,
    Priority,
    QueueClass,
    ReceiptStatus,
    Status,
)
from alir.receipts.model import Heard
from alir.store.line import MOST_PARKED

NOTHING_DUE = Due(dict.fromkeys(QueueClass, 0), None)


def _later(seconds: float) -> dict[str, object]:
    return {"due_at": START + timedelta(seconds=seconds)}


@in_a_loop
async def test_due_messages_are_begun_longest_due_first_then_in_the_order_of_accepting(
    database: Backend,
) -> None:
    async with database.open() as store:
        second = await store.accepted(due_at=START - timedelta(seconds=1))
        third = await store.accepted(due_at=START)
        fourth = await store.accepted(due_at=START)
        first = await store.accepted(due_at=START - timedelta(seconds=2))
        begun = await store.messages.begin(MAIN, limit=10, judge=begin_due)

        assert [m.id for m in begun.messages] == [first.id, second.id, third.id, fourth.id]
        for message in begun.messages:
            assert message.status is Status.SENDING
            assert [(a.number, a.begun_at) for a in message.attempts] == [(1, START)]
            assert await store.messages.get(message.id) == message


@in_a_loop
async def test_only_the_senders_own_messages_are_begun(database: Backend) -> None:
    async with database.open() as store:
        mine = await store.accepted()
        other = await store.accepted(sender=OTHER)
        begun = await store.messages.begin(MAIN, limit=10, judge=begin_due)

        assert [m.id for m in begun.messages] == [mine.id]
        assert (await store.messages.get(other.id)).status is Status.QUEUED


@in_a_loop
async def test_only_queued_messages_are_begun(database: Backend) -> None:
    async with database.open() as store:
        await store.begun()
        await store.sent()
        cancelled = await store.accepted()
        await store.messages.change(cancelled, life.cancel)
        changed = len(store.changed)

        assert (await store.messages.begin(MAIN, limit=10, judge=begin_due)).messages == ()
        assert len(store.changed) == changed


@in_a_loop
async def test_a_message_is_not_begun_before_it_is_due(database: Backend) -> None:
    async with database.open() as store:
        message = await store.accepted(**_later(0.001))
        early = await store.messages.begin(MAIN, limit=10, judge=begin_due)
        store.clock.leap(0.001)
        in_time = await store.messages.begin(MAIN, limit=10, judge=begin_due)

        assert (early.messages, early.more) == ((), False)
        assert early.next_due == START + timedelta(milliseconds=1)
        assert [m.id for m in in_time.messages] == [message.id]


@in_a_loop
async def test_a_message_is_begun_as_it_stands_whoever_changed_it_last(database: Backend) -> None:
    async with database.open() as store:
        busy = await store.settle(await store.begun(), Outcome.BUSY, due_at=START)
        await store.tell(told(ReceiptStatus.FAILED, of=busy))  # kept; it moves nothing
        [begun] = (await store.messages.begin(MAIN, limit=1, judge=begin_due)).messages

        assert [r.status for r in begun.receipts] == [ReceiptStatus.FAILED]
        assert len(begun.attempts) == 2
        assert await store.messages.get(busy.id) == begun


@in_a_loop
async def test_what_waits_behind_the_limit_is_begun_next(database: Backend) -> None:
    async with database.open() as store:
        ids = [(await store.accepted()).id for _ in range(5)]
        rounds = [await store.messages.begin(MAIN, limit=2, judge=begin_due) for _ in range(3)]

        assert [m.id for begun in rounds for m in begun.messages] == ids
        assert [begun.more for begun in rounds] == [True, True, False]
        assert [begun.next_due for begun in rounds] == [None, None, None]


@in_a_loop
async def test_the_next_due_message_of_the_sender_is_told(database: Backend) -> None:
    async with database.open() as store:
        await store.accepted()
        await store.accepted(**_later(90))
        await store.accepted(**_later(60))
        await store.accepted(sender=OTHER, **_later(1))
        begun = await store.messages.begin(MAIN, limit=10, judge=begin_due)

        assert len(begun.messages) == 1
        assert begun.next_due == START + timedelta(seconds=60)


@in_a_loop
async def test_many_who_begin_at_once_never_begin_the_same_message(database: Backend) -> None:
    async with database.open() as store:
        ids = {(await store.accepted()).id for _ in range(60)}
        rounds = await asyncio.gather(
            *(store.messages.begin(MAIN, limit=3, judge=begin_due) for _ in range(40))
        )

        begun = [m.id for begun in rounds for m in begun.messages]
        assert len(begun) == 60
        assert set(begun) == ids
        assert len(await store.messages.left_begun()) == 60


@in_a_loop
async def test_a_message_accepted_and_begun_in_one_breath_is_begun_once(database: Backend) -> None:
    async with database.open() as store:
        _, first, _, second = await asyncio.gather(
            store.accepted(),
            store.messages.begin(MAIN, limit=10, judge=begin_due),
            store.accepted(),
            store.messages.begin(MAIN, limit=10, judge=begin_due),
        )
        third = await store.messages.begin(MAIN, limit=10, judge=begin_due)

        begun = [m.id for b in (first, second, third) for m in b.messages]
        assert len(begun) == len(set(begun)) == 2


@in_a_loop
async def test_what_has_expired_is_marked_so_and_never_begun(database: Backend) -> None:
    async with database.open() as store:
        expired = await store.accepted(expires_at=START)
        living = await store.accepted(expires_at=START + timedelta(milliseconds=1))
        begun = await store.messages.begin(MAIN, limit=10, judge=begin_due)

        assert [m.id for m in begun.messages] == [living.id]
        assert (await store.messages.get(expired.id)).status is Status.EXPIRED
        assert await store.event_types(expired.id) == ["message.queued", "message.expired"]
        assert {m.id: m.status for m in store.changed}[expired.id] is Status.EXPIRED


@in_a_loop
async def test_expired_messages_at_the_head_do_not_hide_what_is_due_behind_them(
    database: Backend,
) -> None:
    async with database.open() as store:
        for _ in range(2):
            await store.accepted(expires_at=START)
        living = await store.accepted()
        begun = await store.messages.begin(MAIN, limit=2, judge=begin_due)

        assert ([m.id for m in begun.messages], begun.more) == ([living.id], False)


@in_a_loop
async def test_what_has_to_wait_is_parked_and_hides_nothing_that_is_due_behind_it(
    database: Backend,
) -> None:
    async with database.open() as store:
        for _ in range(MOST_PARKED + 1):
            await store.accepted(to="+15551230009")
        other = await store.accepted()

        def judge(
            message: Message, *, window_shut: bool, head_of: str | None = None
        ) -> life.Change | None:
            if message.id != other.id:
                return life.park(message, "recipient +15551230009")
            return begin_due(message, window_shut=window_shut)

        first = await store.messages.begin(MAIN, limit=1, judge=judge)
        second = await store.messages.begin(MAIN, limit=1, judge=judge)

        assert (first.messages, first.more) == ((), True)
        assert [m.id for m in second.messages] == [other.id]
        assert await store.messages.parked(MAIN) == [("recipient +15551230009", MOST_PARKED + 1)]
        assert await store.messages.lately(MAIN, since=START) == [(other.to, START)]
        third = await store.messages.begin(MAIN, limit=1, judge=judge)
        assert (third.messages, third.next_due) == ((), None)


@in_a_loop
async def test_messages_of_an_earlier_process_go_in_the_order_of_their_classes_and_places(
    database: Backend,
) -> None:
    place = "recipient +15551230001"
    bulk = QueueClass.BULK
    async with database.open() as store:
        parked = [(await store.accepted(parked=place)).id for _ in range(3)]
        single = [(await store.accepted()).id for _ in range(60)]
        slow = [(await store.accepted(priority=Priority.BULK)).id for _ in range(30)]
    async with database.open() as store:
        single.append((await store.accepted()).id)  # one that is known, among those that are not
        begun: list[Message] = []
        for _ in range(4):
            turns = [Turn(place, 2, 6)] if not begun else []
            some = await store.messages.begin(MAIN, limit=30, judge=begin_due, turns=turns)
            begun += some.messages

        of_bulk = [m.id for m in begun if m.queue_class is bulk]
        of_single = [m.id for m in begun if m.queue_class is not bulk]
        assert of_bulk == slow
        assert of_single == [*parked[:2], *single]
        assert [m.queue_class is bulk for m in begun[:10]] == ([False] * 4 + [True]) * 2


@in_a_loop
async def test_of_a_place_that_has_its_turn_the_longest_waiting_go_first(
    database: Backend,
) -> None:
    async with database.open() as store:
        place = "recipient +15551230001"
        ids = [(await store.accepted(parked=place)).id for _ in range(5)]
        again = await store.accepted(parked=place, due_at=START - timedelta(seconds=9))
        elsewhere = await store.accepted(parked="flow 1")
        turns = [Turn(place, 3, 6), Turn("flow 2", 1, 1)]
        begun = await store.messages.begin(MAIN, limit=10, judge=begin_due, turns=turns)

        assert [m.id for m in begun.messages] == [again.id, *ids[:2]]
        assert [m.parked for m in begun.messages] == [None] * 3
        assert begun.served == (Served(place, 3, False), Served("flow 2", 0, True))
        assert dict(await store.messages.parked(MAIN)) == {place: 3, "flow 1": 1}
        assert (await store.messages.get(elsewhere.id)).status is Status.QUEUED


@in_a_loop
async def test_what_is_parked_expires_and_can_be_cancelled(database: Backend) -> None:
    async with database.open() as store:
        in_a_minute = START + timedelta(minutes=1)
        first = await store.accepted(parked="flow 1", expires_at=in_a_minute)
        second = await store.accepted(parked="flow 1")
        store.clock.leap(60)
        assert await store.messages.expired(limit=10) == [first.id]
        assert (await store.messages.change(second, life.cancel)).status is Status.CANCELLED
        assert await store.messages.parked(MAIN) == [("flow 1", 1)]
        assert await store.messages.due(MAIN, at_most=10) == NOTHING_DUE


@pytest.mark.parametrize("hours", [23, 25])
@in_a_loop
async def test_a_judge_is_told_whether_the_window_is_shut_for_what_has_a_fallback(
    database: Backend, hours: int
) -> None:
    async with database.open() as store:
        wrote = Heard(sender=MAIN, wa_id="15551230001", at=START - timedelta(hours=hours))
        await store.receipts.apply([wrote], callback=0)
        await store.accepted()
        await store.accepted(fallback=TEMPLATE)
        told: list[bool] = []

        def judge(
            message: Message, *, window_shut: bool, head_of: str | None = None
        ) -> life.Change | None:
            told.append(window_shut)
            return begin_due(message, window_shut=window_shut)

        begun = await store.messages.begin(MAIN, limit=2, judge=judge)

        assert told == [False, hours == 25]
        assert [m.as_template for m in begun.messages] == [None, TEMPLATE if told[1] else None]
        assert [[w.code for w in m.warnings] for m in begun.messages] == [
            ["window_shut"] if hours == 25 else []
        ] * 2


@in_a_loop
async def test_a_message_is_refused_where_the_window_is_shut_and_the_sender_wants_that(
    database: Backend,
) -> None:
    async with database.open() as store:
        wrote = Heard(sender=MAIN, wa_id="15551230001", at=START - timedelta(hours=25))
        await store.receipts.apply([wrote], callback=0)
        for key in (None, IdempotencyKey("k", b"hash")):
            with pytest.raises(RequestInvalid) as caught:
                await store.messages.accept(a_message(), key, refuse_shut=True)
            assert [fault.code for fault in caught.value.faults] == ["window_shut"]
        for taken in (a_message(fallback=TEMPLATE), a_message(to="+15551230002")):
            assert await store.messages.accept(taken, None, refuse_shut=True)


@pytest.mark.parametrize(
    ("hours_ago", "due_in", "is_refused", "words"),
    [
        # It waits for its turn with this person, and the window is shut already.
        (25, {"due_at": START + timedelta(seconds=6)}, True, None),
        (25, {"send_at": START - timedelta(hours=1)}, True, None),
        (25, {"send_at": START + timedelta(hours=1)}, False, "unless the person writes again"),
        (23, {"send_at": START + timedelta(hours=2)}, False, "unless the person writes again"),
        (23, {"send_at": START + timedelta(minutes=30)}, False, None),
        # It waits for its turn, and the window shuts meanwhile.
        (23, {"due_at": START + timedelta(hours=2)}, False, "unless the person writes again"),
    ],
)
@in_a_loop
async def test_a_message_is_refused_only_where_the_window_is_shut_now_and_it_would_go_now(
    database: Backend,
    hours_ago: int,
    due_in: dict[str, datetime],
    is_refused: bool,
    words: str | None | None,
) -> None:
    async with database.open() as store:
        wrote = Heard(sender=MAIN, wa_id="15551230001", at=START - timedelta(hours=hours_ago))
        await store.receipts.apply([wrote], callback=0)
        due_at = due_in.get("due_at", max(START, due_in.get("send_at", START)))
        message = a_message(**due_in | {"due_at": due_at})
        if is_refused:
            with pytest.raises(RequestInvalid):
                await store.messages.accept(message, None, refuse_shut=True)
            return

        stored = await store.messages.accept(message, None, refuse_shut=True)

        said = [warning.detail for warning in stored.message.warnings]
        assert len(said) == (words is not None)
        assert all(words and words in detail for detail in said)


@in_a_loop
async def test_a_message_that_expires_while_it_is_stored_is_not_begun(database: Backend) -> None:
    async with database.open() as store:
        late = a_message(expires_at=START)
        stored = await store.messages.accept(late, None, begin=True)

        assert (stored.message.status, stored.message.attempts) == (Status.QUEUED, ())


@in_a_loop
async def test_expired_finds_waiting_messages_whose_moment_has_passed(database: Backend) -> None:
    async with database.open() as store:
        in_a_minute = START + timedelta(minutes=1)
        second = await store.accepted(expires_at=in_a_minute, **_later(3600))
        first = await store.accepted(expires_at=START + timedelta(seconds=5))
        await store.accepted(expires_at=in_a_minute + timedelta(milliseconds=1))
        await store.accepted()
        await store.begun(sender=OTHER, expires_at=in_a_minute)
        assert await store.messages.expired(limit=10) == []
        store.clock.leap(60)

        assert await store.messages.expired(limit=10) == [first.id, second.id]
        assert await store.messages.expired(limit=1) == [first.id]


@in_a_loop
async def test_what_is_begun_and_not_settled_is_found_after_a_restart(database: Backend) -> None:
    async with database.open() as store:
        await store.sent()
        early = await store.begun()
        store.clock.leap(1)
        again = await store.settle(await store.begun(), Outcome.BUSY, due_at=store.clock.now())
        [late] = (await store.messages.begin(MAIN, limit=10, judge=begin_due)).messages
        assert late.id == again.id
    async with database.open() as store:
        left = await store.messages.left_begun()

        assert left == [(early.id, 1), (late.id, 2)]


@pytest.mark.parametrize("on_unknown", OnUnknown)
@in_a_loop
async def test_unknown_messages_that_may_be_sent_once_more_are_found_oldest_first(
    database: Backend, on_unknown: OnUnknown
) -> None:
    async with database.open() as store:
        await store.accepted(on_unknown=on_unknown)
        unknown = [
            await store.settle(await store.begun(on_unknown=on_unknown), Outcome.UNKNOWN)
            for _ in range(2)
        ]

        expected = unknown if on_unknown is OnUnknown.RETRY else []
        assert await store.messages.unknown_to_retry(of=[MAIN], limit=10) == expected
        assert await store.messages.unknown_to_retry(of=[MAIN], limit=1) == expected[:1]


@in_a_loop
async def test_what_is_left_unknown_is_found_newest_first(database: Backend) -> None:
    async with database.open() as store:
        unknown = [
            await store.settle(await store.begun(on_unknown=on_unknown), Outcome.UNKNOWN)
            for on_unknown in (*OnUnknown, *OnUnknown)
        ]
        await store.begun()
        await store.accepted()
        await store.sent()

        assert await store.messages.left_unknown(of=[MAIN], limit=10) == unknown[::-1]
        assert await store.messages.left_unknown(of=[MAIN], limit=3) == unknown[:0:-1]


@in_a_loop
async def test_unknown_messages_are_found_of_the_senders_that_are_asked_for(
    database: Backend,
) -> None:
    async with database.open() as store:
        both = [
            await store.settle(
                await store.begun(sender=sender, on_unknown=OnUnknown.RETRY), Outcome.UNKNOWN
            )
            for sender in (MAIN, OTHER)
        ]
        for message in both:
            assert await store.messages.unknown_to_retry(of=[message.sender], limit=9) == [message]
            assert await store.messages.left_unknown(of=[message.sender], limit=9) == [message]
        assert await store.messages.unknown_to_retry(of=[MAIN, OTHER], limit=9) == both
        assert await store.messages.unknown_to_retry(of=[], limit=9) == []


@in_a_loop
async def test_of_unknown_messages_the_expired_do_not_hide_those_that_may_be_sent_once_more(
    database: Backend,
) -> None:
    async with database.open() as store:
        for at in (1, 2):
            begun = await store.begun(
                on_unknown=OnUnknown.RETRY, expires_at=START + timedelta(seconds=at)
            )
            await store.settle(begun, Outcome.UNKNOWN)
        may = await store.settle(await store.begun(on_unknown=OnUnknown.RETRY), Outcome.UNKNOWN)
        store.clock.leap(2)

        assert await store.messages.unknown_to_retry(of=[MAIN], limit=1) == [may]


@in_a_loop
async def test_what_was_begun_before_a_moment_and_is_not_settled_is_found(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.sent()
        early = await store.begun()
        store.clock.leap(1)
        await store.begun()

        assert await store.messages.left_begun(before=store.clock.now()) == [
            (early.id, 1),
        ]
        assert await store.messages.left_begun(before=START) == []


@in_a_loop
async def test_a_second_unknown_is_held(database: Backend) -> None:
    async with database.open() as store:
        unknown = await store.settle(await store.begun(on_unknown=OnUnknown.RETRY), Outcome.UNKNOWN)
        await store.messages.change(unknown, lambda m: life.retry(m, now=store.clock.now()))
        [again] = (await store.messages.begin(MAIN, limit=10, judge=begin_due)).messages
        held = await store.settle(again, Outcome.UNKNOWN)

        assert (held.status, held.flags) == (Status.UNKNOWN, (Flag.RESENT,))
        assert await store.messages.unknown_to_retry(of=[MAIN], limit=10) == []


@in_a_loop
async def test_due_messages_are_counted_up_to_a_bound_with_the_longest_waiting(
    database: Backend,
) -> None:
    async with database.open() as store:
        assert await store.messages.due(MAIN, at_most=10) == NOTHING_DUE
        await store.accepted(**_later(-30))
        await store.accepted()
        await store.accepted()
        await store.accepted(**_later(1))
        await store.accepted(sender=OTHER)

        oldest = START - timedelta(seconds=30)
        due = await store.messages.due(MAIN, at_most=10)
        assert (due.up_to(100), due.oldest_at) == (3, oldest)
        due = await store.messages.due(MAIN, at_most=2)
        assert (due.up_to(100), due.oldest_at) == (2, oldest)


@in_a_loop
async def test_the_queue_outlives_a_restart(database: Backend) -> None:
    async with database.open() as store:
        ids = [(await store.accepted()).id for _ in range(3)]
    async with database.open() as store:
        begun = await store.messages.begin(MAIN, limit=10, judge=begin_due)

        assert [m.id for m in begun.messages] == ids
