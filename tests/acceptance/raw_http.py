"""HTTP by hand: many requests at once, and requests that no proper client would send."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.gateway import RunningGateway
from tests.acceptance.talk import MESSAGES


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    gateway: RunningGateway, body: bytes, headers: Mapping[str, str] | None = None
) -> bytes:
    """`POST /messages` as it goes over the wire; of `headers`, an empty one is left out."""
    given = {
        "host": urlsplit(gateway.url).netloc,
        "authorization": f"Bearer {gateway.token}",
        "content-type": "application/json",
        "content-length": str(len(body)),
    } | dict(headers or {})
    lines = [f"{name}: {value}" for name, value in given.items() if value]
    return "\r\n".join([f"POST {MESSAGES} HTTP/1.1", *lines, "", ""]).encode() + body


@contextmanager
def connection(gateway: RunningGateway, *, timeout: float = 10) -> Iterator[socket.socket]:
    """A bare connection to the gateway."""
    parts = urlsplit(gateway.url)
    with closing(socket.create_connection((parts.hostname, parts.port), timeout)) as connected:
        yield connected


def answer_on(connected: socket.socket) -> Answer:
    """The next answer that comes in; whatever follows it on the connection is left."""
    with connected.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        headers: dict[str, str] = {}
        while line := stream.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Answer(status, headers, stream.read(int(headers.get("content-length", "0"))))


def exchange(gateway: RunningGateway, raw: bytes, *, timeout: float = 10) -> Answer:
    """Send these bytes on a connection of their own; the answer."""
    with connection(gateway, timeout=timeout) as connected:
        connected.sendall(raw)
        return answer_on(connected)


def post_all(
    gateway: RunningGateway, requests: Sequence[bytes], *, connections: int
) -> list[Answer]:
    """The answers to all `requests`, in their order, sent over so many connections at once."""
    return asyncio.run(_post_all(urlsplit(gateway.url).netloc, requests, connections))


async def _post_all(netloc: str, requests: Sequence[bytes], connections: int) -> list[Answer]:
    answers: dict[int, Answer] = {}
    waiting = iter(enumerate(requests))

    async def work() -> None:
        host, _, port = netloc.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            await _work(reader, writer, waiting, answers)
        finally:
            writer.close()
            await writer.wait_closed()

    await asyncio.gather(*(work() for _ in range(connections)))
    return [answers[number] for number in range(len(requests))]


async def _work(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    waiting: Iterable[tuple[int, bytes]],
    answers: dict[int, Answer],
) -> None:
    for number, raw in waiting:
        writer.write(raw)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        answers[number] = Answer(int(head[0].split()[1]), headers, body)
