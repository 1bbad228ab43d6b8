"""The few things that the simulator does on bare ASGI, where every request counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.types import Receive, Scope, Send

from alir.clock import Clock


class BodyTooLarge(Exception):
    """A request's body has more bytes than are read."""


class ClientGone(Exception):
    """The client left before its request was whole."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that name (lower case), if any."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return next((value for key, value in headers if key == name), None)


async def read_body(receive: Receive, *, most: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: it has more than `most` bytes.
        ClientGone: it never became whole.
    """
    body = b""
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        body += event.get("body", b"")
        if len(body) > most:
            raise BodyTooLarge
        more = event.get("more_body", False)
    return body


async def answer(
    send: Send,
    status: int,
    body: bytes,
    *,
    content_type: bytes = b"application/json; charset=UTF-8",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Answer a request whole."""
    start = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def hold(receive: Receive, *, clock: Clock, most: float, ended: asyncio.Event) -> None:
    """Return when the client has left, after `most` seconds, or when the simulator has ended."""
    waits = [
        asyncio.create_task(_gone(receive)),
        asyncio.create_task(clock.sleep(most)),
        asyncio.create_task(_set(ended)),
    ]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _set(event: asyncio.Event) -> None:
    await event.wait()
