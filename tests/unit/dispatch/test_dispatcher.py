"""A message is handed over once, while it is fresh, at the sender's pace, and what came of it is
recorded."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from itertools import cycle, pairwise

import pytest
from tests.clock import START, FakeClock, idle
from tests.examples import MAIN, OTHER, a_message
from tests.running import in_a_loop
from tests.unit.dispatch.doubles import World

from alir.dispatch.attempt import BusyPolicy
from alir.dispatch.calls import READY_SECONDS, STORE_PAUSE_SECONDS
from alir.dispatch.dispatcher import REFRESH_AFTER_SECONDS, REFRESH_SECONDS
from alir.dispatch.gate import SLACK_SECONDS, PairLimit
from alir.dispatch.places import place
from alir.errors import OutcomeUnknown, PauseScope, ProviderBusy, ProviderRefused
from alir.messages import life
from alir.messages.model import Message, Outcome, QueueClass, Status

BUSY = ProviderBusy("The service is temporarily unavailable", provider_code="131016")
REFUSED = ProviderRefused("Undeliverable", provider_code="131026", details="to is a landline")
LOST = OutcomeUnknown("No answer came back after the request had left")


def most_in_any_second(times: list[float]) -> int:
    """The most calls that any window of one second holds, its end not counted."""
    return max(sum(begin <= at < begin + 1.0 for at in times) for begin in times)


def outcomes(message: Message) -> list[Outcome | None]:
    return [attempt.outcome for attempt in message.attempts]


# What becomes of a call


@in_a_loop
async def test_a_due_message_is_handed_over_once_and_its_id_recorded() -> None:
    async with World() as world:
        message = await world.queue()

        assert world.provider.sent == [(0.0, message.id, 1)]
        assert (message.status, outcomes(message)) == (Status.ACCEPTED, [Outcome.ACCEPTED])
        assert message.attempts[0].provider_id == "wamid.1"
        assert world.outcomes.seen == [Outcome.ACCEPTED]
        await world.advance(3600)
        assert len(world.provider.sent) == 1


@in_a_loop
async def test_messages_that_waited_before_it_ran_are_handed_over() -> None:
    world = World()
    messages = [world.outbox.put(a_message()) for _ in range(250)]  # more than begin at once
    world.outbox.put(a_message(sender=OTHER))
    async with world:
        assert [id_ for _, id_, _ in world.provider.sent] == [m.id for m in messages]


@in_a_loop
async def test_a_refused_message_fails_with_the_providers_words_and_is_not_tried_again() -> None:
    async with World() as world:
        world.provider.answers.append(REFUSED)
        message = await world.queue()
        await world.advance(3600)

        assert world.stands(message).status is Status.FAILED
        assert world.stands(message).error == {
            "code": "provider_refused",
            "provider_code": "131026",
            "title": "Undeliverable",
            "detail": "to is a landline",
        }
        assert len(world.provider.sent) == 1


@in_a_loop
async def test_a_call_without_an_answer_is_unknown_and_not_tried_again() -> None:
    async with World() as world:
        world.provider.answers.append(LOST)
        message = await world.queue()
        await world.advance(3600)

        assert world.stands(message).status is Status.UNKNOWN
        assert len(world.provider.sent) == 1


@in_a_loop
async def test_a_call_that_breaks_inside_alir_is_unknown_and_does_not_stay_under_way() -> None:
    async with World() as world:
        world.provider.answers.append(RuntimeError("a fault of alir's own"))
        message = await world.queue()
        after = await world.queue()

        assert message.status is Status.UNKNOWN
        assert after.status is Status.ACCEPTED
        assert world.dispatcher.calls == 0


@in_a_loop
async def test_a_message_is_handed_over_at_its_moment_not_before() -> None:
    async with World() as world:
        message = await world.queue(due_at=START + timedelta(seconds=90))
        await world.advance(89.999)
        assert world.provider.sent == []
        await world.advance(0.001)

        assert world.provider.sent == [(90.0, message.id, 1)]


@in_a_loop
async def test_a_message_that_expires_before_its_turn_is_not_handed_over() -> None:
    async with World() as world:
        message = await world.queue(
            due_at=START + timedelta(seconds=60), expires_at=START + timedelta(seconds=30)
        )
        await world.advance(61)

        assert world.stands(message).status is Status.EXPIRED
        assert world.provider.sent == []


@in_a_loop
async def test_a_message_taken_back_before_its_turn_is_not_handed_over() -> None:
    async with World() as world:
        message = await world.queue(due_at=START + timedelta(seconds=60))
        await world.outbox.change(message, life.cancel)
        await world.advance(61)

        assert world.provider.sent == []


# Busy


@in_a_loop
async def test_a_busy_provider_is_tried_again_after_waits_that_double() -> None:
    async with World(jitter=0.999999999) as world:
        world.provider.answers.extend([BUSY] * 11)
        message = await world.queue()
        await world.run_for(1800, step=1)

        times = [at for at, _, _ in world.provider.sent]
        waits = [after - before for before, after in pairwise(times)]
        assert [round(wait) for wait in waits] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
        assert [number for _, _, number in world.provider.sent] == list(range(1, 13))
        assert outcomes(world.stands(message)) == [*[Outcome.BUSY] * 11, Outcome.ACCEPTED]


@in_a_loop
async def test_a_busy_provider_that_names_a_wait_is_obeyed() -> None:
    async with World() as world:
        asked = timedelta(seconds=45)
        world.provider.answers.append(ProviderBusy("Slow down", retry_after=asked))
        message = await world.queue()

        assert message.due_at == START + asked
        await world.advance(44)
        assert len(world.provider.sent) == 1
        await world.advance(1)
        assert len(world.provider.sent) == 2


@in_a_loop
async def test_a_busy_message_holds_up_nobody() -> None:
    async with World() as world:
        world.provider.answers.append(BUSY)
        busy = await world.queue()
        other = await world.queue()

        assert (busy.status, other.status) == (Status.QUEUED, Status.ACCEPTED)


@in_a_loop
async def test_alir_gives_up_once_the_provider_was_busy_for_a_day() -> None:
    async with World(busy=BusyPolicy(give_up_after=timedelta(hours=24))) as world:
        world.provider.answers.extend([BUSY] * 2000)
        message = await world.queue()
        await world.run_for(25 * 3600, step=60)

        after = world.stands(message)
        assert after.error is not None
        assert (after.status, after.error["code"]) == (Status.FAILED, "gave_up")
        assert after.error["provider_code"] == "131016"
        last = world.provider.sent[-1][0]
        assert 23.9 * 3600 < last <= 24 * 3600


@in_a_loop
async def test_a_busy_message_that_expires_first_expires() -> None:
    async with World() as world:
        world.provider.answers.extend([BUSY] * 2000)
        message = await world.queue(expires_at=START + timedelta(seconds=20))
        await world.run_for(30, step=0.5)

        after = world.stands(message)
        assert after.status is Status.EXPIRED
        assert world.provider.sent[-1][0] < 20


# Fresh, or not at all


@in_a_loop
async def test_an_attempt_begun_too_long_ago_is_given_back_and_begun_anew() -> None:
    async with World() as world:
        release = world.outbox.hold("begin")
        message = await world.queue()
        world.clock.leap(5.001)  # the machine slept while the begin was being written
        release()
        await idle()

        after = world.stands(message)
        assert outcomes(after) == [Outcome.BUSY, Outcome.ACCEPTED]
        assert [number for _, _, number in world.provider.sent] == [2]


@in_a_loop
async def test_an_attempt_begun_within_its_time_is_sent() -> None:
    async with World() as world:
        release = world.outbox.hold("begin")
        message = await world.queue()
        world.clock.leap(4.999)
        release()
        await idle()

        assert outcomes(world.stands(message)) == [Outcome.ACCEPTED]


@in_a_loop
async def test_a_stop_between_begin_and_call_gives_the_attempt_back() -> None:
    async with World() as world:
        release = world.outbox.hold("begin")
        message = await world.queue()
        world.dispatcher.stop()
        finishing = asyncio.create_task(world.dispatcher.finish(timedelta(seconds=5)))
        await idle()
        assert not finishing.done()
        release()
        await finishing

        after = world.stands(message)
        assert world.provider.sent == []
        assert (after.status, outcomes(after)) == (Status.QUEUED, [Outcome.BUSY])
        assert await world.outbox.left_begun() == []


@in_a_loop
async def test_a_stop_begins_nothing_more() -> None:
    async with World() as world:
        world.dispatcher.stop()
        message = await world.queue()

        assert (message.status, world.provider.sent) == (Status.QUEUED, [])


@in_a_loop
async def test_calls_under_way_may_end_after_a_stop() -> None:
    async with World() as world:
        world.provider.open.clear()
        message = await world.queue()
        world.dispatcher.stop()
        finishing = asyncio.create_task(world.dispatcher.finish(timedelta(seconds=5)))
        await idle()
        world.provider.open.set()
        await finishing

        assert world.stands(message).status is Status.ACCEPTED


@in_a_loop
async def test_a_call_that_outlives_the_grace_stays_begun() -> None:
    async with World() as world:
        world.provider.open.clear()
        message = await world.queue()
        world.dispatcher.stop()
        await world.dispatcher.finish(timedelta(seconds=0.01))

        assert world.stands(message).status is Status.SENDING
        assert await world.outbox.left_begun() == [(message.id, 1)]


# A store that fails


@in_a_loop
async def test_nothing_is_sent_that_could_not_be_begun() -> None:
    async with World() as world:
        world.outbox.broken.add("begin")
        message = await world.queue()
        await world.advance(STORE_PAUSE_SECONDS)
        assert (world.provider.sent, world.stands(message).status) == ([], Status.QUEUED)

        world.outbox.broken.clear()
        await world.advance(STORE_PAUSE_SECONDS)
        assert world.stands(message).status is Status.ACCEPTED
        assert len(world.provider.sent) == 1


@pytest.mark.parametrize("took_effect", [False, True])
@in_a_loop
async def test_what_was_begun_in_doubt_is_given_back_and_then_sent_once(took_effect: bool) -> None:
    async with World() as world:
        world.outbox.broken |= {"begin", "change"}
        world.outbox.in_doubt = took_effect
        message = await world.queue()
        assert world.provider.sent == []

        world.outbox.broken.clear()
        await world.advance(STORE_PAUSE_SECONDS)
        after = world.stands(message)
        assert after.status is Status.ACCEPTED
        assert len(world.provider.sent) == 1
        assert outcomes(after)[:-1] == ([Outcome.BUSY] if took_effect else [])


@pytest.mark.parametrize("answer", [None, BUSY, REFUSED, LOST], ids=["taken", "b", "r", "u"])
@in_a_loop
async def test_an_answer_is_recorded_however_long_the_store_fails(answer: Exception | None) -> None:
    async with World() as world:
        world.provider.answers.append(answer)
        world.outbox.broken.add("settle")
        message = await world.queue()
        tries = world.outbox.tries
        await world.run_for(60, step=STORE_PAUSE_SECONDS)
        assert world.stands(message).status is Status.SENDING
        assert len(world.provider.sent) == 1
        assert world.outbox.tries - tries >= 120

        world.outbox.broken.clear()
        await world.clock.advance(STORE_PAUSE_SECONDS)
        assert world.stands(message).attempts[0].outcome is not None
        assert world.outcomes.seen[0] is world.stands(message).attempts[0].outcome


# How many at once, and how fast


@in_a_loop
async def test_no_more_calls_are_under_way_than_allowed() -> None:
    async with World(max_calls=3) as world:
        world.provider.open.clear()
        messages = [await world.queue() for _ in range(10)]
        assert world.provider.under_way == 3
        assert sum(world.stands(m).status is Status.SENDING for m in messages) == 3

        world.provider.open.set()
        await idle()
        assert all(world.stands(m).status is Status.ACCEPTED for m in messages)
        assert world.provider.most_under_way == 3


@in_a_loop
async def test_calls_are_evenly_spaced_and_never_above_the_limit_in_any_second() -> None:
    async with World(per_second=10) as world:
        for _ in range(60):
            world.outbox.put(a_message())
        await world.run_for(8, step=0.005)

        times = [at for at, _, _ in world.provider.sent]
        assert len(times) == 60
        assert most_in_any_second(times) <= 10
        gaps = [after - before for before, after in pairwise(times)]
        assert min(gaps) > 0.09
        assert times[-1] < 60 / 9.7 + 0.4


@in_a_loop
async def test_the_limit_holds_after_a_time_without_messages_and_after_a_stall() -> None:
    async with World(per_second=80) as world:
        await world.advance(60)
        for _ in range(200):
            world.outbox.put(a_message())
        await world.run_for(0.5, step=0.01)
        release = world.outbox.hold("begin")
        await world.run_for(0.7, step=0.01)
        release()
        await world.run_for(2, step=0.01)

        times = [at for at, _, _ in world.provider.sent]
        assert len(times) > 150
        assert most_in_any_second(times) <= 80


class HurryingClock(FakeClock):
    """Time passes with every look at it, now more and now less."""

    def __init__(self) -> None:
        super().__init__()
        self._steps = cycle((0.001, 0.002, 0.003, 0.005, 0.008))

    def elapsed(self) -> float:
        self.leap(next(self._steps))
        return super().elapsed()


@in_a_loop
async def test_a_slot_that_comes_between_two_looks_at_the_clock_is_not_missed() -> None:
    async with World(per_second=100, clock=HurryingClock()) as world:
        for _ in range(50):
            world.outbox.put(a_message())  # only the first wakes it

        async with asyncio.timeout(5):
            while len(world.provider.sent) < 50:  # noqa: ASYNC110 - it passes real time too
                await asyncio.sleep(0.001)

        # Where a slot is missed it sleeps past the timeout, which is what fails then.
        assert len(world.provider.sent) == 50


# Three classes


@in_a_loop
async def test_at_a_paced_sender_the_classes_have_their_shares_one_slot_at_a_time() -> None:
    async with World(per_second=10, share=1.0) as world:
        for _ in range(20):
            await world.queue(queue_class=QueueClass.BULK)
        for _ in range(20):
            await world.queue(queue_class=QueueClass.SINGLE)
        already = len(world.provider.sent)
        await world.run_for(3, step=0.05)

        sent = [world.outbox.messages[id_].queue_class for _, id_, _ in world.provider.sent]
        assert sent[already : already + 20] == [*[QueueClass.SINGLE] * 4, QueueClass.BULK] * 4


@in_a_loop
async def test_a_reply_goes_with_the_next_slot_whatever_waits_before_it() -> None:
    async with World(per_second=10, share=1.0) as world:
        for one in (QueueClass.BULK, QueueClass.SINGLE):
            for _ in range(10):
                await world.queue(queue_class=one)
        reply = await world.queue(queue_class=QueueClass.REPLY)
        already = len(world.provider.sent)
        await world.run_for(0.3, step=0.05)

        next_two = [id_ for _, id_, _ in world.provider.sent[already : already + 2]]
        assert reply.id in next_two  # the first may be the turn of a lower class


@in_a_loop
async def test_what_another_process_had_wait_for_a_recipient_goes_soon_after_that_is_told() -> None:
    async with World() as world:
        message = a_message()
        waits = message.but(parked=place(PauseScope.RECIPIENT, message.person))
        world.outbox.messages[waits.id] = waits  # of which nobody here is told
        await world.advance(REFRESH_SECONDS / 2)
        assert world.provider.sent == []
        world.dispatcher.paused_elsewhere()
        await world.run_for(REFRESH_AFTER_SECONDS, step=0.5)

        assert world.stands(waits).status is Status.ACCEPTED


@in_a_loop
async def test_a_fault_in_looking_for_who_waits_ends_no_sending() -> None:
    async with World() as world:
        world.outbox.breaks_at_parked = True
        await world.run_for(2 * REFRESH_SECONDS, step=REFRESH_SECONDS / 4)
        message = await world.queue()
        await idle()

        assert world.stands(message).status is Status.ACCEPTED


# Messages that are stored as begun


def admit(world: World) -> float | None:
    """Ask for a place for some message; the moment at which it was admitted."""
    return world.dispatcher.admit(a_message(created_at=world.clock.now())).admitted_at


def admitted(world: World) -> tuple[Message, float]:
    """A message that was admitted, begun but not stored yet."""
    moment = admit(world)
    assert moment is not None
    message = life.begin(a_message(), now=world.clock.now()).message
    return message, moment


@in_a_loop
async def test_a_message_that_nothing_waits_before_is_admitted_and_handed_over_once() -> None:
    async with World() as world:
        message, moment = admitted(world)
        assert world.dispatcher.calls == 1
        world.outbox.put(message)
        world.dispatcher.hand_over(message, moment)
        await idle()

        assert world.provider.sent == [(0.0, message.id, 1)]
        assert world.stands(message).status is Status.ACCEPTED
        assert world.dispatcher.calls == 0


@in_a_loop
async def test_nothing_is_admitted_before_what_waits() -> None:
    async with World(max_calls=1) as world:
        assert admit(world) is not None  # takes the only place
        assert admit(world) is None
        world.outbox.put(a_message())
        world.dispatcher.dismiss(a_message(), world.clock.elapsed(), in_doubt=False)

        assert admit(world) is None
        await idle()
        assert admit(world) is not None


@in_a_loop
async def test_a_place_that_a_begin_may_need_is_not_given_away() -> None:
    async with World(max_calls=1) as world:
        release = world.outbox.hold("begin")
        waits = await world.queue()
        assert admit(world) is None
        release()
        await idle()

        assert world.stands(waits).status is Status.ACCEPTED
        assert world.provider.most_under_way == 1


@in_a_loop
async def test_nothing_is_admitted_that_would_overtake_one_that_is_being_stored() -> None:
    async with World(per_second=10) as world:
        first, moment = admitted(world)
        world.outbox.put(first)
        world.dispatcher.hand_over(first, moment)
        assert admit(world) is None  # too early: it is stored as queued
        await world.clock.advance(1)

        assert admit(world) is None  # that one is still on its way to the disk


@in_a_loop
async def test_nothing_is_admitted_before_one_that_came_in_a_gap_of_the_lease() -> None:
    async with World() as world:
        lease = world.leases[MAIN]
        lease.prolong(world.clock.elapsed())  # over, for now
        assert admit(world) is None
        lease.prolong(math.inf)

        assert admit(world) is None  # that one is still on its way to the disk


@in_a_loop
async def test_nothing_is_admitted_of_a_sender_of_another_process() -> None:
    async with World() as world:
        world.leases[MAIN].end()

        assert admit(world) is None


@in_a_loop
async def test_nothing_is_admitted_before_it_runs_or_after_a_stop() -> None:
    world = World()
    assert admit(world) is None
    async with world:
        await world.queue()
        assert admit(world) is not None
        world.dispatcher.dismiss(a_message(), world.clock.elapsed(), in_doubt=False)
        world.dispatcher.stop()
        assert admit(world) is None


@in_a_loop
async def test_a_place_that_is_given_back_lets_what_waits_go_on() -> None:
    async with World(max_calls=1) as world:
        assert admit(world) is not None
        message = await world.queue()
        assert world.provider.sent == []
        world.dispatcher.dismiss(a_message(), world.clock.elapsed(), in_doubt=False)
        await idle()

        assert world.stands(message).status is Status.ACCEPTED
        assert world.dispatcher.calls == 0


@in_a_loop
async def test_what_becomes_due_while_the_only_place_is_taken_goes_once_it_is_given_back() -> None:
    async with World(max_calls=1) as world:
        later = await world.queue(due_at=START + timedelta(seconds=5))
        assert admit(world) is not None
        world.dispatcher.wake()
        await idle()  # it finds no room, and has nothing to look for yet
        await world.clock.advance(5)
        world.dispatcher.dismiss(a_message(), world.clock.elapsed(), in_doubt=False)
        await idle()

        assert world.stands(later).status is Status.ACCEPTED


@pytest.mark.parametrize("stored", [False, True])
@in_a_loop
async def test_a_message_whose_storing_is_in_doubt_is_not_sent_until_it_is_begun_anew(
    stored: bool,
) -> None:
    async with World() as world:
        message, moment = admitted(world)
        if stored:
            world.outbox.put(message)
        world.dispatcher.dismiss(message, moment, in_doubt=True)
        await idle()

        assert [number for _, _, number in world.provider.sent] == ([2] if stored else [])
        if stored:
            assert outcomes(world.stands(message)) == [Outcome.BUSY, Outcome.ACCEPTED]
        assert world.dispatcher.calls == 0


@in_a_loop
async def test_a_message_whose_storing_took_too_long_is_given_back() -> None:
    async with World() as world:
        message, moment = admitted(world)
        world.clock.leap(5.001)
        world.outbox.put(message)
        world.dispatcher.hand_over(message, moment)
        await idle()

        assert outcomes(world.stands(message)) == [Outcome.BUSY, Outcome.ACCEPTED]
        assert [number for _, _, number in world.provider.sent] == [2]


@in_a_loop
async def test_the_limit_holds_for_messages_whose_storing_stalls() -> None:
    async with World(per_second=80) as world:
        for _ in range(5):
            waiting: list[tuple[Message, float]] = []
            for _ in range(120):  # more than a second, while the disk does not answer
                moment = admit(world)
                fresh = a_message()
                if moment is not None:
                    waiting.append((life.begin(fresh, now=world.clock.now()).message, moment))
                else:
                    world.outbox.messages[fresh.id] = fresh
                await world.clock.advance(0.01)
            for message, moment in waiting:
                world.outbox.put(message)
                world.dispatcher.hand_over(message, moment)
            await world.run_for(0.6, step=0.01)

        times = [at for at, _, _ in world.provider.sent]
        assert len(times) > 100
        assert most_in_any_second(times) <= 80


# A provider that must get ready first


@in_a_loop
async def test_a_log_in_comes_before_the_five_seconds_are_looked_at() -> None:
    async with World() as world:
        world.provider.ready = asyncio.Event()
        message = await world.queue()
        await world.clock.advance(5.01)
        world.provider.ready.set()
        await idle()
        await world.advance(0)

        first, second = world.stands(message).attempts
        assert (first.outcome, second.outcome) == (Outcome.BUSY, Outcome.ACCEPTED)
        assert len(world.provider.sent) == 1


@in_a_loop
async def test_what_waited_for_a_log_in_leaves_no_faster_than_the_limit() -> None:
    async with World(per_second=80) as world:
        world.provider.ready = asyncio.Event()
        for _ in range(300):
            await world.queue()
        await world.run_for(2, step=0.01)
        assert world.provider.sent == []

        world.provider.ready.set()
        world.provider.ready = None
        await world.run_for(2, step=0.01)

        times = [at for at, _, _ in world.provider.sent]
        assert len(times) > 100
        assert most_in_any_second(times) <= 80


@in_a_loop
async def test_whoever_leaves_late_after_a_log_in_owes_from_then() -> None:
    async with World(pair=PairLimit(6)) as world:
        world.provider.ready = asyncio.Event()
        first = await world.queue()
        await world.advance(4)
        world.provider.ready.set()
        world.provider.ready = None
        await world.advance(0)
        assert world.stands(first).status is Status.ACCEPTED

        second = await world.queue(due_at=world.clock.now() + timedelta(seconds=5.5))
        await world.advance(5.9)
        assert world.stands(second).status is Status.QUEUED
        await world.advance(SLACK_SECONDS + 0.2)
        assert world.stands(second).status is Status.ACCEPTED


@in_a_loop
async def test_a_log_in_that_hangs_pauses_the_sender_and_holds_nobody_for_ever() -> None:
    async with World() as world:
        world.provider.ready = asyncio.Event()
        message = await world.queue()
        await world.advance(READY_SECONDS)
        assert outcomes(world.stands(message)) == [Outcome.BUSY]
        assert [pause.scope for pause in world.pauses.of(MAIN)] == [PauseScope.SENDER]

        world.provider.ready = None
        await world.advance(2)
        assert world.stands(message).status is Status.ACCEPTED
        assert world.pauses.of(MAIN) == []


@in_a_loop
async def test_who_opened_no_burst_goes_back_where_its_log_in_outlasts_that() -> None:
    async with World(pair=PairLimit(6)) as world:
        await world.queue()
        world.provider.ready = asyncio.Event()
        await world.advance(3)
        late = await world.queue()
        await world.advance(3)
        world.provider.ready.set()
        world.provider.ready = None
        await world.advance(0)
        assert outcomes(world.stands(late)) == [Outcome.BUSY]
        assert len(world.provider.sent) == 1

        await world.run_for(2, step=0.5)
        assert outcomes(world.stands(late)) == [Outcome.BUSY, Outcome.ACCEPTED]


@in_a_loop
async def test_what_waits_for_a_log_in_goes_back_into_the_queue_when_it_stops() -> None:
    async with World() as world:
        world.provider.ready = asyncio.Event()
        message = await world.queue()
        world.dispatcher.stop()
        await world.dispatcher.finish(timedelta(seconds=1))

        after = world.stands(message)
        assert (after.status, outcomes(after)) == (Status.QUEUED, [Outcome.BUSY])
        assert world.provider.sent == []


@in_a_loop
async def test_a_log_in_that_fails_is_an_answer_like_any_other() -> None:
    async with World() as world:
        world.provider.ready = asyncio.Event()
        world.provider.ready.set()
        world.provider.log_in_fails = BUSY
        message = await world.queue()

        assert outcomes(world.stands(message)) == [Outcome.BUSY]
        assert world.provider.sent == []
