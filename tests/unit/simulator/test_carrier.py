from __future__ import annotations

import asyncio

import pytest
from tests.unit.simulator.doubles import World, settle

from alir.messages.model import ReceiptStatus
from alir.outbound.http import Answer
from alir.simulator.behaviour import Behaviour
from alir.simulator.phones import CallState, Received


def message(number: int = 0) -> Received:
    return Received(
        wamid=f"wamid.{number}",
        provider="cloud",
        sender="1065000000",
        phone="15551230001",
        at=0,
        body=b"{}",
        kind="interactive",
    )


def test_a_message_that_fails_gets_one_receipt_with_its_code() -> None:
    async def run() -> None:
        async with World() as world:
            it = message()
            await world.simulator.carrier.take(it, fails=131026)
            await world.clock.advance(10)
            [receipt] = it.receipts
            assert (receipt.status, receipt.code) == (ReceiptStatus.FAILED, 131026)
            [sent] = world.http.sent
            assert sent.value["statuses"][0]["errors"][0]["code"] == 131026

    asyncio.run(run())


def test_a_message_that_is_only_put_gets_no_receipt() -> None:
    async def run() -> None:
        async with World() as world:
            it = message()
            world.simulator.carrier.put(it)
            await world.clock.advance(10)
            assert it.receipts == []
            assert world.simulator.phones.received() == [it]

    asyncio.run(run())


def test_receipts_before_the_answer_are_told_and_answered_before_taking_ends() -> None:
    async def run() -> None:
        async with World() as world:
            world.simulator.behaviour = Behaviour(
                before_answer=(ReceiptStatus.SENT, ReceiptStatus.DELIVERED)
            )
            world.http.open.clear()
            taking = asyncio.create_task(world.simulator.carrier.take(message()))
            await settle()
            assert sorted(sent.statuses[0] for sent in world.http.sent) == ["delivered", "sent"]
            assert not taking.done()
            world.http.open.set()
            await taking
            await world.clock.advance(0.3)
            assert len(world.http.sent) == 2
            await world.clock.advance(0.2)
            assert world.http.sent[-1].statuses == ["read"]

    asyncio.run(run())


def test_one_before_the_answer_that_is_refused_does_not_hold_the_answer_up() -> None:
    async def run() -> None:
        async with World() as world:
            world.simulator.behaviour = Behaviour(before_answer=(ReceiptStatus.SENT,))
            world.http.answer = lambda: Answer(500, {}, b"")
            it = message()
            await world.simulator.carrier.take(it)
            assert it.receipts[0].call.tries >= 1
            await world.clock.advance(0.04)
            assert it.receipts[0].call.tries == 2

    asyncio.run(run())


def test_dropped_receipts_happen_and_nobody_is_told() -> None:
    async def run() -> None:
        async with World() as world:
            world.simulator.behaviour = Behaviour(drop=1)
            it = message()
            await world.simulator.carrier.take(it)
            await world.clock.advance(10)
            assert [receipt.status.value for receipt in it.receipts] == [
                "sent",
                "delivered",
                "read",
            ]
            assert {receipt.call.state for receipt in it.receipts} == {CallState.DROPPED}
            assert world.http.sent == []

    asyncio.run(run())


def test_repeated_callbacks_are_the_same_bytes() -> None:
    async def run() -> None:
        async with World() as world:
            world.simulator.behaviour = Behaviour.model_validate_json(
                '{"repeat": {"probability": 1, "times": 2}}'
            )
            await world.simulator.carrier.take(message())
            await world.clock.advance(1)
            bodies = [sent.body for sent in world.http.sent]
            assert sorted(map(bodies.count, set(bodies))) == [3, 3, 3]

    asyncio.run(run())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_seed_and_messages_give_the_same_callbacks(seed: int) -> None:
    async def callbacks() -> list[tuple[float, str, str]]:
        async with World() as world:
            world.simulator.behaviour = Behaviour.model_validate_json(
                '{"jitter_ms": 300, "reorder": 0.5, "drop": 0.2, "repeat": {"probability": 0.4},'
                f' "seed": {seed}}}'
            )
            for number in range(20):
                await world.simulator.carrier.take(message(number))
            await world.clock.advance(5)
            return [
                (sent.at, sent.value["statuses"][0]["id"], sent.statuses[0])
                for sent in world.http.sent
            ]

    first, second = asyncio.run(callbacks()), asyncio.run(callbacks())

    assert first == second
    assert len(first) > 20


def test_setting_the_behaviour_begins_its_seed_anew() -> None:
    async def run() -> None:
        async with World() as world:
            fates = []
            for _ in range(2):
                world.simulator.behaviour = Behaviour(drop=0.5, seed=3)
                its = [message(number) for number in range(20)]
                for it in its:
                    await world.simulator.carrier.take(it)
                await world.clock.advance(1)
                fates.append([[r.call.state for r in it.receipts] for it in its])
            assert fates[0] == fates[1]

    asyncio.run(run())


def test_a_message_forgotten_on_its_phone_still_gets_its_receipts() -> None:
    async def run() -> None:
        async with World() as world:
            await world.simulator.carrier.take(message())
            world.simulator.phones.forget()
            await world.clock.advance(1)
            assert len(world.http.sent) == 3

    asyncio.run(run())
