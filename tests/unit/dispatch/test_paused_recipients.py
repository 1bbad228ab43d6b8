"""Recipients that stand still are one process's to see to, and everybody's to count and resume."""

from __future__ import annotations

import asyncio

import pytest
from tests.clock import FakeClock, idle
from tests.examples import MAIN, OTHER, a_message
from tests.running import in_a_loop
from tests.unit.dispatch.doubles import MemoryPauses, World, pauses_of
from tests.unit.dispatch.test_pauses import TOO_MANY_TO_ONE, pausing, statuses

from alir.dispatch.pause import Pause
from alir.dispatch.shared_pauses import SYNC_SECONDS
from alir.errors import PauseScope, StoreUnavailable
from alir.ids import SenderName
from alir.messages.model import Status

RECIPIENT = PauseScope.RECIPIENT
FOR_AN_HOUR = pausing(RECIPIENT, 3600)


def kept(
    clock: FakeClock, store: MemoryPauses, *keys: str, sender: SenderName = MAIN
) -> list[Pause]:
    """Pauses of these recipients, put on disk by somebody."""
    now = clock.now()
    pauses = [Pause(sender=sender, scope=RECIPIENT, key=k, title="t", since=now) for k in keys]
    store.stored |= {(pause.sender, pause.scope, pause.key): pause for pause in pauses}
    return pauses


@in_a_loop
async def test_whom_another_process_resumed_is_written_to_again_though_nobody_told() -> None:
    async with World() as world:
        world.provider.answers.append(FOR_AN_HOUR)
        message = await world.queue()
        await world.advance(1)
        assert statuses(world, [message]) == [Status.QUEUED]

        world.pause_store.stored.clear()  # as `alir sender resume` does
        await world.shared_pauses.sync()
        await world.advance(0)

        assert world.pauses.of(MAIN) == []
        assert statuses(world, [message]) == [Status.ACCEPTED]


@in_a_loop
async def test_whoever_sees_to_a_recipient_looks_every_second_whether_somebody_resumed() -> None:
    clock, store = FakeClock(), MemoryPauses()
    process = pauses_of(clock, store)
    kept(clock, store, "+12125550100")
    await process.shared.take_over(MAIN)
    running = asyncio.create_task(process.shared.run())
    await clock.advance(SYNC_SECONDS)
    assert process.shared.recipients(MAIN) == 1

    store.stored.clear()
    await clock.advance(SYNC_SECONDS)

    assert process.shared.recipients(MAIN) == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@in_a_loop
async def test_race_what_is_just_being_put_is_not_taken_for_resumed() -> None:
    async with World() as world:
        store = world.pause_store
        world.provider.answers.append(TOO_MANY_TO_ONE)
        await world.queue(to="+15551240000")
        await world.pauses.finish()
        store.held.add(RECIPIENT)
        world.provider.answers.append(TOO_MANY_TO_ONE)
        await world.queue(to="+15551240001")
        assert len(store.stored) == 1

        await world.shared_pauses.sync()
        await world.shared_pauses.sync(recipients=True)

        assert world.shared_pauses.recipients(MAIN) == 2
        store.open.set()


@in_a_loop
async def test_race_what_begins_while_the_disk_is_read_is_not_taken_for_resumed() -> None:
    class Slow(MemoryPauses):
        def __init__(self) -> None:
            super().__init__()
            self.was_read = asyncio.Event()

        async def all(self, *, but_recipients: bool = False) -> list[Pause]:
            found = await super().all(but_recipients=but_recipients)
            await self.was_read.wait()
            return found

    clock, store = FakeClock(), Slow()
    process = pauses_of(clock, store)
    looking = asyncio.create_task(process.shared.sync(recipients=True))
    await idle()
    kept(clock, store, "+12125550100")
    await process.shared.take_over(MAIN)
    store.was_read.set()
    await looking

    assert process.shared.recipients(MAIN) == 1


@in_a_loop
async def test_a_process_that_does_not_dispatch_counts_those_on_disk() -> None:
    clock, store = FakeClock(), MemoryPauses()
    front = pauses_of(clock, store, dispatches=False)
    kept(clock, store, "+12125550100", "+12125550101")
    kept(clock, store, "+12125550100", sender=OTHER)

    await front.shared.count_recipients()

    assert (front.shared.recipients(MAIN), front.shared.recipients(OTHER)) == (2, 1)
    await front.shared.sync(recipients=True)
    assert front.pauses.of(MAIN) == []


@in_a_loop
async def test_a_process_that_does_not_dispatch_resumes_them_too_and_whoever_does_lets_go() -> None:
    clock, store = FakeClock(), MemoryPauses()
    holder, front = (pauses_of(clock, store, dispatches=dispatches) for dispatches in (True, False))
    mine = kept(clock, store, "+12125550100", "+12125550101")
    [others] = kept(clock, store, "+12125550100", sender=OTHER)
    for sender in (MAIN, OTHER):
        await holder.shared.take_over(sender)

    ended = await front.shared.resume(MAIN)
    assert sorted(pause.key for pause in ended) == [pause.key for pause in mine]
    assert [*store.stored.values()] == [others]

    await holder.shared.sync(recipients=True)  # as it does when told
    assert (holder.shared.recipients(MAIN), holder.shared.recipients(OTHER)) == (0, 1)
    assert (holder.gates[MAIN].anything_shut, holder.gates[OTHER].anything_shut) == (False, True)


@in_a_loop
async def test_a_process_that_paused_one_by_a_receipt_keeps_it_until_somebody_resumes() -> None:
    clock, store = FakeClock(), MemoryPauses()
    relay = pauses_of(clock, store, dispatches=False)
    relay.pauses.strike(a_message(), FOR_AN_HOUR, begun_at=clock.now(), by_receipt=True)
    await idle()
    for recipients in (False, True):
        await relay.shared.sync(recipients=recipients)
        assert [pause.scope for pause in relay.pauses.of(MAIN)] == [RECIPIENT]

    store.stored.clear()
    await relay.shared.sync()
    assert relay.pauses.of(MAIN) == []


@in_a_loop
async def test_what_cannot_be_resumed_on_disk_does_not_become_anothers_to_see_to() -> None:
    clock, store = FakeClock(), MemoryPauses()
    front = pauses_of(clock, store, dispatches=False)
    kept(clock, store, "+12125550100")
    store.broken = True

    with pytest.raises(StoreUnavailable):
        await front.shared.resume(MAIN)

    assert front.pauses.of(MAIN) == []
    assert not front.gates[MAIN].anything_shut
