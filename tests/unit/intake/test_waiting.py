"""Callers wait until their message is settled, or their time is over."""

from __future__ import annotations

import asyncio

import pytest
from tests.clock import idle
from tests.examples import a_message
from tests.running import in_a_loop

from alir.intake.waiting import PENDING, Waiting
from alir.messages.model import Status

LONG = 15.0


@pytest.mark.parametrize("status", sorted(set(Status) - PENDING))
@in_a_loop
async def test_a_message_that_is_settled_is_not_waited_for(status: Status) -> None:
    message = a_message(status=status)

    assert await Waiting().settled(message, LONG) is message


@pytest.mark.parametrize("status", sorted(set(Status) - PENDING))
@in_a_loop
async def test_whoever_waits_hears_of_it_once_it_is_settled(status: Status) -> None:
    waiting, message = Waiting(), a_message()
    callers = [asyncio.create_task(waiting.settled(message, LONG)) for _ in range(3)]
    await idle()
    waiting.publish(a_message(status=status))
    waiting.publish(message.but(status=Status.SENDING))
    await idle()
    assert not any(caller.done() for caller in callers)
    settled = message.but(status=status)
    waiting.publish(settled)

    assert await asyncio.gather(*callers) == [settled] * 3


@in_a_loop
async def test_an_unknown_message_is_waited_for_until_the_time_is_over() -> None:
    waiting, message = Waiting(), a_message()
    caller = asyncio.create_task(waiting.settled(message, 0.05))
    await idle()
    unknown = message.but(status=Status.UNKNOWN)
    waiting.publish(unknown)

    assert await caller == unknown


@pytest.mark.parametrize("seconds", [0, -1])
@in_a_loop
async def test_without_time_to_wait_the_message_is_answered_as_it_stands(seconds: float) -> None:
    message = a_message()

    assert await Waiting().settled(message, seconds) is message


@in_a_loop
async def test_a_stop_ends_every_wait_and_lets_none_begin() -> None:
    waiting, message = Waiting(), a_message()
    callers = [asyncio.create_task(waiting.settled(message, LONG)) for _ in range(3)]
    await idle()
    waiting.stop()

    assert await asyncio.gather(*callers) == [message] * 3
    assert await waiting.settled(message, LONG) == message


@in_a_loop
async def test_a_caller_that_goes_away_leaves_the_others_waiting() -> None:
    waiting, message = Waiting(), a_message()
    gone, stays = (asyncio.create_task(waiting.settled(message, LONG)) for _ in range(2))
    await idle()
    gone.cancel()
    await idle()
    accepted = message.but(status=Status.ACCEPTED)
    waiting.publish(accepted)

    assert await stays == accepted
    waiting.publish(accepted)  # nobody waits any more


@in_a_loop
async def test_it_says_what_is_waited_for_and_what_was_heard_of_it_last() -> None:
    waiting, message, other = Waiting(), a_message(), a_message()
    assert waiting.waited_for() == waiting.waited_for([message.id]) == {}

    callers = [
        asyncio.create_task(waiting.settled(message.but(version=version), LONG))
        for version in (3, 2)
    ]
    callers.append(asyncio.create_task(waiting.settled(other, LONG)))
    await idle()

    assert waiting.waited_for() == {message.id: 2, other.id: other.version}
    assert waiting.waited_for([message.id, a_message().id]) == {message.id: 2}
    waiting.publish(message.but(version=4))
    assert waiting.waited_for([message.id]) == {message.id: 4}
    waiting.stop()
    await asyncio.gather(*callers)
    assert waiting.waited_for() == {}


@in_a_loop
async def test_an_answer_is_never_older_than_what_was_heard_before() -> None:
    waiting, message = Waiting(), a_message()
    caller = asyncio.create_task(waiting.settled(message, LONG))
    await idle()
    accepted = message.but(status=Status.ACCEPTED, version=3)
    waiting.publish(accepted)
    waiting.publish(message.but(status=Status.SENDING, version=2))

    assert await caller == accepted
