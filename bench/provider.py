"""A provider that is never the limit: takes any message as Graph would, at once or after a while.

A hand-written protocol on uvloop; a framework would cost more than the gateway it is to measure.

    POST any path ending in /messages    a Graph answer with a new wamid, after the delay; not
                                         counted where it begins with /aside/
    GET  /bench/counts                   {"requests", "messages"}: all, and distinct ones
    POST /bench/reset {"delay_ms": 0}    forgets the counts, sets the delay, answers the counts

A message is told apart by its `biz_opaque_callback_data`; one without is taken for a new one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from typing import Any, cast

import httptools
import uvloop

_MARK = re.compile(rb'"biz_opaque_callback_data"\s*:\s*"([^"]*)"')
_TO = re.compile(rb'"to"\s*:\s*"\+?([0-9]*)"')
_BACKLOG = 2048


class Ledger:
    """What has arrived since the last reset, and how long answers take."""

    def __init__(self) -> None:
        self.delay = 0.0
        self._requests = 0
        self._unmarked = 0
        self._marks: set[bytes] = set()
        self._number = 0

    def take(self, body: bytes, *, counts: bool = True) -> bytes:
        """Count a message, where it counts; the body of its answer."""
        self._number += 1
        if counts:
            self._count(_MARK.search(body))
        to = _TO.search(body)
        wa_id = to[1] if to else b""
        return (
            b'{"messaging_product":"whatsapp","contacts":[{"input":"+%b","wa_id":"%b"}],'
            b'"messages":[{"id":"wamid.BENCH%040d"}]}' % (wa_id, wa_id, self._number)
        )

    def _count(self, mark: re.Match[bytes] | None) -> None:
        self._requests += 1
        if mark is None:
            self._unmarked += 1
        else:
            self._marks.add(mark[1])

    def counts(self) -> dict[str, int]:
        return {"requests": self._requests, "messages": self._unmarked + len(self._marks)}

    def reset(self, *, delay_ms: float) -> None:
        self.delay = delay_ms / 1000
        self._requests = self._unmarked = 0
        self._marks.clear()


class Connection(asyncio.Protocol):
    """One kept-alive connection; answers in the order of the requests."""

    _transport: asyncio.Transport

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._path, self._body = url, b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._path.endswith(b"/messages"):
            counts = not self._path.startswith(b"/aside/")
            answer, delay = self._ledger.take(self._body, counts=counts), self._ledger.delay
            if delay:
                asyncio.get_running_loop().call_later(delay, self._answer, answer)
            else:
                self._answer(answer)
            return
        if self._path == b"/bench/reset":
            self._ledger.reset(delay_ms=json.loads(self._body)["delay_ms"])
        self._answer(json.dumps(self._ledger.counts()).encode())

    def _answer(self, body: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (len(body), body)
        )


async def serve(port: int) -> None:
    """Answer on a port of the loopback address until the process is told to end."""
    ledger = Ledger()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(ledger), "127.0.0.1", port, backlog=_BACKLOG
    )
    async with server:
        await server.serve_forever()


def main(arguments: list[str] | None = None) -> Any:
    parser = argparse.ArgumentParser(prog="bench.provider", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args(arguments).port))


if __name__ == "__main__":
    main()
