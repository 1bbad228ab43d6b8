"""What time does: expiry, attempts that a crash left begun, and unknown outcomes."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from typing import Any

import pytest
from tests.clock import START, FakeClock, idle
from tests.examples import MAIN, OTHER, a_message
from tests.running import in_a_loop
from tests.unit.dispatch.doubles import ATTEMPT_TIME, MemoryOutbox, World, held

from alir.dispatch.housekeeping import PERIOD_SECONDS, Housekeeper
from alir.errors import OutcomeUnknown
from alir.ids import Fence
from alir.messages import life
from alir.messages.life import Settlement
from alir.messages.model import (
    Decision,
    Flag,
    Message,
    OnUnknown,
    Outcome,
    Receipt,
    ReceiptStatus,
    Status,
)

LOST = OutcomeUnknown("No answer came back after the request had left")
UNKNOWN = Settlement(outcome=Outcome.UNKNOWN)
TWO_MINUTES = timedelta(minutes=2)


def _begun(outbox: MemoryOutbox, **fields: object) -> Message:
    return outbox.put(life.begin(a_message(**fields), now=START).message)


def _unknown(outbox: MemoryOutbox, **fields: object) -> Message:
    change = life.settle(_begun(outbox, **fields), 1, UNKNOWN, now=START)
    assert change is not None
    return outbox.put(change.message)


def _housekeeper(outbox: MemoryOutbox, clock: FakeClock) -> Housekeeper:
    housekeeper = Housekeeper(
        outbox,
        clock,
        attempt_time=ATTEMPT_TIME,
        unknown_after=TWO_MINUTES,
        decided=lambda *_: None,
        leases=held([MAIN]),
    )
    outbox.changed = housekeeper.changed
    return housekeeper


# What a crash left


@in_a_loop
async def test_what_a_process_that_is_gone_had_begun_is_unknown() -> None:
    clock = FakeClock()
    outbox = MemoryOutbox(clock)
    begun = [_begun(outbox), _begun(outbox)]
    queued = outbox.put(a_message())
    clock.leap(10)
    taken = await _housekeeper(outbox, clock).take_over(MAIN, was_left=True)

    assert taken == 2
    for message in begun:
        after = outbox.messages[message.id]
        assert after.status is Status.UNKNOWN
        assert after.attempts[0].settled_at == clock.now()
        assert after.attempts[0].error is not None
        assert after.attempts[0].error["code"] == "process_ended"
    assert outbox.messages[queued.id] == queued


@in_a_loop
async def test_what_was_left_begun_is_called_unknown_all_at_once() -> None:
    clock = FakeClock()
    outbox = MemoryOutbox(clock)
    begun = [_begun(outbox) for _ in range(20)]
    release = outbox.hold("change")
    taking = asyncio.create_task(_housekeeper(outbox, clock).take_over(MAIN, was_left=True))
    await idle()
    asked = outbox.tries
    release()
    await taking

    assert asked == len(begun)


@in_a_loop
async def test_an_orphan_that_a_receipt_settled_meanwhile_is_left_alone() -> None:
    clock = FakeClock()
    outbox = MemoryOutbox(clock)
    begun = _begun(outbox)
    housekeeper = _housekeeper(outbox, clock)
    release = outbox.hold("change")
    taking = asyncio.create_task(housekeeper.take_over(MAIN, was_left=True))
    await idle()
    receipt = Receipt(attempt=1, status=ReceiptStatus.SENT, at=START)
    change = life.receive(begun, receipt, now=START, provider_id=None)
    assert change is not None
    outbox.put(change.message)
    release()
    await taking

    assert outbox.messages[begun.id].status is Status.SENT


@in_a_loop
async def test_a_late_answer_settles_an_attempt_that_was_called_unknown() -> None:
    async with World() as world:
        world.provider.open.clear()
        message = await world.queue()
        # As another process would, once the lease is lost.
        await world.housekeeper.take_over(MAIN, was_left=True)
        assert world.stands(message).status is Status.UNKNOWN
        world.provider.open.set()
        await idle()

        after = world.stands(message)
        assert (after.status, len(after.attempts)) == (Status.ACCEPTED, 1)


# Unknown


async def _listen(world: World, seconds: float) -> None:
    """Let time pass while the housekeeper looks, as it does, without a gap."""
    while seconds > 0:
        await world.housekeeper.look()
        await world.advance(min(seconds, PERIOD_SECONDS))
        seconds -= PERIOD_SECONDS
    await world.housekeeper.look()
    await idle()


@in_a_loop
async def test_an_unknown_message_is_held_where_it_is_to_be_held() -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.HOLD)
        await world.advance(3600)
        await world.housekeeper.look()

        assert world.stands(message) == message
        assert world.provider.sent == []


@in_a_loop
async def test_an_unknown_message_is_sent_once_more_after_two_minutes_where_it_may() -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.RETRY)
        await _listen(world, 119.999)
        assert world.stands(message).status is Status.UNKNOWN

        await world.advance(0.001)
        await world.housekeeper.look()
        await idle()
        after = world.stands(message)
        assert (after.status, after.flags) == (Status.ACCEPTED, (Flag.RESENT,))
        assert [number for _, _, number in world.provider.sent] == [2]


@in_a_loop
async def test_the_two_minutes_count_from_the_start_of_the_process() -> None:
    clock = FakeClock()
    outbox = MemoryOutbox(clock)
    message = _unknown(outbox, on_unknown=OnUnknown.RETRY)
    clock.leap(3600)  # no gateway ran, so no callback could arrive
    housekeeper = _housekeeper(outbox, clock)
    for _ in range(12):
        await housekeeper.look()
        clock.leap(9.999)
    await housekeeper.look()
    assert outbox.messages[message.id].status is Status.UNKNOWN
    clock.leap(0.012)
    await housekeeper.look()

    assert outbox.messages[message.id].status is Status.QUEUED


@pytest.mark.parametrize("what", ["asleep", "the store was down"])
@in_a_loop
async def test_the_two_minutes_begin_anew_where_no_callback_could_arrive(what: str) -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.RETRY)
        await _listen(world, 119)
        if what == "asleep":
            world.clock.leap(3600)
        else:
            world.outbox.broken.add("expired")
            running = asyncio.create_task(world.housekeeper.run())
            await world.clock.advance(PERIOD_SECONDS)
            running.cancel()
            world.outbox.broken.clear()
        await _listen(world, 119)
        assert world.stands(message).status is Status.UNKNOWN
        await _listen(world, 2)
        await idle()
        assert world.stands(message).status is Status.ACCEPTED


@in_a_loop
async def test_a_second_unknown_is_held() -> None:
    async with World() as world:
        world.provider.answers.extend([LOST, LOST])
        message = await world.queue(on_unknown=OnUnknown.RETRY)
        await _listen(world, 600)

        after = world.stands(message)
        assert (after.status, after.flags) == (Status.UNKNOWN, (Flag.RESENT,))
        assert len(world.provider.sent) == 2


@in_a_loop
async def test_evidence_within_the_two_minutes_keeps_the_message_from_being_sent_again() -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.RETRY)
        await world.advance(60)
        receipt = Receipt(attempt=1, status=ReceiptStatus.DELIVERED, at=START)
        change = life.receive(message, receipt, now=world.clock.now(), provider_id=None)
        assert change is not None
        world.outbox.put(change.message)
        await world.advance(3600)
        await world.housekeeper.look()

        assert world.stands(message).status is Status.DELIVERED
        assert world.provider.sent == []


@in_a_loop
async def test_the_two_minutes_begin_anew_where_a_callback_could_not_be_kept() -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.RETRY)
        await _listen(world, 119)
        world.housekeeper.evidence_missed()
        await _listen(world, 119)
        assert world.stands(message).status is Status.UNKNOWN
        await _listen(world, 2)
        assert world.stands(message).status is Status.ACCEPTED


@pytest.mark.parametrize("on_unknown", OnUnknown)
@in_a_loop
async def test_nothing_is_decided_while_a_callback_lies_unapplied_and_two_minutes_after(
    on_unknown: OnUnknown,
) -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=on_unknown)
        await _listen(world, 60)
        world.callbacks.kept_at.append(world.clock.now())  # and nobody lives who applies it
        await _listen(world, 600)
        assert (world.stands(message).status, world.decided) == (Status.UNKNOWN, [])
        world.callbacks.kept_at.clear()
        await _listen(world, 118)
        assert (world.stands(message).status, world.decided) == (Status.UNKNOWN, [])
        await _listen(world, 121)
        if on_unknown is OnUnknown.RETRY:
            assert world.stands(message).status is Status.ACCEPTED
        else:
            assert world.decided == [(message.id, Decision.HELD)]


@in_a_loop
async def test_callbacks_that_come_and_are_applied_all_the_time_put_nothing_off() -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.RETRY)
        await _listen(world, 120)
        world.callbacks.kept_at.append(world.clock.now())
        await _listen(world, 1)

        assert world.stands(message).status is Status.ACCEPTED


@in_a_loop
async def test_where_nothing_is_to_be_decided_nobody_asks_for_callbacks() -> None:
    async with World() as world:
        _unknown(world.outbox, on_unknown=OnUnknown.RETRY)
        await _listen(world, 119)
        assert world.callbacks.asked == 0
        await _listen(world, 300)
        assert world.callbacks.asked == 1


@pytest.mark.parametrize("seconds", [5, 3600])
@in_a_loop
async def test_the_two_minutes_are_two_minutes_though_the_clock_is_set_back(seconds: int) -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.RETRY)
        await _listen(world, 60)
        world.clock.set_back(seconds)
        await _listen(world, 59)
        assert world.stands(message).status is Status.UNKNOWN
        await _listen(world, 61)
        assert world.stands(message).status is Status.ACCEPTED


@in_a_loop
async def test_an_unknown_message_that_has_expired_is_held_and_hides_no_other() -> None:
    async with World() as world:
        expired = _unknown(
            world.outbox, on_unknown=OnUnknown.RETRY, expires_at=START + timedelta(seconds=1)
        )
        message = _unknown(world.outbox, on_unknown=OnUnknown.RETRY)
        await _listen(world, 121)

        assert world.stands(expired).status is Status.UNKNOWN
        assert world.stands(message).status is Status.ACCEPTED
        assert world.decided == [(expired.id, Decision.HELD)]


# What is said to operators


@in_a_loop
async def test_what_is_held_is_told_once_and_only_after_the_two_minutes() -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.HOLD)
        await _listen(world, 119)
        assert world.decided == []
        await _listen(world, 600)

        assert world.decided == [(message.id, Decision.HELD)]


def _left_unknown(outbox: MemoryOutbox, **fields: Any) -> Message:
    """An unknown message of which nobody here is told."""
    begun = life.begin(a_message(on_unknown=OnUnknown.HOLD, **fields), now=START).message
    change = life.settle(begun, 1, UNKNOWN, now=START)
    assert change is not None
    outbox.messages[begun.id] = change.message
    return change.message


@in_a_loop
async def test_what_an_earlier_process_left_unknown_is_told_to_be_held_once() -> None:
    async with World() as world:
        message = _left_unknown(world.outbox)
        await world.housekeeper.take_over(MAIN, was_left=True)
        await _listen(world, 60)
        await world.housekeeper.take_over(MAIN, was_left=True)  # as after a gap in its lease
        await _listen(world, 59)
        assert world.decided == []
        await _listen(world, 600)

        assert world.decided == [(message.id, Decision.HELD)]


@in_a_loop
async def test_race_of_a_look_and_the_end_of_a_take_over() -> None:
    async with World() as world:
        message = _left_unknown(world.outbox)
        world.leases[MAIN].end()
        await world.housekeeper.take_over(MAIN, was_left=True)
        await world.housekeeper.look()  # while the pauses are learnt, say: it is not held yet
        world.leases[MAIN].keep()
        await _listen(world, 121)

        assert world.decided == [(message.id, Decision.HELD)]


@in_a_loop
async def test_what_was_unknown_of_a_sender_that_another_let_go_of_is_told_to_be_held() -> None:
    async with World() as world:
        message, begun = _left_unknown(world.outbox), _begun(world.outbox)
        await world.housekeeper.take_over(MAIN, was_left=False)
        assert world.stands(begun).status is Status.SENDING  # its call may yet end
        await _listen(world, 121)

        assert world.decided == [(message.id, Decision.HELD)]


@in_a_loop
async def test_who_takes_over_one_sender_does_not_tell_again_of_what_is_held_of_another() -> None:
    async with World(senders=(MAIN, OTHER)) as world:
        message = _left_unknown(world.outbox)
        await world.housekeeper.take_over(MAIN, was_left=True)
        await _listen(world, 121)
        await world.housekeeper.take_over(OTHER, was_left=True)
        await _listen(world, 121)

        assert world.decided == [(message.id, Decision.HELD)]


@in_a_loop
async def test_a_second_unknown_is_told_to_be_held() -> None:
    async with World() as world:
        world.provider.answers.extend([LOST, LOST])
        message = await world.queue(on_unknown=OnUnknown.RETRY)
        await _listen(world, 121)
        assert world.decided == []
        await _listen(world, 121)

        assert world.decided == [(message.id, Decision.HELD)]


@in_a_loop
async def test_what_evidence_settles_is_not_held() -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.HOLD)
        await _listen(world, 60)
        receipt = Receipt(attempt=1, status=ReceiptStatus.DELIVERED, at=START)
        change = life.receive(message, receipt, now=world.clock.now(), provider_id=None)
        assert change is not None
        world.outbox.put(change.message)
        await _listen(world, 120)

        assert world.decided == []


@in_a_loop
async def test_what_another_process_settled_is_not_told_to_be_held() -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.HOLD)
        receipt = Receipt(attempt=1, status=ReceiptStatus.DELIVERED, at=START)
        change = life.receive(message, receipt, now=START, provider_id=None)
        assert change is not None
        world.outbox.messages[message.id] = change.message  # of which nobody here is told
        await _listen(world, 121)

        assert world.decided == []


# Whose it is to decide


@in_a_loop
async def test_race_of_a_decision_and_the_end_of_a_lease() -> None:
    async with World() as world:
        fence = Fence(MAIN, 1)
        world.leases[MAIN].take(fence, good_from=0, good_until=math.inf)
        again, held_one = (_unknown(world.outbox, on_unknown=each) for each in OnUnknown)
        await _listen(world, 119)
        release = world.outbox.hold("unknown_to_retry")
        await world.advance(2)
        looking = asyncio.create_task(world.housekeeper.look())
        await idle()
        world.outbox.fallen.add(fence)  # another process has it by now
        world.leases[MAIN].end()
        release()
        await looking

        assert world.stands(again).status is Status.UNKNOWN
        assert world.stands(held_one).status is Status.UNKNOWN
        assert world.decided == []


@in_a_loop
async def test_what_is_unknown_of_a_sender_that_is_gone_from_the_settings_is_left_alone() -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.RETRY, sender=OTHER)
        await _listen(world, 600)

        assert world.stands(message) == message
        assert world.decided == []


@in_a_loop
async def test_of_a_sender_that_comes_back_the_two_minutes_begin_anew() -> None:
    async with World() as world:
        message = _unknown(world.outbox, on_unknown=OnUnknown.HOLD)
        await _listen(world, 60)
        world.leases[MAIN].end()
        world.housekeeper.lost(MAIN)
        await _listen(world, 30)
        await world.housekeeper.take_over(MAIN, was_left=False)
        world.leases[MAIN].keep()
        await _listen(world, 119)
        assert world.decided == []
        await _listen(world, 2)
        assert world.decided == [(message.id, Decision.HELD)]


# What a fault of alir's own left begun


@in_a_loop
async def test_an_attempt_of_which_nothing_is_heard_is_unknown_once_its_time_is_over() -> None:
    async with World() as world:
        await _listen(world, 60)
        message = world.outbox.put(life.begin(a_message(), now=world.clock.now()).message)
        await _listen(world, ATTEMPT_TIME.total_seconds())
        assert world.stands(message).status is Status.SENDING
        await _listen(world, 1)

        after = world.stands(message)
        assert after.status is Status.UNKNOWN
        assert after.attempts[0].error is not None
        assert after.attempts[0].error["code"] == "overdue"


@in_a_loop
async def test_no_attempt_is_called_overdue_by_a_clock_that_was_just_set() -> None:
    async with World() as world:
        world.provider.open.clear()
        await _listen(world, 60)
        message = await world.queue()
        world.clock.set_back(-3600)
        await _listen(world, ATTEMPT_TIME.total_seconds() - 1)
        assert world.stands(message).status is Status.SENDING


# Expiry


@in_a_loop
async def test_a_waiting_message_expires_at_its_moment_though_it_is_not_due() -> None:
    clock = FakeClock()
    outbox = MemoryOutbox(clock)
    message = outbox.put(
        a_message(due_at=START + timedelta(hours=1), expires_at=START + timedelta(seconds=10))
    )
    housekeeper = _housekeeper(outbox, clock)
    clock.leap(9.999)
    await housekeeper.look()
    assert outbox.messages[message.id].status is Status.QUEUED
    clock.leap(0.001)
    await housekeeper.look()

    assert outbox.messages[message.id].status is Status.EXPIRED


@in_a_loop
async def test_it_looks_every_second_and_a_failing_store_does_not_end_that() -> None:
    clock = FakeClock()
    outbox = MemoryOutbox(clock)
    message = outbox.put(
        a_message(due_at=START + timedelta(hours=1), expires_at=START + timedelta(seconds=3))
    )
    outbox.broken.add("change")
    running = asyncio.create_task(_housekeeper(outbox, clock).run())
    await clock.advance(10)
    assert outbox.messages[message.id].status is Status.QUEUED
    outbox.broken.clear()
    await clock.advance(PERIOD_SECONDS)

    assert outbox.messages[message.id].status is Status.EXPIRED
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
