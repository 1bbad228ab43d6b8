"""Three classes: which one a message is in, and whose turn it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from tests.clock import START
from tests.contract.stores import Backend, Stores, told
from tests.examples import MAIN, OTHER, TEMPLATE, a_message, begin_due
from tests.running import in_a_loop

from alir.dispatch.gate import Turn
from alir.dispatch.ports import Begun, Due, Served
from alir.dispatch.slots import NOBODY, StoodBack, next_slot
from alir.messages import life
from alir.messages.life import Again
from alir.messages.model import Message, Outcome, Priority, QueueClass, ReceiptStatus, Status
from alir.receipts.model import Heard
from alir.store.line import MOST_PARKED

REPLY, SINGLE, BULK = QueueClass
#: What a request says to get a message into each class.
ASKED: dict[QueueClass, dict[str, Any]] = {
    REPLY: {"reply_message_id": "wamid.1"},
    SINGLE: {},
    BULK: {"priority": Priority.BULK},
}
PLACE = "recipient +15551230001"


async def accepted(store: Stores, *classes: QueueClass, **fields: Any) -> list[Message]:
    """Messages of these classes, in this order."""
    return [await store.accepted(**ASKED[one], **fields) for one in classes]


async def begun_in_rounds(
    store: Stores, rounds: int, *, limit: int, turns: tuple[Turn, ...] = ()
) -> list[QueueClass]:
    """The class of each message that was begun, each round with what the one before it left."""
    classes: list[QueueClass] = []
    stood_back: StoodBack = NOBODY
    for _ in range(rounds):
        begun = await store.messages.begin(
            MAIN, limit=limit, judge=begin_due, turns=turns, stood_back=stood_back
        )
        classes += classes_of(begun)
        stood_back = begun.stood_back
    return classes


def classes_of(begun: Begun) -> list[QueueClass]:
    return [message.queue_class for message in begun.messages]


# Which class


@in_a_loop
async def test_the_class_is_decided_when_a_message_is_stored_and_outlives_a_restart(
    database: Backend,
) -> None:
    async with database.open() as store:
        messages = await accepted(store, *QueueClass)
        assert [m.queue_class for m in messages] == list(QueueClass)
    async with database.open() as store:
        for message in messages:
            assert await store.messages.get(message.id) == message
            assert message.as_json()["priority"] == message.priority


@pytest.mark.parametrize("kind", [{}, {"template": TEMPLATE, "type": "template", "flow": {}}])
@in_a_loop
async def test_what_goes_to_a_person_who_just_wrote_is_a_reply_whatever_was_asked_for(
    database: Backend, kind: dict[str, Any]
) -> None:
    async with database.open() as store:
        store.clock.leap(600)
        now = store.clock.now()
        await store.tell(
            Heard(sender=MAIN, at=now - timedelta(minutes=4), wa_id="15551230001"),
            Heard(sender=MAIN, at=now - timedelta(minutes=6), wa_id="15551230002"),
            Heard(sender=OTHER, at=now, wa_id="15551230003"),
        )
        bulk = ASKED[BULK] | kind
        just_wrote = await store.accepted(**bulk)
        earlier = await store.accepted(to="+15551230002", **bulk)
        elsewhere = await store.accepted(to="+15551230003", **bulk)
        in_an_hour = await store.accepted(due_at=now + timedelta(hours=1), **bulk)

        assert just_wrote.queue_class is REPLY
        assert just_wrote.priority is Priority.BULK
        for message in (earlier, elsewhere, in_an_hour):
            assert message.queue_class is BULK


@in_a_loop
async def test_a_message_keeps_its_class_whatever_becomes_of_it(database: Backend) -> None:
    async with database.open() as store:
        for one in QueueClass:
            begun = await store.begun(**ASKED[one], fallback=TEMPLATE)
            busy = await store.settle(begun, Outcome.BUSY, due_at=store.clock.now())
            [again] = (await store.messages.begin(MAIN, limit=9, judge=begin_due)).messages
            fallen_back = await store.settle(again, Outcome.REFUSED, window_shut=True)
            [again] = (await store.messages.begin(MAIN, limit=9, judge=begin_due)).messages
            refused = await store.settle(again, Outcome.REFUSED)
            retried = await store.messages.change(
                refused, lambda m: life.retry(m, now=store.clock.now())
            )
            parked = await store.messages.change(retried, lambda m: life.park(m, PLACE))

            for stands in (busy, fallen_back, refused, retried, parked):
                assert stands.queue_class is one
            await store.messages.change(parked, life.cancel)


@in_a_loop
async def test_a_message_that_fails_by_receipt_goes_again_in_its_class(database: Backend) -> None:
    async with database.open() as store:
        store.consequences.of["130429"] = Again(due_at=START)
        bulk = await store.sent(**ASKED[BULK])
        await accepted(store, SINGLE)
        failed = told(ReceiptStatus.FAILED, of=bulk, error={"provider_code": "130429"})
        await store.tell(failed)
        begun = await store.messages.begin(MAIN, limit=9, judge=begin_due)

        assert classes_of(begun) == [SINGLE, BULK]


# Whose turn


@in_a_loop
async def test_a_reply_goes_before_a_single_and_that_before_bulk_however_long_they_wait(
    database: Backend,
) -> None:
    async with database.open() as store:
        await accepted(store, BULK, SINGLE)
        store.clock.leap(60)
        await accepted(store, BULK, SINGLE, REPLY, REPLY)
        begun = await store.messages.begin(MAIN, limit=4, judge=begin_due)
        rest = await store.messages.begin(MAIN, limit=4, judge=begin_due)

        assert classes_of(begun) == [REPLY, REPLY, SINGLE, SINGLE]
        assert classes_of(rest) == [BULK, BULK]
        for one in (begun, rest):  # within a class: the order of accepting
            dates = [message.created_at for message in one.messages if message.queue_class != REPLY]
            assert dates == sorted(dates)


@in_a_loop
async def test_within_a_class_the_order_is_that_of_accepting(database: Backend) -> None:
    async with database.open() as store:
        ids: dict[QueueClass, list[str]] = {one: [] for one in QueueClass}
        for _ in range(12):
            for message in await accepted(store, *QueueClass):
                ids[message.queue_class].append(message.id)
        begun = await store.messages.begin(MAIN, limit=100, judge=begin_due)

        for one in QueueClass:
            assert [m.id for m in begun.messages if m.queue_class is one] == ids[one]


@pytest.mark.parametrize("limit", [1, 3, 5, 50])
@in_a_loop
async def test_the_shares_hold_over_begins_of_any_size(database: Backend, limit: int) -> None:
    async with database.open() as store:
        await accepted(store, *[BULK] * 50, *[SINGLE] * 50, *[REPLY] * 50)
        classes = await begun_in_rounds(store, 50 // limit, limit=limit)

        in_fives = [classes[i : i + 5] for i in range(0, len(classes) - 4, 5)]
        assert [five.count(BULK) for five in in_fives] == [1] * len(in_fives)
        assert Counter(classes[:25]) == {BULK: 5, SINGLE: 4, REPLY: 16}


@in_a_loop
async def test_a_lone_class_gets_every_slot(database: Backend) -> None:
    async with database.open() as store:
        for one in QueueClass:
            await accepted(store, *[one] * 7)
            assert await begun_in_rounds(store, 4, limit=2) == [one] * 7


@in_a_loop
async def test_a_begin_that_is_repeated_gives_the_same_slots(database: Backend) -> None:
    async with database.open() as store:
        await accepted(store, *[BULK] * 9, *[SINGLE] * 9)
        first = await store.messages.begin(MAIN, limit=3, judge=begin_due)
        after = await store.messages.begin(
            MAIN, limit=3, judge=begin_due, stood_back=first.stood_back
        )

        assert classes_of(first) + classes_of(after) == [SINGLE] * 4 + [BULK] + [SINGLE]
        assert dict(first.stood_back) == {BULK: 3}  # a value: no begin changes what another got


@in_a_loop
async def test_a_higher_class_that_is_not_due_yet_holds_up_nobody(database: Backend) -> None:
    async with database.open() as store:
        later = START + timedelta(minutes=1)
        await accepted(store, REPLY, SINGLE, due_at=later)
        await accepted(store, BULK)
        begun = await store.messages.begin(MAIN, limit=9, judge=begin_due)
        idle = await store.messages.begin(MAIN, limit=9, judge=begin_due)

        assert classes_of(begun) == [BULK]
        assert (begun.next_due, begun.more) == (later, False)
        assert (idle.messages, idle.next_due) == ((), later)


@pytest.mark.parametrize("first", QueueClass)
@in_a_loop
async def test_the_next_due_message_is_told_whichever_its_class(
    database: Backend, first: QueueClass
) -> None:
    async with database.open() as store:
        for one in QueueClass:
            soon = timedelta(seconds=1 if one is first else 9)
            await accepted(store, one, due_at=START + soon)
        begun = await store.messages.begin(MAIN, limit=9, judge=begin_due)

        assert begun.next_due == START + timedelta(seconds=1)


@in_a_loop
async def test_what_is_parked_and_what_expires_uses_no_slot_of_its_class(
    database: Backend,
) -> None:
    async with database.open() as store:
        await accepted(store, BULK, expires_at=START)
        await accepted(store, BULK, to="+15551230009")
        await accepted(store, *[BULK] * 2, *[SINGLE] * 8)

        def judge(
            message: Message, *, window_shut: bool, head_of: str | None = None
        ) -> life.Change | None:
            if message.to == "+15551230009":
                return life.park(message, "recipient +15551230009")
            return begin_due(message, window_shut=window_shut)

        begun = await store.messages.begin(MAIN, limit=10, judge=judge)

        assert classes_of(begun) == [*[SINGLE] * 4, BULK] * 2


@in_a_loop
async def test_a_begin_that_parks_many_of_a_class_says_that_more_may_be_due(
    database: Backend,
) -> None:
    async with database.open() as store:
        await accepted(store, *[REPLY] * (MOST_PARKED + 5), to="+15551230009")
        await accepted(store, BULK)

        def judge(
            message: Message, *, window_shut: bool, head_of: str | None = None
        ) -> life.Change | None:
            if message.to == "+15551230009":
                return life.park(message, "recipient +15551230009")
            return begin_due(message, window_shut=window_shut)

        rounds = [await store.messages.begin(MAIN, limit=2, judge=judge) for _ in range(2)]

        assert [(classes_of(begun), begun.more) for begun in rounds] == [
            ([], True),
            ([BULK], False),
        ]


@in_a_loop
async def test_what_is_left_as_it_was_is_due_still(database: Backend) -> None:
    async with database.open() as store:
        earlier = START - timedelta(seconds=1)
        left = await store.accepted(due_at=earlier)
        await accepted(store, BULK)
        await accepted(store, REPLY, due_at=START + timedelta(minutes=1))

        def judge(
            message: Message, *, window_shut: bool, head_of: str | None = None
        ) -> life.Change | None:
            return None if message.id == left.id else begin_due(message, window_shut=window_shut)

        begun = await store.messages.begin(MAIN, limit=9, judge=judge)

        assert classes_of(begun) == [BULK]
        assert (begun.next_due, begun.more) == (earlier, False)


# At a recipient or a Flow


@in_a_loop
async def test_at_a_place_the_highest_class_goes_first_and_then_the_longest_waiting(
    database: Backend,
) -> None:
    async with database.open() as store:
        parked = await accepted(store, BULK, SINGLE, REPLY, SINGLE, parked=PLACE)
        begun = await store.messages.begin(
            MAIN, limit=3, judge=begin_due, turns=[Turn(PLACE, 3, 4)]
        )

        assert [m.id for m in begun.messages] == [parked[n].id for n in (2, 1, 3)]
        assert begun.served == (Served(PLACE, 3, False),)


@in_a_loop
async def test_a_place_that_lets_one_go_lets_the_lowest_go_every_fifth_time(
    database: Backend,
) -> None:
    async with database.open() as store:
        await accepted(store, *[BULK] * 3, *[REPLY] * 12, parked=PLACE)
        classes = await begun_in_rounds(store, 10, limit=5, turns=(Turn(PLACE, 1, 15),))

        assert classes == [*[REPLY] * 4, BULK] * 2


@in_a_loop
async def test_bulk_whose_place_opens_does_not_go_before_a_single_that_is_due(
    database: Backend,
) -> None:
    async with database.open() as store:
        places = [f"recipient +1555123000{n}" for n in range(3)]
        for place in places:
            await accepted(store, BULK, parked=place)
        await accepted(store, SINGLE, SINGLE)
        turns = [Turn(place, 1, 1) for place in places]
        begun = await store.messages.begin(MAIN, limit=3, judge=begin_due, turns=turns)

        assert classes_of(begun) == [SINGLE, SINGLE, BULK]
        # The others keep their turn.
        assert begun.served == tuple(Served(p, p == places[0], is_empty=False) for p in places)


@in_a_loop
async def test_a_place_whose_turn_is_used_up_lets_no_other_class_go(database: Backend) -> None:
    async with database.open() as store:
        await accepted(store, BULK, REPLY, parked=PLACE)
        begun = await store.messages.begin(
            MAIN, limit=9, judge=begin_due, turns=[Turn(PLACE, 1, 2)]
        )

        assert (classes_of(begun), begun.more) == ([REPLY], False)
        assert begun.served == (Served(PLACE, 1, False),)
        assert await store.messages.parked(MAIN) == [(PLACE, 1)]


# All of it together


@dataclass
class Expected:
    """What the rule says of a begin, worked out on a list of all that waits."""

    messages: list[Message]
    turns: list[Turn]
    limit: int
    stood_back: StoodBack

    def ids(self) -> list[str]:
        """What is begun, in order."""
        lines = {one: self._line(one) for one in QueueClass}
        left = {turn.place: turn.most for turn in self.turns}
        begun: list[str] = []
        while len(begun) < self.limit:
            for one, line in lines.items():
                lines[one] = [m for m in line if m.parked is None or left[m.parked]]
            waiting = [one for one, line in lines.items() if line]
            if not waiting:
                break
            slot = next_slot(waiting, self.stood_back)
            self.stood_back = slot.then
            message = lines[slot.of].pop(0)
            if message.parked is not None:
                left[message.parked] -= 1
            begun.append(message.id)
        return begun

    def _line(self, one: QueueClass) -> list[Message]:
        """First those whose turn it is, place by place; then who is in line. None comes twice."""
        places = {turn.place: turn.most for turn in self.turns}
        mine = [m for m in self.messages if m.queue_class is one]
        longest_first = sorted(mine, key=lambda m: m.due_at)  # and then in the order of accepting
        at_places = [[m for m in longest_first if m.parked == place] for place in places]
        due = [m for m in longest_first if m.parked is None and m.due_at <= START]
        return [m for some in (*at_places, due) for m in some]


@pytest.mark.parametrize("seed", range(8))
@in_a_loop
async def test_whatever_waits_what_is_begun_is_what_the_rule_says(
    database: Backend, seed: int
) -> None:
    chance = Random(seed)
    async with database.open() as store:
        waiting = [
            await store.accepted(
                **ASKED[chance.choice([REPLY, SINGLE, SINGLE, BULK, BULK])],
                due_at=START + timedelta(seconds=chance.randint(-2, 1)),
                parked=chance.choice([None, None, None, PLACE, "flow 1", "flow 2"]),
            )
            for _ in range(60)
        ]
        stood_back: StoodBack = NOBODY
        for _ in range(12):
            turns = [Turn(PLACE, 1, 9)] if chance.random() < 0.5 else []
            turns += [Turn("flow 1", 50, 9)] if chance.random() < 0.3 else []
            limit = chance.randint(1, 9)
            expected = Expected(waiting, turns, limit, stood_back)
            ids = expected.ids()
            begun = await store.messages.begin(
                MAIN, limit=limit, judge=begin_due, turns=turns, stood_back=stood_back
            )
            stood_back = begun.stood_back
            waiting = [m for m in waiting if m.id not in ids]

            assert [m.id for m in begun.messages] == ids
            assert dict(stood_back) == dict(expected.stood_back)
            assert begun.more == (len(ids) == limit)
            later = [m.due_at for m in waiting if m.parked is None]
            assert begun.next_due == (None if begun.more else min(later, default=None))
            assert [one.gone for one in begun.served] == [
                sum(m.parked is None and m.id in at for m in begun.messages)
                for at in (
                    {m.id for m in expected.messages if m.parked == turn.place} for turn in turns
                )
            ]


# Figures


@in_a_loop
async def test_what_is_due_is_counted_by_class_with_the_longest_waiting_of_all(
    database: Backend,
) -> None:
    async with database.open() as store:
        earlier = START - timedelta(seconds=30)
        await accepted(store, BULK, BULK, REPLY, due_at=earlier)
        await accepted(store, BULK, SINGLE, REPLY)
        await accepted(store, BULK, SINGLE, REPLY, due_at=START + timedelta(seconds=1))
        await accepted(store, BULK, parked=PLACE)
        await store.accepted(sender=OTHER)

        assert await store.messages.due(MAIN, at_most=10) == Due(
            {REPLY: 2, SINGLE: 1, BULK: 3}, earlier
        )
        assert await store.messages.due(MAIN, at_most=1) == Due(
            {REPLY: 1, SINGLE: 1, BULK: 1}, earlier
        )


@in_a_loop
async def test_a_message_that_is_begun_as_it_is_stored_has_its_class_too(
    database: Backend,
) -> None:
    async with database.open() as store:
        bulk = a_message(priority=Priority.BULK)
        stored = await store.messages.accept(bulk, None, begin=True)

        assert stored.message.status is Status.SENDING
        assert stored.message.queue_class is BULK
        assert await store.messages.get(bulk.id) == stored.message
