"""A batch: each message is checked by itself, and what is wrong with one is no other's."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.examples import MAIN, OTHER
from tests.running import in_a_loop
from tests.seed import mended
from tests.unit.intake.test_accept import World, a_token

from alir.errors import (
    AlirError,
    BodyTooLarge,
    IdempotencyConflict,
    QueueFull,
    RequestInvalid,
    SenderForbidden,
    StoreUnavailable,
)
from alir.intake.batch import Batches
from alir.intake.ports import Stored
from alir.intake.tokens import ApiToken
from alir.messages.model import Message, Status
from alir.strictjson import Element


def a_request(**changes: Any) -> dict[str, Any]:
    return mended() | {"from": "main"} | changes


async def accepted(
    world: World, *values: object, token: ApiToken | None = None
) -> list[Stored | AlirError]:
    batches = Batches(world.intake, world.store, world.dispatch)
    elements = [Element(value, 500) for value in values]
    return await batches.accept(elements, token or a_token())


def message_of(answer: Stored | AlirError) -> Message:
    assert isinstance(answer, Stored), answer
    return answer.message


def pointers(answer: Stored | AlirError) -> list[str]:
    assert isinstance(answer, RequestInvalid)
    return [fault.pointer for fault in answer.faults]


@in_a_loop
async def test_each_is_answered_in_its_place_whatever_the_others_are() -> None:
    world, broken = World(), BodyTooLarge("too large")

    answers = await accepted(
        world,
        a_request(callback_data="first"),
        a_request(to="letters"),
        broken,
        a_request(**{"from": "other"}),
        7,
        a_request(callback_data="last"),
        token=a_token((MAIN,)),
    )

    assert message_of(answers[0]).callback_data == "first"
    assert pointers(answers[1]) == ["#/to"]
    assert answers[2] is broken
    assert isinstance(answers[3], SenderForbidden)
    assert pointers(answers[4]) == ["#"]
    assert message_of(answers[5]).callback_data == "last"
    assert len(world.store.messages) == 2


@in_a_loop
async def test_the_priority_is_bulk_unless_a_message_says_otherwise() -> None:
    answers = await accepted(
        World(),
        a_request(),
        a_request(priority="single"),
        a_request(priority="bulk"),
        a_request(priority=None),
    )

    priorities = [message_of(answer).priority for answer in answers]
    assert priorities == ["bulk", "single", "bulk", "bulk"]


@in_a_loop
async def test_a_message_by_itself_is_single_as_ever() -> None:
    assert (await World().post()).message.priority == "single"


@in_a_loop
async def test_none_is_begun_with_the_storing_and_dispatch_knows_of_each_before() -> None:
    world = World()
    world.dispatch.must_wait["+10000000001"] = "recipient +10000000001"

    answers = await accepted(
        world,
        a_request(),
        a_request(to="+10000000001"),
        a_request(send_at="2999-01-01T00:00:00Z"),
    )

    messages = [message_of(answer) for answer in answers]
    assert [m.status for m in messages] == [Status.QUEUED] * 3
    assert [m.parked for m in messages] == [None, "recipient +10000000001", None]
    assert world.dispatch.lined_up == [m.id for m in messages[:2]]
    assert world.dispatch.handed_over == []


@in_a_loop
async def test_a_key_stands_for_its_message_in_batches_and_by_itself() -> None:
    world = World()

    first, again, other = await accepted(
        world,
        a_request(idempotency_key="order-1"),
        a_request(idempotency_key="order-1"),
        a_request(idempotency_key="order-1", callback_data="other"),
    )
    alone = await world.post(key="order-1")

    assert isinstance(first, Stored)
    assert not first.replayed
    assert again == Stored(first.message, replayed=True)
    assert alone == Stored(first.message, replayed=True)
    assert isinstance(other, IdempotencyConflict)


@in_a_loop
async def test_a_key_that_cannot_be_used_is_a_fault_at_its_field() -> None:
    answers = await accepted(
        World(),
        a_request(idempotency_key=7),
        a_request(idempotency_key=""),
        a_request(idempotency_key="k" * 256, to="x"),
        a_request(idempotency_key=None),
    )

    assert [pointers(answer) for answer in answers[:3]] == [
        ["#/idempotency_key"],
        ["#/idempotency_key"],
        ["#/to", "#/idempotency_key"],
    ]
    assert isinstance(answers[3], Stored)


@in_a_loop
async def test_where_the_queue_fills_up_the_rest_of_that_sender_is_told_so() -> None:
    world = World()
    world.dispatch.rooms = {MAIN: 2, OTHER: 5}

    answers = await accepted(
        world,
        a_request(to="nobody"),  # takes no room
        a_request(),
        a_request(idempotency_key="kept"),
        a_request(),
        a_request(**{"from": "other"}),
        a_request(),
    )

    assert [type(answer) for answer in answers] == [
        *(RequestInvalid, Stored, Stored, QueueFull, Stored, QueueFull)
    ]


@in_a_loop
async def test_a_full_queue_answers_repeats_and_tells_of_faults_first() -> None:
    world = World()
    [kept] = await accepted(world, a_request(idempotency_key="kept"))
    world.dispatch.rooms = {MAIN: 0}

    again, broken, new = await accepted(
        world, a_request(idempotency_key="kept"), a_request(to="x"), a_request()
    )

    assert again == Stored(message_of(kept), replayed=True)
    assert pointers(broken) == ["#/to"]
    assert isinstance(new, QueueFull)
    assert (await world.post(key="kept")).replayed


@in_a_loop
async def test_a_store_that_takes_nothing_is_told_of_each() -> None:
    world = World()
    world.store.fault = StoreUnavailable("full")

    answers = await accepted(world, a_request(), a_request(to="x"), a_request())

    assert [type(answer) for answer in answers] == [
        *(StoreUnavailable, RequestInvalid, StoreUnavailable)
    ]


@in_a_loop
async def test_others_get_their_turn_while_a_long_batch_is_checked() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    world = World()
    looking = asyncio.create_task(others())
    await accepted(world, *(a_request(to="x") for _ in range(300)))
    looking.cancel()

    assert turns >= 5
