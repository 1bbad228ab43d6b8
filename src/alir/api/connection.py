"""What a connection may cost before there is a request on it.

Uvicorn's parser keeps a head that never ends, and waits for it for ever.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from collections.abc import Iterable
from typing import Final

from starlette.types import Receive, Send
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

#: A request's line and headers; what servers commonly take is 8 to 64 KiB.
LARGEST_HEAD: Final = 64 * 1024
#: How long a head may take to come.
HEAD_SECONDS: Final = 30.0


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's own HTTP protocol, with an end to the size and the time of a request's head."""

    #: How much came of a head that is not whole yet.
    _head_bytes = 0
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        is_body = before is not None and before.more_body
        super().data_received(data)
        if self.cycle is not before:  # a head is whole
            if self._timer is not None:
                self._wait_no_more()
        elif not is_body:
            self._in_head(len(data))

    def _in_head(self, size: int) -> None:
        """A piece came that completes no head and belongs to no body."""
        if self._timer is None:
            self._wait_for_head()
        self._head_bytes += size
        if self._head_bytes > LARGEST_HEAD:
            self._refuse("The head of the request is too large.")

    def _wait_for_head(self) -> None:
        late = "The head of the request did not come in time."
        self._timer = self.loop.call_later(HEAD_SECONDS, self._refuse, late)

    def _wait_no_more(self) -> None:
        self._head_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, reason: str) -> None:
        self._wait_no_more()
        if not self.transport.is_closing():
            self.send_400_response(reason)


def is_here(receive: Receive) -> bool:
    """Whether a request is here to its end, as far as this server can tell."""
    cycle = getattr(receive, "__self__", None)
    return type(cycle) is RequestResponseCycle and not cycle.more_body


def answer_at_once(
    send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> bool:
    """Write a whole answer with one call of the kernel's; False: this server cannot, use `send`.

    Uvicorn's own `send` checks every header anew and writes head and body one after the other:
    two wake-ups of the client's, and a tenth of what accepting a message costs. What is done here
    is what `RequestResponseCycle.send` (uvicorn 0.54) does for a body that comes whole; a test
    over a socket holds the two to each other.

    Args:
        headers: names in lower case; `content-length` among them. Nothing of a caller's.
    """
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not RequestResponseCycle or cycle.response_started or cycle.disconnected:
        return False
    if cycle.flow.write_paused or cycle.scope["method"] == "HEAD":
        return False
    parts = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        if name == b"connection":
            cycle.keep_alive = cycle.keep_alive and value != b"close"
        else:
            parts += (name, b": ", value, b"\r\n")
    if not cycle.keep_alive:
        parts.append(b"connection: close\r\n")
    parts += (b"\r\n", body)
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.chunked_encoding, cycle.expected_content_length = False, 0
    cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
