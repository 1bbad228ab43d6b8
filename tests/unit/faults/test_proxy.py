"""What befalls a call between a gateway and its provider."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
from faults import wire
from faults.points import Moment
from faults.proxy import BROKEN, Fate, Proxy, Trap
from faults.wire import GONE, Whole

ANSWER = wire.answer(200, "application/json", b'{"messages":[{"id":"wamid.1"}]}')
CALL = wire.request("POST", "/v24.0/1/messages", {}, b'{"to":"somebody"}')
LATE_SECONDS = 0.01


Between = tuple[Proxy, list[Whole], asyncio.Event]


@asynccontextmanager
async def between(
    fate: Fate, trap: Trap | None = None
) -> AsyncIterator[tuple[Proxy, list[Whole], asyncio.Event]]:
    """A proxy in whose weather every call meets this fate; what its provider took, and when."""
    taken: list[Whole] = []
    came = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                taken.append(await wire.read_whole(reader))
                came.set()
                writer.write(ANSWER)
        except GONE:
            writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as provider:
        port = provider.sockets[0].getsockname()[1]
        weather = {fate: 1.0}
        proxy = Proxy(port, Random(1), weather, late_seconds=LATE_SECONDS, trap=trap)
        async with proxy:
            yield proxy, taken, came


async def call(port: int) -> bytes:
    """All that comes back of a call, up to the end of the answer or of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(CALL)
    back = b""
    while not is_whole(back) and (piece := await reader.read(4096)):
        back += piece
    writer.close()
    return back


def is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    return b"content-length: %d" % len(body) in head.split(b"\r\n")


@pytest.mark.parametrize(
    ("fate", "reaches", "status"),
    [
        (Fate.PASSED, True, 200),
        (Fate.LATE_ANSWER, True, 200),
        (Fate.CLOSED, False, None),
        (Fate.CUT_WHILE_WRITTEN, False, None),
        (Fate.CUT_ONCE_WRITTEN, True, None),
        (Fate.CUT_BEFORE_ANSWER, True, None),
        (Fate.HALF_ANSWER, True, None),
        (Fate.PAGE, False, 502),
        (Fate.PAGE_ONCE_TAKEN, True, 502),
        (Fate.NONSENSE, False, 200),
        (Fate.TOO_MANY, False, 429),
    ],
)
def test_each_fate_reaches_the_provider_or_not_and_comes_back_as_it_says(
    fate: Fate, reaches: bool, status: int | None
) -> None:
    async def work() -> None:
        async with between(fate) as (proxy, taken, came):
            back = await call(proxy.port)
            if reaches:  # of one kind nobody waited for it
                await asyncio.wait_for(came.wait(), 5)

            assert proxy.met == Counter([fate])
            assert proxy.broken == (fate in BROKEN)
            assert [one.bytes for one in taken] == ([CALL] if reaches else [])
            if status is None:
                assert ANSWER.startswith(back)
                assert len(back) < len(ANSWER)
            else:
                assert int(back.split()[1]) == status

    asyncio.run(work())


def test_once_it_is_calm_every_call_is_passed_on() -> None:
    async def work() -> None:
        async with between(Fate.CLOSED) as (proxy, taken, _):
            proxy.calm()

            assert await call(proxy.port) == ANSWER
            assert len(taken) == 1

    asyncio.run(work())


@pytest.mark.parametrize(
    ("moment", "reaches"),
    [(Moment.ON_THE_WIRE, False), (Moment.TAKEN, True), (Moment.ANSWERING, True)],
)
def test_a_trap_is_set_off_once_by_the_nth_call_at_its_moment(
    moment: Moment, reaches: bool
) -> None:
    async def work() -> None:
        sprung: list[int] = []
        trap = Trap(moment, 2, lambda: sprung.append(len(taken)))
        async with between(Fate.PASSED, trap) as (proxy, taken, _):
            backs = [await call(proxy.port) for _ in range(4)]

            assert [back == ANSWER for back in backs] == [True, False, True, True]
            assert sprung == [2 if reaches else 1]
            assert bool(backs[1]) is (moment is Moment.ANSWERING)

    asyncio.run(work())
