"""What only a real server and a real connection can show."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI
from tests.unit.simulator.doubles import flow_request

from alir.clock import SystemClock
from alir.outbound.http import PooledHttpClient
from alir.simulator.alone import serve_alone
from alir.simulator.app import build_app
from alir.simulator.hang_up import HangUpProtocol
from alir.simulator.simulator import Simulator

PATH = "/simulator/graph/v24.0/1065000000/messages"
PATIENCE = 10  # seconds until a test that waits in vain fails


class Alone:
    """A simulator that serves a free port of this machine."""

    def __init__(self, simulator: Simulator, port: int, serving: asyncio.Task[None]) -> None:
        self.simulator = simulator
        self.port = port
        self.serving = serving
        self.url = f"http://127.0.0.1:{port}"


@asynccontextmanager
async def alone() -> AsyncIterator[Alone]:
    async with PooledHttpClient() as http:
        simulator = Simulator(clock=SystemClock(), http=http)
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            serve_alone(simulator, host="127.0.0.1", port=0, ready=port.set_result)
        )
        yield Alone(simulator, await port, serving)
        if not serving.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, PATIENCE)


def against_a_server(story: Callable[[Alone], Awaitable[None]]) -> None:
    async def run() -> None:
        async with alone() as server:
            await asyncio.wait_for(story(server), PATIENCE)

    asyncio.run(run())


async def open_request(server: Alone, to: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    body = json.dumps(flow_request(to)).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer simulator\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    return reader, writer


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Everything until the other side closes, by FIN or by RST."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (nothing tells when a real server has got so far)
        await asyncio.sleep(0.01)


def test_000409_takes_the_message_and_closes_without_one_byte_and_without_a_receipt() -> None:
    async def story(server: Alone) -> None:
        reader, writer = await open_request(server, "+1 5550 000409")
        assert await rest(reader) == b""
        writer.close()
        [message] = server.simulator.phones.received()
        assert message.receipts == []

    against_a_server(story)


def test_mounted_in_another_app_it_hangs_up_too() -> None:
    async def story(server: Alone) -> None:
        outer = FastAPI()
        outer.mount("/simulator", build_app(server.simulator))
        config = uvicorn.Config(outer, port=0, http=HangUpProtocol, log_config=None)
        gateway = uvicorn.Server(config)
        serving = asyncio.create_task(gateway.serve())
        await until(lambda: gateway.started)
        port = gateway.servers[0].sockets[0].getsockname()[1]
        reader, writer = await open_request(
            Alone(server.simulator, port, serving), "+1 5550 000409"
        )
        assert await rest(reader) == b""
        writer.close()
        gateway.should_exit = True
        await serving

    against_a_server(story)


def test_after_a_hang_up_the_server_serves_on() -> None:
    async def story(server: Alone) -> None:
        reader, writer = await open_request(server, "+1 5550 000409")
        await rest(reader)
        writer.close()
        async with httpx.AsyncClient(base_url=server.url) as http:
            assert (await http.get("/simulator")).status_code == 200

    against_a_server(story)


def test_000408_takes_the_message_gives_its_receipts_and_no_answer() -> None:
    async def story(server: Alone) -> None:
        reader, writer = await open_request(server, "+1 5550 000408")
        await until(lambda: len(server.simulator.phones.received()) == 1)
        [message] = server.simulator.phones.received()
        await until(lambda: len(message.receipts) == 3)
        reader.feed_eof()  # as if the connection ended now: what has come until here?
        assert await reader.read() == b""
        writer.close()

    against_a_server(story)


def test_at_the_end_requests_without_an_answer_and_live_pages_do_not_hold_the_server_up() -> None:
    async def story(server: Alone) -> None:
        reader, writer = await open_request(server, "+1 5550 000408")
        await until(lambda: len(server.simulator.phones.received()) == 1)
        async with (
            httpx.AsyncClient(base_url=server.url) as http,
            http.stream("GET", "/simulator/live") as live,
        ):
            lines = live.aiter_lines()
            assert (await anext(lines)).startswith("data: ")
            os.kill(os.getpid(), signal.SIGTERM)
            assert [line async for line in lines if line.startswith(":")] == []
        assert await rest(reader) == b""
        writer.close()
        await asyncio.wait_for(server.serving, 2)

    against_a_server(story)


def test_a_live_page_hears_of_a_message_and_of_its_receipts() -> None:
    async def story(server: Alone) -> None:
        async with (
            httpx.AsyncClient(base_url=server.url) as http,
            http.stream("GET", "/simulator/live") as live,
        ):
            assert live.headers["content-type"].startswith("text/event-stream")
            lines = live.aiter_lines()
            await anext(lines)
            answer = await http.post(
                PATH, headers={"authorization": "Bearer simulator"}, json=flow_request()
            )
            assert answer.status_code == 200
            heard = [await anext(lines) for _ in range(4)]
            assert [line for line in heard if line.startswith("data: ")]

    against_a_server(story)


def test_callbacks_reach_a_gateway_over_a_socket() -> None:
    async def story(server: Alone) -> None:
        got: asyncio.Queue[bytes] = asyncio.Queue()

        async def gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            got.put_nowait(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()
            writer.close()

        listening = await asyncio.start_server(gateway, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        server.simulator.callback_url = f"http://127.0.0.1:{port}/callbacks/cloud"
        async with httpx.AsyncClient(base_url=server.url) as http:
            await http.post(
                PATH, headers={"authorization": "Bearer simulator"}, json=flow_request()
            )
        statuses = [
            json.loads(await got.get())["entry"][0]["changes"][0]["value"]["statuses"][0]["status"]
            for _ in range(3)
        ]
        assert statuses == ["sent", "delivered", "read"]
        listening.close()
        await listening.wait_closed()

    against_a_server(story)
