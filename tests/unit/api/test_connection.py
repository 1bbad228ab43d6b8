"""Heads that never end, on a real server and real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from tests.running import in_a_loop
from tests.unit.api.serving import serving

from alir.api import connection
from alir.api.connection import LARGEST_HEAD, is_here

PATIENCE = 10  # seconds until a test that waits in vain fails
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
LITTLE = 0.05


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with serving(PlainTextResponse("hello")) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()


async def everything(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server closes."""
    return await asyncio.wait_for(reader.read(), PATIENCE)


async def one_answer(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readuntil(b"hello"), PATIENCE)


@pytest.fixture
def little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", LITTLE)


@pytest.mark.parametrize("piece", [b"a" * 10_000, b"a: b\r\n" * 2_000], ids=["one", "many"])
@in_a_loop
async def test_headers_without_end_are_refused(piece: bytes) -> None:
    async def send_without_end(writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nx: ")
        for _ in range(1000 * LARGEST_HEAD // len(piece)):
            writer.write(piece)
            await writer.drain()

    async with connected() as (_, writer):
        with pytest.raises(ConnectionError):
            await send_without_end(writer)


@in_a_loop
async def test_a_large_head_within_the_limit_is_taken() -> None:
    async with connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nx: " + b"a" * (LARGEST_HEAD - 100) + b"\r\n\r\n")
        assert (await one_answer(reader)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: a\r\n"])
@in_a_loop
async def test_a_head_that_does_not_come_is_not_waited_for_long(
    little_time: None, begun: bytes
) -> None:
    async with connected() as (reader, writer):
        writer.write(begun)
        assert b"did not come in time" in await everything(reader)


@in_a_loop
async def test_the_head_of_a_later_request_is_not_waited_for_long_either(little_time: None) -> None:
    async with connected() as (reader, writer):
        writer.write(REQUEST)
        await one_answer(reader)
        writer.write(REQUEST[:-1])
        assert b"did not come in time" in await everything(reader)


@in_a_loop
async def test_between_requests_a_connection_may_rest(little_time: None) -> None:
    async with connected() as (reader, writer):
        for _ in range(3):
            writer.write(REQUEST)
            answer = await one_answer(reader)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" not in answer
            await asyncio.sleep(2 * LITTLE)  # a real server's timer cannot be moved by hand
            assert not reader.at_eof()
        writer.write(REQUEST[:-1])  # and the next head is waited for no longer than any
        assert b"did not come in time" in await everything(reader)


@in_a_loop
async def test_the_last_piece_of_a_large_body_is_not_taken_for_a_head() -> None:
    body = b"b" * (4 * LARGEST_HEAD)
    async with connected() as (reader, writer):
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body))
            await writer.drain()
            for start in range(0, len(body), LARGEST_HEAD):
                writer.write(body[start : start + LARGEST_HEAD])
                await writer.drain()
            assert (await one_answer(reader)).startswith(b"HTTP/1.1 200")


@in_a_loop
async def test_a_request_is_known_to_be_here_only_once_its_last_byte_is() -> None:
    found: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(is_here(receive))
        while (await receive()).get("more_body"):
            found.append(is_here(receive))
        found.append(is_here(receive))
        await PlainTextResponse("hello")(scope, receive, send)

    head = b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        await reader.readuntil(b"\r\n\r\n")  # 100: the body is asked for
        writer.write(b"ab")
        await one_answer(reader)
        assert found == [False, True]

        found.clear()
        writer.write(head + b"ab")
        await one_answer(reader)
        assert found == [True, True]
        writer.close()
