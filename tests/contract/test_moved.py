"""Which messages have moved since somebody heard of them, and how they stand."""

from __future__ import annotations

from tests.contract.stores import Backend, told, two_writers
from tests.running import in_a_loop

from alir.ids import MessageId
from alir.messages.model import Outcome, ReceiptStatus


@in_a_loop
async def test_only_what_stands_at_a_later_version_is_read(database: Backend) -> None:
    async with two_writers(database) as (here, there):
        moves = await here.begun()
        stays = await here.accepted()
        known = {stays.id: stays.version, moves.id: moves.version}
        assert await here.messages.moved(known) == []

        settled = await there.settle(moves, Outcome.ACCEPTED, provider_id="wamid.1")

        assert await here.messages.moved(known) == [settled]
        assert await here.messages.moved({moves.id: settled.version}) == []


@in_a_loop
async def test_each_is_read_whole_with_its_own_attempts_and_receipts(database: Backend) -> None:
    async with database.open() as store:
        waiting = await store.accepted()
        refused = await store.settle(await store.begun(), Outcome.REFUSED)
        sent = [await store.sent(f"wamid.{n}") for n in range(3)]
        for message in sent[1:]:
            for status in (ReceiptStatus.READ, ReceiptStatus.SENT, ReceiptStatus.DELIVERED):
                await store.tell(told(status, of=message))
        everything = (waiting, refused, *sent)

        moved = await store.messages.moved({message.id: 0 for message in everything})

        assert [len(m.receipts) for m in moved].count(3) == 2
        assert {m.id: m for m in moved} == {
            message.id: await store.messages.get(message.id) for message in everything
        }


@in_a_loop
async def test_what_is_not_there_has_not_moved(database: Backend) -> None:
    async with database.open() as store:
        message = await store.accepted()

        assert await store.messages.moved({}) == []
        assert await store.messages.moved({MessageId("msg_0"): 0, message.id: 0}) == [message]
