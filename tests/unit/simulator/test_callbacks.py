from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.unit.simulator.doubles import CALLBACK_URL, World, settle

from alir.outbound.http import Answer, NeverConnected, NoAnswer
from alir.simulator import callbacks
from alir.simulator.behaviour import Behaviour
from alir.simulator.phones import CallState, Received

READ_ONLY = '{"delays_ms": {"sent": null, "delivered": null, "read": 0}}'


def in_world(story: Callable[[World], Awaitable[None]], settings: str = "{}", **world: Any) -> None:
    async def run() -> None:
        async with World(**world) as it:
            it.simulator.behaviour = Behaviour.model_validate_json(settings)
            await story(it)

    asyncio.run(run())


def message(
    number: int = 0, *, sender: str = "1065000000", mark: str | None = "1.msg.1"
) -> Received:
    return Received(
        wamid=f"wamid.{number}",
        provider="cloud",
        sender=sender,
        phone="15551230001",
        at=0,
        body=b"{}",
        kind="interactive",
        mark=mark,
    )


def always(answer: Answer | Exception) -> Callable[[], Answer]:
    def give() -> Answer:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return give


def test_sent_delivered_and_read_each_come_in_a_callback_of_their_own() -> None:
    async def story(world: World) -> None:
        await world.simulator.carrier.take(message())
        await world.clock.advance(1)
        assert [(sent.at, sent.statuses) for sent in world.http.sent] == [
            (0.05, ["sent"]),
            (0.15, ["delivered"]),
            (0.4, ["read"]),
        ]
        assert {sent.url for sent in world.http.sent} == {CALLBACK_URL}

    in_world(story)


def test_a_callback_is_signed_with_the_app_secret_over_its_exact_bytes() -> None:
    async def story(world: World) -> None:
        await world.simulator.carrier.take(message(mark="é😀"))
        await world.clock.advance(1)
        for sent in world.http.sent:
            digest = hmac.new(b"simulator", sent.body, hashlib.sha256).hexdigest()
            assert sent.headers["x-hub-signature-256"] == f"sha256={digest}"
            assert sent.body.isascii()
            assert b"\\u00e9\\ud83d\\ude00" in sent.body
            assert sent.value["statuses"][0]["biz_opaque_callback_data"] == "é😀"

    in_world(story)


@pytest.mark.parametrize(
    "answer",
    [Answer(500, {}, b""), Answer(204, {}, b""), NeverConnected(), NoAnswer()],
    ids=["500", "204", "never-connected", "no-answer"],
)
def test_what_is_not_answered_200_comes_again_at_once_then_after_1_s_doubling_to_60(
    answer: Answer | Exception,
) -> None:
    async def story(world: World) -> None:
        world.http.answer = always(answer)
        await world.simulator.carrier.take(message())
        await world.clock.advance(200)
        assert [sent.at for sent in world.http.sent] == pytest.approx(
            [0, 0, 1, 3, 7, 15, 31, 63, 123, 183]
        )
        assert len({sent.body for sent in world.http.sent}) == 1

    in_world(story, READ_ONLY)


def test_a_callback_that_is_answered_in_the_end_does_not_come_again() -> None:
    async def story(world: World) -> None:
        world.http.answer = always(Answer(503, {}, b""))
        it = message()
        await world.simulator.carrier.take(it)
        await world.clock.advance(5)
        assert (it.receipts[0].call.state, it.receipts[0].call.problem) == (
            CallState.WAITING,
            "HTTP 503",
        )
        world.http.answer = always(Answer(200, {}, b""))
        await world.clock.advance(100)
        assert it.receipts[0].call.state is CallState.ANSWERED
        assert it.receipts[0].call.tries == len(world.http.sent) == 5
        assert world.simulator.callbacks.waiting == 0

    in_world(story, READ_ONLY)


def test_a_callback_is_given_up_after_seven_days() -> None:
    async def story(world: World) -> None:
        world.http.answer = always(NeverConnected())
        it = message()
        await world.simulator.carrier.take(it)
        await world.clock.advance(200)
        await world.clock.leap(callbacks.TRIED_FOR.total_seconds() - 400)
        states = [it.receipts[0].call.state]
        await world.clock.advance(500)
        states.append(it.receipts[0].call.state)
        assert states == [CallState.WAITING, CallState.GIVEN_UP]
        tries = len(world.http.sent)
        await world.clock.advance(1000)
        assert len(world.http.sent) == tries
        assert world.simulator.callbacks.waiting == 0

    in_world(story, READ_ONLY)


def test_an_endpoint_that_does_not_answer_gets_a_limited_number_of_calls_at_once() -> None:
    async def story(world: World) -> None:
        world.http.open.clear()
        for number in range(10 * callbacks.CALLS_AT_ONCE):
            await world.simulator.carrier.take(message(number))
        await world.clock.advance(1)
        assert world.http.under_way == callbacks.CALLS_AT_ONCE
        world.http.open.set()
        await world.clock.advance(1)
        assert len(world.http.sent) == 30 * callbacks.CALLS_AT_ONCE
        assert world.http.most_under_way == callbacks.CALLS_AT_ONCE

    in_world(story)


def test_callbacks_that_too_many_others_wait_before_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callbacks, "MOST_WAITING", 3)

    async def story(world: World) -> None:
        world.http.answer = always(NeverConnected())
        its = [message(number) for number in range(5)]
        for it in its:
            await world.simulator.carrier.take(it)
        await world.clock.advance(1)
        states = [it.receipts[0].call.state for it in its]
        assert states == [CallState.WAITING] * 3 + [CallState.GIVEN_UP] * 2

    in_world(story, READ_ONLY)


def test_a_full_batch_leaves_at_once_and_one_that_is_not_after_its_window() -> None:
    async def story(world: World) -> None:
        for number in range(5):
            await world.simulator.carrier.take(message(number))
        await world.clock.advance(3)
        ids = [[status["id"] for status in sent.value["statuses"]] for sent in world.http.sent]
        assert ids == [["wamid.0", "wamid.1"], ["wamid.2", "wamid.3"], ["wamid.4"]]
        assert [sent.at for sent in world.http.sent] == [0, 0, 2]

    in_world(story, READ_ONLY[:-1] + ', "batch": {"size": 2, "window_ms": 2000}}')


def test_a_batch_over_two_senders_has_a_change_for_each() -> None:
    async def story(world: World) -> None:
        for number, sender in enumerate(["1", "2", "1"]):
            await world.simulator.carrier.take(message(number, sender=sender))
        await world.clock.advance(1)
        [sent] = world.http.sent
        changes = json.loads(sent.body)["entry"][0]["changes"]
        assert [
            (
                change["value"]["metadata"]["phone_number_id"],
                [status["id"] for status in change["value"]["statuses"]],
            )
            for change in changes
        ] == [("1", ["wamid.0", "wamid.2"]), ("2", ["wamid.1"])]

    in_world(story, READ_ONLY[:-1] + ', "batch": {"size": 3}}')


def test_a_batch_that_is_refused_comes_again_as_it_was() -> None:
    async def story(world: World) -> None:
        answers = iter([Answer(500, {}, b""), Answer(200, {}, b"")])
        world.http.answer = lambda: next(answers)
        for number in range(2):
            await world.simulator.carrier.take(message(number))
        await world.clock.advance(1)
        first, second = world.http.sent
        assert first.body == second.body

    in_world(story, READ_ONLY[:-1] + ', "batch": {"size": 2}}')


def test_without_a_callback_url_nobody_is_told() -> None:
    async def story(world: World) -> None:
        it = message()
        await world.simulator.carrier.take(it)
        await world.clock.advance(1)
        assert world.http.sent == []
        assert {receipt.call.state for receipt in it.receipts} == {CallState.NOBODY}

    in_world(story, callback_url=None)


def test_a_callback_url_that_is_set_later_is_used() -> None:
    async def story(world: World) -> None:
        world.simulator.callback_url = "http://127.0.0.1:8080/callbacks/cloud"
        await world.simulator.carrier.take(message())
        await world.clock.advance(1)
        assert {sent.url for sent in world.http.sent} == {"http://127.0.0.1:8080/callbacks/cloud"}

    in_world(story, callback_url=None)


@pytest.mark.parametrize("url", ["ftp://gateway.test/", "gateway.test/callbacks", "http://", ""])
def test_a_callback_url_that_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="http or https"):
        World(callback_url=url)


def test_stopping_cuts_calls_under_way_and_begins_no_others() -> None:
    async def story(world: World) -> None:
        world.http.open.clear()
        await world.simulator.carrier.take(message())
        await world.clock.advance(0.06)
        assert world.http.under_way == 1
        await world.simulator.stop()
        assert world.http.under_way == 0
        await world.clock.advance(10)
        assert len(world.http.sent) == 1

    in_world(story)


def test_what_was_taken_before_the_start_is_told_after_it() -> None:
    async def run() -> None:
        world = World()
        await world.simulator.carrier.take(message())
        await settle()
        assert world.http.sent == []
        async with world:
            await world.clock.advance(1)
            assert len(world.http.sent) == 3

    asyncio.run(run())
