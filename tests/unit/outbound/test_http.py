"""What the HTTP client's failures prove, tried on a server that counts the requests it has read.

`NeverConnected` lets a message be sent again, so it must never be raised for a request that a
server may have: these tests hold the client that is installed to that.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta

import pytest
from tests.running import in_a_loop

from alir.outbound.http import NeverConnected, NoAnswer, PooledHttpClient

BODY = b'{"messaging_product": "whatsapp"}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Fb-Trace-Id: A\r\nX-Fb-Trace-Id: B\r\n\r\nok"

CONNECT_SECONDS = 0.4
CALL_SECONDS = 0.8

Behaviour = Callable[["Server", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A server that behaves as it is told.

    Attributes:
        connections, requests: how many it accepted, and how many it read to their end.
    """

    def __init__(self, behave: Behaviour) -> None:
        self.connections = 0
        self.requests = 0
        self.port = 0
        self._behave = behave

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v24.0/1/messages"

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._behave(self, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client was quicker
        finally:
            writer.close()

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        """A whole request, counted once its last byte is here."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        self.requests += 1
        return head + body


@asynccontextmanager
async def serving(behave: Behaviour) -> AsyncIterator[Server]:
    server = Server(behave)
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


@asynccontextmanager
async def client() -> AsyncIterator[PooledHttpClient]:
    async with PooledHttpClient(
        connect_timeout=timedelta(seconds=CONNECT_SECONDS),
        call_timeout=timedelta(seconds=CALL_SECONDS),
    ) as http:
        yield http


async def post(http: PooledHttpClient, url: str) -> str:
    """How a call ends: its answer's status, or the name of the error."""
    try:
        answer = await http.request(
            "POST", url, headers={"content-type": "application/json"}, body=BODY
        )
    except (NeverConnected, NoAnswer) as error:
        return type(error).__name__
    return str(answer.status)


# A server that answers


async def _answers(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    while True:
        await server.read_request(reader)
        writer.write(OK)


@in_a_loop
async def test_an_answer_is_given_whole_and_its_connection_is_used_again() -> None:
    async with serving(_answers) as server, client() as http:
        answers = [
            await http.request("POST", server.url, headers={"a": "b"}, body=BODY) for _ in range(3)
        ]

        assert [(a.status, a.body) for a in answers] == [(200, b"ok")] * 3
        assert answers[0].headers.get("x-fb-trace-id") == "A"
        assert answers[0].headers.get("retry-after", "") == ""
        assert (server.connections, server.requests) == (1, 3)


@in_a_loop
async def test_the_request_goes_out_as_it_was_given() -> None:
    seen: list[bytes] = []

    async def keep(
        server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen.append(await server.read_request(reader))
        writer.write(OK)

    async with serving(keep) as server, client() as http:
        await http.request("POST", server.url, headers={"authorization": "Bearer x"}, body=BODY)

    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert body == BODY
    assert head.startswith(b"POST /v24.0/1/messages HTTP/1.1\r\n")
    lines = head.lower().split(b"\r\n")
    assert b"authorization: bearer x" in lines
    assert b"user-agent: alir" in lines


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@in_a_loop
async def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    async def redirect(
        server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await server.read_request(reader)
        location = f"http://127.0.0.1:{server.port}/elsewhere"
        writer.write(
            f"HTTP/1.1 {status} M\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        )

    async with serving(redirect) as server, client() as http:
        assert await post(http, server.url) == str(status)
        assert server.requests == 1


@in_a_loop
async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(_answers) as server, client() as http:
        assert await post(http, server.url) == "200"


# Certainly nothing left


def _unused_port() -> int:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@in_a_loop
async def test_a_refused_connection_was_never_made() -> None:
    async with client() as http:
        assert await post(http, f"http://127.0.0.1:{_unused_port()}/") == "NeverConnected"


@in_a_loop
async def test_to_a_name_that_is_not_found_no_connection_was_made() -> None:
    async with client() as http:
        assert await post(http, "http://no-such-host.invalid/") == "NeverConnected"


@in_a_loop
async def test_a_connection_that_takes_too_long_was_never_made() -> None:
    with closing(socket.socket()) as full, closing(socket.socket()) as first:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # it takes one, which nobody accepts; the next waits for ever
        first.connect(full.getsockname())
        second = socket.socket()
        second.setblocking(False)
        second.connect_ex(full.getsockname())
        async with client() as http:
            url = f"http://127.0.0.1:{full.getsockname()[1]}/"
            assert await post(http, url) == "NeverConnected"
        second.close()


async def _says_nothing(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await reader.read()


@in_a_loop
async def test_a_tls_handshake_that_takes_too_long_made_no_connection() -> None:
    async with serving(_says_nothing) as server, client() as http:
        assert await post(http, server.url.replace("http:", "https:")) == "NeverConnected"
        assert server.requests == 0


# Perhaps it has arrived


async def _closes_before_reading(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.transport.abort()


async def _reads_and_closes(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await server.read_request(reader)


async def _reads_and_resets(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await server.read_request(reader)
    writer.transport.abort()


async def _reads_and_waits(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await server.read_request(reader)
    await reader.read()


async def _answers_half(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await server.read_request(reader)
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"messages":')


async def _answers_half_and_waits(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await _answers_half(server, reader, writer)
    await reader.read()


async def _answers_half_a_head(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await server.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")


async def _answers_garbage(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await server.read_request(reader)
    writer.write(b"\x00\x01\x02 this is no HTTP\r\n\r\n")


@pytest.mark.parametrize(
    ("behave", "requests"),
    [
        pytest.param(_closes_before_reading, 0, id="closed before it read"),
        pytest.param(_reads_and_closes, 1, id="read and closed"),
        pytest.param(_reads_and_resets, 1, id="read and reset"),
        pytest.param(_reads_and_waits, 1, id="read and silent"),
        pytest.param(_answers_half, 1, id="half an answer"),
        pytest.param(_answers_half_and_waits, 1, id="half an answer, then silent"),
        pytest.param(_answers_half_a_head, 1, id="half a head"),
        pytest.param(_answers_garbage, 1, id="garbage"),
    ],
)
@in_a_loop
async def test_once_there_was_a_connection_no_failure_proves_anything(
    behave: Behaviour, requests: int
) -> None:
    async with serving(behave) as server, client() as http:
        assert await post(http, server.url) == "NoAnswer"
        assert server.requests == requests


# Connections that are used again


@pytest.mark.parametrize("reads", [False, True], ids=["unread", "read"])
@in_a_loop
async def test_a_connection_that_closes_as_it_is_used_again_proves_nothing(reads: bool) -> None:
    async def answer_once(
        server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await server.read_request(reader)
        writer.write(OK)
        if reads:
            await server.read_request(reader)
        else:
            await reader.readexactly(1)
        writer.transport.abort()

    async with serving(answer_once) as server, client() as http:
        assert await post(http, server.url) == "200"
        assert await post(http, server.url) == "NoAnswer"
        assert server.requests == (2 if reads else 1)
        assert server.connections == 1


@in_a_loop
async def test_a_connection_that_closed_while_it_was_idle_is_not_used_again() -> None:
    closed = asyncio.Event()

    async def answer_and_close(
        server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await server.read_request(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with serving(answer_and_close) as server, client() as http:
        for number in (1, 2):
            assert await post(http, server.url) == "200"
            await closed.wait()
            closed.clear()
            assert (server.connections, server.requests) == (number, number)


@in_a_loop
async def test_no_call_is_ever_repeated_by_the_client() -> None:
    async with serving(_reads_and_closes) as server, client() as http:
        ends = await asyncio.gather(*(post(http, server.url) for _ in range(50)))

        assert set(ends) == {"NoAnswer"}
        assert server.requests == 50
