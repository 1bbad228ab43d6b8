"""A real HTTP server on this machine that plays what it is told, byte for byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

import orjson


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was read to its end.

    Attributes:
        target: path and query.
        headers: by their names in lower case.
        raw: all of its bytes.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    raw: bytes

    def json(self) -> Any:
        """What the body holds.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.body)


class Then(Enum):
    """What happens to the connection once the bytes are out."""

    KEEP = auto()
    CLOSE = auto()
    SAY_NO_MORE = auto()  #: it stays open, and silent


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes, and what becomes of the connection."""

    raw: bytes
    then: Then = Then.CLOSE

    @classmethod
    def http(
        cls,
        status: int,
        body: object = b"",
        *,
        headers: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> Reply:
        """A whole answer.

        Args:
            body: bytes as they are; anything else is written as JSON.
            keep: whether the connection may be used again.
        """
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        own = {"content-type": "application/json", "content-length": str(len(content))}
        own |= {} if keep else {"connection": "close"}
        lines = [f"HTTP/1.1 {status} {_phrase(status)}"]
        lines += [f"{name}: {value}" for name, value in (own | dict(headers or {})).items()]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return cls(head + content, Then.KEEP if keep else Then.CLOSE)


#: The request was read, and that is all.
HANG_UP: Final = Reply(b"")
SILENCE: Final = Reply(b"", Then.SAY_NO_MORE)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unnamed"


@dataclass(slots=True)
class Server:
    """Listens on a port of its own between `start` and `stop`.

    Attributes:
        answer: decides what to reply.
    """

    answer: Callable[[Request], Reply]
    port: int = 0
    _listening: asyncio.Server | None = None
    _connections: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Take connections."""
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no more, and end those that there are. Safe to call twice."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            while True:
                reply = self.answer(await _read(reader))
                writer.write(reply.raw)
                await writer.drain()
                if reply.then is Then.SAY_NO_MORE:
                    await asyncio.Event().wait()
                if reply.then is Then.CLOSE:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client has gone
        except asyncio.CancelledError:
            return  # it is stopped; asyncio would report a task that was cancelled
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body, head + body)
