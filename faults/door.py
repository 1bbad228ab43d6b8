"""One address for several gateways: whoever connects gets to one that is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from faults.wire import GONE

_PIECE: Final = 64 * 1024
#: So long whoever connects waits for a gateway to be up.
_PATIENCE_SECONDS: Final = 1.5
_LOOK_SECONDS: Final = 0.02


class Door:
    """Carries bytes both ways, or hangs up where no gateway is up for a while. Use as an
    asynchronous context manager.

    Attributes:
        port: where it listens.
    """

    def __init__(self, up: Callable[[], Sequence[int]]) -> None:
        """`up`: the ports of the gateways that take requests now."""
        self.port = 0
        self._up = up
        self._turn = 0
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for one in self._open:
            one.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _ports(self) -> Sequence[int]:
        for _ in range(round(_PATIENCE_SECONDS / _LOOK_SECONDS)):
            if ports := self._up():
                return ports
            await asyncio.sleep(_LOOK_SECONDS)
        return ()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if ports := await self._ports():
                self._turn += 1
                port = ports[self._turn % len(ports)]
                there, back = await asyncio.open_connection("127.0.0.1", port)
                ways = [_carry(reader, back), _carry(there, writer)]
                await asyncio.gather(*ways)
        except (*GONE, asyncio.CancelledError):
            pass  # whoever is gone ends the connection, and so does the end of the door
        finally:
            self._open.discard(task)
            writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()  # and with it the other way
