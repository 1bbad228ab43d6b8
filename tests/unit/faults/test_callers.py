"""Callers that ask at a given rate."""

from __future__ import annotations

import asyncio
from random import Random

import orjson
import pytest
from faults import wire
from faults.callers import Callers

#: Of the answer to a message.
ACCEPTED = 202
PER_SECOND = 200.0
#: As many as are asked for at once in the beginning.
CALLERS = 10
MESSAGES = 60


@pytest.mark.anyio
async def test_callers_that_are_answered_at_once_ask_no_faster_than_they_are_to() -> None:
    enough = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await wire.read_whole(reader)
                body = orjson.dumps({"id": "msg_1"})
                writer.write(wire.answer(ACCEPTED, "application/json", body))
                if len(callers.asked()) >= MESSAGES:
                    enough.set()
        except wire.GONE:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    callers = Callers(
        lambda: [port], Random(1), senders=["sender-0"], hurried=1.0, per_second=PER_SECOND
    )
    callers.start(CALLERS)
    loop = asyncio.get_running_loop()
    async with server:
        began = loop.time()
        callers.call()
        await enough.wait()
        took = loop.time() - began
        await callers.leave()

    assert took >= (MESSAGES - CALLERS) / PER_SECOND
