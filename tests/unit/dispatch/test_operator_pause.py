"""A pause that a person asked for: it ends when they say so, or at the moment that they named."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.clock import START, FakeClock, idle
from tests.examples import MAIN
from tests.running import in_a_loop
from tests.unit.dispatch.doubles import MemoryPauses, World, pauses_of

from alir.dispatch.pause import Pause
from alir.errors import PauseAsked, PauseScope, ProviderBusy, StoreUnavailable
from alir.messages.model import Status

OPERATOR = PauseScope.OPERATOR
TOO_FAST = ProviderBusy(
    "Too fast", pauses=PauseAsked(PauseScope.SENDER, timedelta(seconds=1), timedelta(seconds=30))
)


@in_a_loop
async def test_it_ends_by_itself_at_the_moment_that_was_named() -> None:
    async with World() as world:
        until = world.clock.now() + timedelta(minutes=5)
        await world.pauses.pause(MAIN, title="lunch", until=until)
        message = await world.queue()
        await world.advance(299)
        await world.shared_pauses.sync()
        assert world.stands(message).status is Status.QUEUED

        await world.advance(1)
        await world.shared_pauses.sync()
        await world.advance(0)

        assert world.pauses.of(MAIN) == []
        assert world.stands(message).status is Status.ACCEPTED
        await world.pauses.finish()
        assert world.pause_store.told == [("paused", "operator"), ("resumed", "operator")]


@in_a_loop
async def test_what_another_process_stored_holds_and_ends_likewise() -> None:
    async with World() as world:
        pause = Pause(sender=MAIN, scope=OPERATOR, title="moving", since=START)
        await world.pause_store.put(pause, is_new=True)
        await world.shared_pauses.sync()
        message = await world.queue()
        assert world.stands(message).status is Status.QUEUED
        assert world.provider.sent == []

        await world.pause_store.remove(pause)
        await world.shared_pauses.sync()
        await world.advance(0)

        assert world.stands(message).status is Status.ACCEPTED


@in_a_loop
async def test_what_cannot_be_stored_does_not_hold_either() -> None:
    async with World() as world:
        world.pause_store.broken = True

        with pytest.raises(StoreUnavailable):
            await world.pauses.pause(MAIN, title="lunch")

        assert world.pauses.of(MAIN) == []


@in_a_loop
async def test_it_holds_what_is_just_being_begun_to_see_whether_another_pause_is_over() -> None:
    async with World() as world:
        world.provider.answers.append(TOO_FAST)
        await world.queue()
        message = await world.queue()
        assert [pause.scope for pause in world.pauses.of(MAIN)] == [PauseScope.SENDER]
        release = world.outbox.hold("begin")
        await world.advance(2)  # the pause lets one through, which is being written
        await world.pauses.pause(MAIN, title="lunch")
        release()
        await idle()

        assert len(world.provider.sent) == 1
        assert world.stands(message).status is Status.QUEUED

        await world.shared_pauses.resume(MAIN)
        await world.advance(0)
        assert world.stands(message).status is Status.ACCEPTED


@in_a_loop
async def test_a_pause_of_a_moment_ago_is_resumed_through_another_process_too() -> None:
    clock, store = FakeClock(), MemoryPauses()
    here, there = pauses_of(clock, store), pauses_of(clock, store)
    await here.pauses.pause(MAIN, title="lunch")

    [ended] = await there.shared.resume(MAIN)

    assert ended.scope is OPERATOR
    assert store.stored == {}
    await here.shared.sync()
    assert here.pauses.of(MAIN) == []
