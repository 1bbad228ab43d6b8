"""What a connection may cost before there is a request on it.

Uvicorn's parser keeps a head that never ends, and waits for it for ever.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: A request's line and headers; what servers commonly take is 8 to 64 KiB.
LARGEST_HEAD: Final = 64 * 1024
#: How long a head may take to come; a body that stops coming is waited for as long.
HEAD_SECONDS: Final = 30.0


class JoinedWrites:
    """A transport on which the head of an answer leaves together with its body.

    Uvicorn writes the one after the other, and each write is a call of the kernel's and a wake-up
    of the client's. A head without a length is of a stream, and leaves at once.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None
        self.is_closing = transport.is_closing  # asked for every answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write it, or hold it if it is the head of an answer whose body is to follow."""
        if self._head is not None:
            data, self._head = self._head + data, None
        elif data.startswith(b"HTTP/1.1 ") and b"\ncontent-length: " in data:
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Write what is held: the answer has no body after all."""
        if self._head is not None:
            self.write(b"")

    def close(self) -> None:
        """Write what is held, then close."""
        self.flush()
        self._transport.close()


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's own HTTP protocol, with an end to the size and the time of a request's head."""

    #: How much came of a head that is not whole yet.
    _head_bytes = 0
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        self._joined = JoinedWrites(transport)
        super().connection_made(self._joined)  # type: ignore[arg-type]
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._joined.flush()  # the answer to HEAD is a head alone
        super().on_response_complete()

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
