"""What a refusal lets stand still, what goes on meanwhile, and what ends it. Nothing is lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.clock import FakeClock, idle
from tests.examples import MAIN, OTHER, TEMPLATE, a_message
from tests.running import in_a_loop
from tests.unit.dispatch.doubles import MemoryPauses, ScriptedProvider, World, pauses_of

from alir.dispatch.aftermath import Aftermath
from alir.dispatch.attempt import BusyPolicy
from alir.dispatch.gate import PairLimit
from alir.dispatch.pause import Pause
from alir.dispatch.ports import Sent
from alir.dispatch.shared_pauses import SYNC_SECONDS
from alir.errors import OutcomeUnknown, PauseAsked, PauseScope, ProviderBusy, ProviderRefused
from alir.messages import life
from alir.messages.model import Message, Receipt, ReceiptStatus, Status


def pausing(scope: PauseScope, first: float | None, longest: float | None = None) -> ProviderBusy:
    """An answer that lets `scope` stand still."""
    return ProviderBusy(
        "Too many",
        provider_code="130429",
        pauses=PauseAsked(
            scope,
            None if first is None else timedelta(seconds=first),
            None if first is None else timedelta(seconds=longest or first),
        ),
    )


TOO_FAST = pausing(PauseScope.SENDER, 1, 30)
BAD_TOKEN = pausing(PauseScope.ACCOUNT, 60, 900)
TOO_MANY_TO_ONE = pausing(PauseScope.RECIPIENT, 1, 256)
FLOW_STOPPED = pausing(PauseScope.FLOW, None)


def statuses(world: World, messages: list[Message]) -> list[Status]:
    return [world.stands(message).status for message in messages]


@in_a_loop
async def test_a_busy_sender_stands_still_then_tries_one_then_goes_on() -> None:
    async with World() as world:
        world.provider.answers.append(TOO_FAST)
        first = await world.queue()
        others = [await world.queue(to=f"+1555124000{i}") for i in range(5)]
        assert len(world.provider.sent) == 1
        assert statuses(world, [first, *others]) == [Status.QUEUED] * 6

        world.provider.open.clear()
        await world.advance(1)
        assert len(world.provider.sent) == 2, "one, to see"
        world.provider.open.set()
        await idle()
        assert statuses(world, [first, *others]) == [Status.ACCEPTED] * 6
        assert world.pause_store.told == [("paused", "sender"), ("resumed", "sender")]
        assert world.pause_store.stored == {}


@in_a_loop
async def test_a_try_that_is_refused_too_makes_the_pause_longer() -> None:
    async with World() as world:
        world.provider.answers.extend([TOO_FAST, TOO_FAST, TOO_FAST])
        message = await world.queue()
        await world.advance(1)
        await world.advance(1.9)
        assert len(world.provider.sent) == 2
        await world.advance(0.2)
        await world.advance(3.9)
        assert len(world.provider.sent) == 3
        await world.advance(0.2)
        assert world.stands(message).status is Status.ACCEPTED
        assert world.pause_store.told == [("paused", "sender"), ("resumed", "sender")]


@in_a_loop
async def test_five_hundred_refused_at_once_are_one_strike() -> None:
    async with World() as world:
        world.provider.open.clear()
        messages = [await world.queue(to=f"+1555124{i:04}") for i in range(100)]
        world.provider.answers.extend([TOO_FAST] * 100)
        world.provider.open.set()
        await idle()
        [pause] = world.pauses.of(MAIN)
        assert pause.strikes == 1

        await world.advance(1)
        assert statuses(world, messages) == [Status.ACCEPTED] * 100


@pytest.mark.parametrize("what", ["lost", "busy"])
@in_a_loop
async def test_a_try_that_tells_nothing_is_repeated_after_as_long(what: str) -> None:
    answer = OutcomeUnknown("No answer") if what == "lost" else ProviderBusy("Unreachable")
    async with World() as world:
        world.provider.answers.extend([TOO_FAST, answer])
        await world.queue()
        await world.queue(to="+15551240001")
        await world.advance(1)
        assert len(world.provider.sent) == 2
        await world.advance(0.9)
        assert len(world.provider.sent) == 2
        await world.advance(0.2)
        await idle()
        assert len(world.provider.sent) >= 3


@in_a_loop
async def test_a_message_that_is_refused_for_itself_shows_that_the_sender_is_well() -> None:
    async with World() as world:
        world.provider.answers.extend([TOO_FAST, ProviderRefused("Undeliverable")])
        first, second = await world.queue(), await world.queue(to="+15551240001")
        await world.advance(1)

        assert statuses(world, [first, second]) == [Status.ACCEPTED, Status.FAILED]


@in_a_loop
async def test_a_refused_token_pauses_the_account_until_its_file_changes() -> None:
    async with World() as world:
        world.provider.answers.append(BAD_TOKEN)
        messages = [await world.queue(to=f"+1555124000{i}") for i in range(3)]
        await world.advance(30)
        assert len(world.provider.sent) == 1

        world.provider.token = b"second"
        await world.shared_pauses.sync()
        await idle()
        assert statuses(world, messages) == [Status.ACCEPTED] * 3


@in_a_loop
async def test_a_token_that_changed_just_before_it_was_refused_is_tried_at_once() -> None:
    async with World() as world:
        world.provider.answers.append(BAD_TOKEN)
        world.provider.in_file = b"second"  # the file holds it, and nobody has read it again yet
        message = await world.queue()
        await world.advance(1)

        assert world.stands(message).status is Status.ACCEPTED


@in_a_loop
async def test_a_message_that_is_to_blame_itself_does_not_stop_the_others_for_good() -> None:
    class Poison(ScriptedProvider):
        async def send(self, message: Message, attempt: int) -> Sent:
            if message.to == "+15550000190":
                self.answers.append(BAD_TOKEN)
            return await super().send(message, attempt)

    async with World(provider=Poison) as world:
        await world.queue(to="+15550000190")
        others = [await world.queue(to=f"+1555124000{i}") for i in range(3)]
        await world.advance(60)

        assert statuses(world, others) == [Status.ACCEPTED] * 3


@in_a_loop
async def test_two_that_are_to_blame_themselves_do_not_hold_for_good_what_came_later() -> None:
    async with World() as world:
        world.provider.open.clear()
        to_blame = [await world.queue(), await world.queue(to="+15551240001")]
        world.provider.answers.extend([BAD_TOKEN, BAD_TOKEN])
        world.provider.open.set()
        await idle()
        await world.advance(30)
        later = await world.queue(to="+15551240002")
        assert len(world.provider.sent) == 2

        await world.advance(31)
        assert world.provider.sent[2][1] == later.id, "one that was not refused, to see"
        assert statuses(world, [*to_blame, later]) == [Status.ACCEPTED] * 3


@in_a_loop
async def test_a_message_is_not_given_up_because_its_account_stood_still() -> None:
    async with World() as world:
        world.provider.answers.extend([BAD_TOKEN] * 300)
        message = await world.queue()
        await world.run_for(3 * 24 * 3600, step=1000)
        assert world.stands(message).status is Status.QUEUED
        world.provider.answers.clear()
        await world.advance(900)
        assert world.stands(message).status is Status.ACCEPTED


@in_a_loop
async def test_what_stood_still_uses_no_tries_up() -> None:
    thrice = ProviderBusy("Unknown", provider_code="1", at_most=3)
    async with World() as world:
        world.provider.answers.extend([BAD_TOKEN] * 5 + [thrice] * 3)
        message = await world.queue()
        await world.run_for(3600, step=10)

        assert world.stands(message).status is Status.FAILED
        assert len(world.provider.sent) == 8


@in_a_loop
async def test_a_message_is_given_up_whose_recipient_stood_still_for_a_day() -> None:
    async with World() as world:
        world.provider.answers.extend([TOO_MANY_TO_ONE] * 1000)
        message = await world.queue()
        await world.run_for(23.9 * 3600, step=100)
        assert world.stands(message).status is Status.QUEUED

        await world.run_for(1000, step=100)
        stands = world.stands(message)
        assert (stands.status, (stands.error or {})["code"]) == (Status.FAILED, "gave_up")


@in_a_loop
async def test_what_was_let_through_in_vain_goes_soon_after_the_sender_is_well() -> None:
    async with World() as world:
        world.provider.answers.extend([TOO_FAST] * 20)
        messages = [await world.queue(to=f"+1555124000{i}") for i in range(3)]
        await world.run_for(600, step=0.5)
        world.provider.answers.clear()
        await world.run_for(32, step=0.5)

        assert statuses(world, messages) == [Status.ACCEPTED] * 3


@in_a_loop
async def test_it_expires_all_the_same() -> None:
    async with World() as world:
        world.provider.answers.append(BAD_TOKEN)
        message = await world.queue(expires_at=world.clock.now() + timedelta(seconds=10))
        await world.advance(10)
        await world.housekeeper.look()

        assert world.stands(message).status is Status.EXPIRED


@in_a_loop
async def test_one_recipient_that_must_wait_delays_no_other() -> None:
    async with World(pair=PairLimit(6)) as world:
        world.provider.answers.append(TOO_MANY_TO_ONE)
        slow = [await world.queue(to="+15551239999") for _ in range(3)]
        others = [await world.queue(to=f"+1555124000{i}") for i in range(5)]
        assert statuses(world, others) == [Status.ACCEPTED] * 5
        assert statuses(world, slow) == [Status.QUEUED] * 3

        await world.advance(1.01)
        assert statuses(world, slow)[0] is Status.ACCEPTED
        await world.run_for(20, step=0.5)
        assert statuses(world, slow) == [Status.ACCEPTED] * 3
        to_slow = [id_ for _, id_, _ in world.provider.sent if id_ in {m.id for m in slow}]
        assert to_slow == [slow[0].id, slow[0].id, slow[1].id, slow[2].id], "in their order"
        assert world.pause_store.told == [("paused", "recipient"), ("resumed", "recipient")]


@in_a_loop
async def test_a_stopped_flow_waits_for_an_operator_and_other_flows_go_on() -> None:
    async with World() as world:
        world.provider.answers.append(FLOW_STOPPED)
        stopped = await world.queue()
        same = await world.queue(to="+15551240001")
        other = await world.queue(to="+15551240002", flow={**a_message().flow, "id": "2"})
        await world.advance(3600)
        assert statuses(world, [stopped, same, other]) == [
            *(Status.QUEUED, Status.QUEUED),
            Status.ACCEPTED,
        ]

        await world.shared_pauses.resume(MAIN)
        await idle()
        assert statuses(world, [stopped, same]) == [Status.ACCEPTED] * 2


@in_a_loop
async def test_a_template_whose_flow_is_stopped_stops_no_other_message() -> None:
    async with World() as world:
        world.provider.answers.append(FLOW_STOPPED)
        stopped = await world.queue(type="template", flow={}, template=TEMPLATE)
        another = TEMPLATE | {"name": "another_form"}
        others = [
            await world.queue(),
            await world.queue(type="template", flow={}, template=another),
        ]

        [pause] = world.pauses.of(MAIN)
        assert (pause.scope, pause.key) == (PauseScope.FLOW, "template:visit_form")
        assert statuses(world, [stopped, *others]) == [
            Status.QUEUED,
            *[Status.ACCEPTED] * 2,
        ]


@in_a_loop
async def test_a_slow_flow_goes_at_its_pace() -> None:
    slow = pausing(PauseScope.FLOW, 371)
    async with World() as world:
        world.provider.answers.append(slow)
        messages = [await world.queue(to=f"+1555124{i:04}") for i in range(25)]
        await world.run_for(3600, step=1)
        sent = statuses(world, messages).count(Status.ACCEPTED)
        assert 9 <= sent <= 10
        moments = [moment for moment, _, _ in world.provider.sent][1:]
        assert all(b - a >= 370 for a, b in pairwise(moments))


@in_a_loop
async def test_an_operator_stops_a_sender_and_lets_it_go_on() -> None:
    async with World() as world:
        await world.pauses.pause(MAIN, title="Holiday")
        message = await world.queue()
        await world.advance(3600)
        assert world.provider.sent == []
        await world.shared_pauses.resume(MAIN)
        await idle()

        assert world.stands(message).status is Status.ACCEPTED


@in_a_loop
async def test_race_of_the_end_of_a_pause_and_an_operator_who_makes_it_longer() -> None:
    async with World() as world:
        soon = world.clock.now() + timedelta(seconds=10)
        await world.pauses.pause(MAIN, title="Holiday", until=soon)
        [stored] = world.pause_store.stored.values()
        await world.advance(9.5)
        # As `alir sender pause` does, of which nobody tells this process.
        await world.pause_store.put(replace(stored, until=None), is_new=False)
        await world.advance(1)
        await world.shared_pauses.sync()

        message = await world.queue()
        await world.advance(1)
        assert world.stands(message).status is Status.QUEUED
        assert [pause.until for pause in world.pauses.of(MAIN)] == [None]


@in_a_loop
async def test_what_was_read_before_a_pause_began_does_not_end_it() -> None:
    async with World() as world:
        world.provider.answers.append(TOO_FAST)
        world.pause_store.broken = True
        await world.queue()
        await world.shared_pauses.sync()  # it is not on disk yet
        assert [pause.scope for pause in world.pauses.of(MAIN)] == [PauseScope.SENDER]

        world.pause_store.broken = False
        await world.advance(0.5)
        await world.pauses.finish()
        assert len(world.pause_store.stored) == 1


@in_a_loop
async def test_pauses_outlive_the_process_and_an_account_is_tried_at_the_start() -> None:
    clock, store = FakeClock(), MemoryPauses()
    for scope, name in ((PauseScope.SENDER, MAIN), (PauseScope.ACCOUNT, OTHER)):
        until = clock.now() + timedelta(minutes=10)
        pause = Pause(sender=name, scope=scope, title="t", since=clock.now(), until=until)
        store.stored[name, scope, ""] = pause
    process = pauses_of(clock, store)
    for name in process.gates:
        await process.shared.take_over(name)

    assert process.gates[MAIN].room(clock.elapsed()) == 0
    assert process.gates[OTHER].room(clock.elapsed()) == 1


@in_a_loop
async def test_senders_of_one_account_stand_still_together() -> None:
    clock, store = FakeClock(), MemoryPauses()
    process = pauses_of(clock, store, ("shop", "shop"))
    process.pauses.strike(a_message(), BAD_TOKEN, begun_at=clock.now())
    await idle()
    assert [gate.is_open for gate in process.gates.values()] == [False, False]

    clock.leap(60)
    process.pauses.passed(a_message(sender=OTHER), begun_at=clock.now())
    await idle()
    assert [gate.is_open for gate in process.gates.values()] == [True, True]
    assert store.stored == {}


def test_it_looks_often_enough_that_an_operator_does_not_wait() -> None:
    assert SYNC_SECONDS <= 1


# Where a provider takes everything, and refuses by receipt


def told_later(world: World, message: Message, status: ReceiptStatus) -> None:
    """A receipt of the latest attempt comes: a failed one says that the account is blocked."""
    aftermath = Aftermath(
        lambda *_: BAD_TOKEN,
        world.pauses,
        policy=BusyPolicy(),
        clock=world.clock,
        random=lambda: 0.0,
        decisions=world.outcomes,
    )
    stands = world.stands(message)
    number = len(stands.attempts)
    error = {"provider_code": "131042"} if status is ReceiptStatus.FAILED else None
    again = aftermath.again(stands, error) if error else None
    receipt = Receipt(attempt=number, status=status, at=world.clock.now(), error=error)
    change = life.receive(stands, receipt, now=world.clock.now(), provider_id=None, again=again)
    assert change is not None
    if error:
        aftermath.failed(change.message, number, error)
    else:
        aftermath.arrived(change.message, number)
    world.outbox.put(change.message)


@in_a_loop
async def test_a_pause_that_a_receipt_began_tries_one_at_a_time_until_a_receipt_ends_it() -> None:
    async with World() as world:
        messages = [await world.queue(to=f"+1555124000{i}") for i in range(10)]
        assert statuses(world, messages) == [Status.ACCEPTED] * 10
        for message in messages:
            told_later(world, message, ReceiptStatus.FAILED)
        await idle()
        assert statuses(world, messages) == [Status.QUEUED] * 10
        assert len(world.provider.sent) == 10

        await world.advance(60)
        assert len(world.provider.sent) == 11, "that it was taken tells nothing"
        [first] = [m for m in messages if world.stands(m).status is Status.ACCEPTED]
        told_later(world, first, ReceiptStatus.FAILED)
        [pause] = world.pauses.of(MAIN)
        assert (pause.strikes, world.stands(first).status) == (2, Status.FAILED)

        await world.advance(120)
        assert len(world.provider.sent) == 12
        [second] = [m for m in messages if world.stands(m).status is Status.ACCEPTED]
        told_later(world, second, ReceiptStatus.SENT)
        await world.advance(1)
        assert world.pauses.of(MAIN) == []
        assert statuses(world, messages).count(Status.ACCEPTED) == 8


@in_a_loop
async def test_a_late_receipt_of_what_was_sent_before_a_pause_does_not_end_it() -> None:
    async with World() as world:
        early, refused = await world.queue(), await world.queue(to="+15551240001")
        told_later(world, refused, ReceiptStatus.FAILED)
        told_later(world, early, ReceiptStatus.DELIVERED)

        assert len(world.pauses.of(MAIN)) == 1


@in_a_loop
async def test_what_waits_for_a_recipient_goes_as_soon_as_that_heals() -> None:
    async with World() as world:
        world.provider.answers.extend([pausing(PauseScope.RECIPIENT, 256)])
        messages = [await world.queue() for _ in range(3)]
        await world.advance(257)
        await world.advance(0.1)

        assert statuses(world, messages) == [Status.ACCEPTED] * 3


# Where a provider says nothing any more


@in_a_loop
async def test_five_calls_in_a_row_without_an_answer_pause_the_sender() -> None:
    async with World() as world:
        world.provider.answers.extend([OutcomeUnknown("No answer")] * 6)
        for i in range(8):
            await world.queue(to=f"+1555124000{i}")
        assert len(world.provider.sent) == 5
        await world.advance(5)
        assert len(world.provider.sent) == 6, "one, to see"
        await world.advance(9.9)
        assert len(world.provider.sent) == 6, "each that tells nothing makes it longer"
        await world.advance(0.1)
        await idle()
        assert len(world.provider.sent) == 8
        assert world.pauses.of(MAIN) == []


@in_a_loop
async def test_a_sender_without_any_answer_is_tried_once_a_minute_in_the_end() -> None:
    async with World() as world:
        world.provider.answers.extend([OutcomeUnknown("No answer")] * 100)
        for i in range(30):
            await world.queue(to=f"+1555124{i:04}")
        await world.run_for(600, step=5)

        moments = [at for at, _, _ in world.provider.sent]
        gaps = [after - before for before, after in pairwise(moments)]
        assert gaps[4:8] == [5, 10, 20, 40]
        assert set(gaps[8:]) == {60}


@in_a_loop
async def test_a_log_in_that_fails_between_them_is_no_answer() -> None:
    async with World() as world:
        world.provider.answers.extend([OutcomeUnknown("No answer")] * 5)
        for i in range(4):
            await world.queue(to=f"+1555124000{i}")
        world.provider.ready, world.provider.log_in_fails = asyncio.Event(), ProviderBusy("No")
        world.provider.ready.set()
        await world.queue(to="+15551240004")
        world.provider.ready = None
        await world.queue(to="+15551240005")

        assert [pause.scope for pause in world.pauses.of(MAIN)] == [PauseScope.SENDER]


@in_a_loop
async def test_an_answer_between_them_keeps_the_sender_going() -> None:
    async with World() as world:
        lost = OutcomeUnknown("No answer")
        world.provider.answers.extend([*[lost] * 4, None, *[lost] * 4])
        for i in range(9):
            await world.queue(to=f"+1555124000{i}")

        assert len(world.provider.sent) == 9
        assert world.pauses.of(MAIN) == []


@in_a_loop
async def test_a_pause_that_ends_while_every_call_is_under_way_waits_for_one_to_end() -> None:
    async with World(max_calls=1) as world:
        world.provider.open.clear()
        first = await world.queue()
        later = await world.queue(to="+15551240001")
        world.pauses.strike(later, TOO_FAST, begun_at=world.clock.now())
        # Were it to spin, nothing else would run any more: the test would not end.
        await world.advance(2)
        assert statuses(world, [first, later]) == [Status.SENDING, Status.QUEUED]

        world.provider.open.set()
        await idle()
        assert statuses(world, [first, later]) == [Status.ACCEPTED] * 2
