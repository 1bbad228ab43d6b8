"""Pauses on their way to disk and back: in order, nothing brought back, nothing held up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.clock import FakeClock, idle
from tests.examples import MAIN, a_message
from tests.running import in_a_loop
from tests.unit.dispatch.doubles import MemoryPauses, World, pauses_of
from tests.unit.dispatch.test_pauses import (
    BAD_TOKEN,
    TOO_FAST,
    TOO_MANY_TO_ONE,
    pausing,
    statuses,
)

from alir.dispatch.pause import Pause
from alir.dispatch.shared_pauses import SYNC_SECONDS
from alir.errors import PauseScope, StoreUnavailable
from alir.messages.model import Status

SHORTLY = timedelta(seconds=0.01)


@in_a_loop
async def test_an_account_that_is_tried_at_the_start_is_not_shut_again_by_looking_at_the_disk() -> (
    None
):
    clock, store = FakeClock(), MemoryPauses()
    until = clock.now() + timedelta(minutes=10)
    pause = Pause(sender=MAIN, scope=PauseScope.ACCOUNT, title="t", since=clock.now(), until=until)
    store.stored[MAIN, PauseScope.ACCOUNT, ""] = pause
    process = pauses_of(clock, store)
    await process.shared.take_over(MAIN)
    await process.shared.sync()
    assert process.gates[MAIN].room(clock.elapsed()) == 1

    await idle()
    await process.shared.sync()
    assert process.gates[MAIN].room(clock.elapsed()) == 1
    assert store.stored[MAIN, PauseScope.ACCOUNT, ""].until == clock.now()


@in_a_loop
async def test_the_end_waits_for_a_disk_that_is_full_only_so_long() -> None:
    async with World() as world:
        world.pause_store.broken = True
        world.provider.answers.append(TOO_FAST)
        await world.queue()

        await world.pauses.finish(SHORTLY)
        assert world.pause_store.stored == {}


@in_a_loop
async def test_what_is_being_stored_when_it_is_resumed_does_not_come_back() -> None:
    async with World() as world:
        world.pause_store.broken = True
        world.provider.answers.append(TOO_FAST)
        message = await world.queue()
        await world.advance(0.1)
        world.pause_store.broken = False
        world.pause_store.held.add(PauseScope.SENDER)
        await world.clock.advance(0.4)  # it is being stored
        resuming = asyncio.create_task(world.shared_pauses.resume(MAIN))
        await idle()
        assert not resuming.done()
        world.pause_store.open.set()
        await resuming

        assert world.pause_store.stored == {}
        await world.shared_pauses.sync()
        await world.advance(1)
        assert world.pauses.of(MAIN) == []
        assert statuses(world, [message]) == [Status.ACCEPTED]


@in_a_loop
async def test_what_cannot_be_resumed_on_disk_stays_paused() -> None:
    async with World() as world:
        await world.pauses.pause(MAIN, title="Holiday")
        world.pause_store.broken = True

        with pytest.raises(StoreUnavailable):
            await world.shared_pauses.resume(MAIN)
        assert [pause.title for pause in world.pauses.of(MAIN)] == ["Holiday"]
        assert not world.gate.is_open


@in_a_loop
async def test_somebody_who_resumes_is_told_at_once_that_the_disk_is_full() -> None:
    async with World() as world:
        world.pause_store.broken = True
        world.provider.answers.append(TOO_FAST)
        await world.queue()
        resuming = asyncio.create_task(world.shared_pauses.resume(MAIN))
        await world.clock.advance(0.5)

        with pytest.raises(StoreUnavailable):
            await resuming
        assert len(world.pauses.of(MAIN)) == 1


@in_a_loop
async def test_many_recipients_that_are_being_stored_hold_up_nobody_who_pauses_the_sender() -> None:
    async with World() as world:
        world.pause_store.held.add(PauseScope.RECIPIENT)
        world.provider.answers.extend([TOO_MANY_TO_ONE] * 50)
        for i in range(50):
            await world.queue(to=f"+155512400{i:02}")
        await world.pauses.pause(MAIN, title="Holiday")
        assert list(world.pause_store.stored) == [(MAIN, PauseScope.OPERATOR, "")]

        key = (MAIN, PauseScope.OPERATOR, "")
        del world.pause_store.stored[key]  # another process resumes it
        await world.shared_pauses.sync()
        assert {pause.scope for pause in world.pauses.of(MAIN)} == {PauseScope.RECIPIENT}
        world.pause_store.open.set()
        await world.pauses.finish()
        assert len(world.pause_store.stored) == 50


@in_a_loop
async def test_recipients_are_not_looked_for_on_disk_again() -> None:
    async with World() as world:
        world.provider.answers.append(TOO_MANY_TO_ONE)
        await world.queue()
        await world.pauses.finish()
        [pause] = world.pauses.of(MAIN)
        assert await world.pause_store.all() == [pause]

        await world.pause_store.put(replace(pause, key="+15551249999"), is_new=False)
        await world.shared_pauses.sync()
        assert world.pauses.of(MAIN) == [pause]


@in_a_loop
async def test_a_fault_of_its_own_in_a_write_holds_up_nothing_after_it() -> None:
    async with World() as world:
        world.pause_store.faults.append(RuntimeError("a fault"))
        world.provider.answers.extend([TOO_FAST, TOO_FAST])
        message = await world.queue()
        await world.advance(1)
        assert [pause.strikes for pause in world.pause_store.stored.values()] == [2]

        await world.advance(2)
        assert statuses(world, [message]) == [Status.ACCEPTED]
        assert world.pause_store.stored == {}


@in_a_loop
async def test_a_fault_in_looking_at_the_disk_does_not_end_the_looking() -> None:
    class Broken(MemoryPauses):
        looks = 0

        async def all(self, *, but_recipients: bool = False) -> list[Pause]:
            self.looks += 1
            if self.looks == 1:
                raise RuntimeError("a fault")
            return await super().all(but_recipients=but_recipients)

    clock, store = FakeClock(), Broken()
    process = pauses_of(clock, store)
    running = asyncio.create_task(process.shared.run())
    await clock.advance(SYNC_SECONDS)
    held = Pause(sender=MAIN, scope=PauseScope.OPERATOR, title="t", since=clock.now())
    store.stored[MAIN, PauseScope.OPERATOR, ""] = held
    await clock.advance(SYNC_SECONDS)

    assert not process.gates[MAIN].is_open
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@in_a_loop
async def test_what_another_process_paused_is_looked_at_when_woken_recipients_where_asked() -> None:
    clock, store = FakeClock(), MemoryPauses()
    process = pauses_of(clock, store)
    running = asyncio.create_task(process.shared.run())
    for scope, key in ((PauseScope.SENDER, ""), (PauseScope.RECIPIENT, "+12125550100")):
        pause = Pause(sender=MAIN, scope=scope, key=key, title="t", since=clock.now())
        store.stored[MAIN, scope, key] = pause

    await idle()
    assert process.pauses.of(MAIN) == []
    process.shared.wake(recipients=False)
    await idle()
    assert [pause.scope for pause in process.pauses.of(MAIN)] == [PauseScope.SENDER]
    process.shared.wake(recipients=True)
    process.shared.wake(recipients=False)
    await idle()
    assert {pause.scope for pause in process.pauses.of(MAIN)} == {
        PauseScope.SENDER,
        PauseScope.RECIPIENT,
    }
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@in_a_loop
async def test_a_secret_that_changed_while_a_call_with_the_old_one_was_under_way_is_tried() -> None:
    async with World() as world:
        used = world.provider.credentials()
        world.provider.token = b"second"
        now = world.clock.now()
        until = world.pauses.strike(a_message(), BAD_TOKEN, begun_at=now, used=used)
        assert until is not None
        assert world.gate.room(world.clock.elapsed()) == 1


@in_a_loop
async def test_a_secret_is_tried_that_changed_though_another_process_wrote_the_pause_anew() -> None:
    async with World() as world:
        world.provider.answers.append(BAD_TOKEN)
        await world.queue()
        await world.pauses.finish()
        [pause] = world.pauses.of(MAIN)
        earlier = replace(pause, since=pause.since - timedelta(seconds=1))
        await world.pause_store.put(earlier, is_new=False)
        await world.shared_pauses.sync()  # takes the other's over
        world.provider.token = b"second"
        await world.shared_pauses.sync()

        assert world.gate.room(world.clock.elapsed()) == 1


@in_a_loop
async def test_a_secret_that_is_refused_again_is_not_tried_again_before_its_time() -> None:
    async with World() as world:
        now, used = world.clock.now(), world.provider.credentials()
        world.pauses.strike(a_message(), BAD_TOKEN, begun_at=now, used=used)
        await world.shared_pauses.sync()
        assert world.gate.room(world.clock.elapsed()) == 0


@pytest.mark.parametrize("narrow", [PauseScope.RECIPIENT, PauseScope.FLOW])
@in_a_loop
async def test_a_refusal_for_its_recipient_or_flow_shows_that_the_sender_is_well(
    narrow: PauseScope,
) -> None:
    async with World() as world:
        world.provider.answers.extend([TOO_FAST, pausing(narrow, 60)])
        first = await world.queue()
        other = await world.queue(to="+15551240001", flow={**a_message().flow, "id": "2"})
        await world.advance(1)

        assert [pause.scope for pause in world.pauses.of(MAIN)] == [narrow]
        assert sorted(statuses(world, [first, other])) == [Status.ACCEPTED, Status.QUEUED]


@in_a_loop
async def test_a_sender_heals_also_after_the_wall_clock_was_set_back() -> None:
    async with World() as world:
        world.provider.answers.append(TOO_FAST)
        await world.queue()
        world.clock.set_back(3600)
        later = await world.queue(to="+15551240001")
        await world.advance(1)

        assert statuses(world, [later]) == [Status.ACCEPTED]
        assert world.pauses.of(MAIN) == []
