"""A dispatcher whose sender may become another process's."""

from __future__ import annotations

import math

from tests.clock import idle
from tests.examples import MAIN
from tests.running import in_a_loop
from tests.unit.dispatch.doubles import World

from alir.ids import Fence
from alir.messages.model import Outcome, Status

OLD, NEW = Fence(MAIN, 1), Fence(MAIN, 2)


@in_a_loop
async def test_nothing_goes_before_the_lease_is_good_and_all_that_waits_then() -> None:
    async with World() as world:
        world.leases[MAIN].end()
        message = await world.queue()
        await world.advance(5)
        assert world.stands(message).status is Status.QUEUED

        now = world.clock.elapsed()
        world.leases[MAIN].take(OLD, good_from=now + 1, good_until=now + 8)
        await world.advance(0.9)
        assert world.stands(message).status is Status.QUEUED
        await world.advance(0.2)
        assert world.stands(message).status is Status.ACCEPTED


@in_a_loop
async def test_what_was_begun_is_not_sent_once_the_lease_is_over() -> None:
    async with World() as world:
        lease = world.leases[MAIN]
        lease.take(OLD, good_from=-math.inf, good_until=world.clock.elapsed() + 8)
        release = world.outbox.hold("begin")
        message = await world.queue()
        world.clock.leap(8)
        release()
        await idle()

        assert world.provider.sent == []
        [attempt] = world.stands(message).attempts
        assert attempt.outcome is Outcome.BUSY
        assert world.stands(message).status is Status.QUEUED


@in_a_loop
async def test_a_begin_under_a_number_that_fell_ends_the_lease() -> None:
    async with World() as world:
        world.leases[MAIN].take(OLD, good_from=-math.inf, good_until=math.inf)
        world.outbox.fallen.add(OLD)
        message = await world.queue()

        assert world.stands(message).attempts == ()
        assert not world.leases[MAIN].is_held


@in_a_loop
async def test_race_of_a_begin_under_an_old_number_and_a_lease_that_is_taken_anew() -> None:
    async with World() as world:
        lease = world.leases[MAIN]
        lease.take(OLD, good_from=-math.inf, good_until=math.inf)
        world.outbox.fallen.add(OLD)
        release = world.outbox.hold("begin")
        message = await world.queue()
        lease.take(NEW, good_from=-math.inf, good_until=math.inf)
        release()
        await world.advance(0)

        assert lease.is_held
        assert world.stands(message).status is Status.ACCEPTED
