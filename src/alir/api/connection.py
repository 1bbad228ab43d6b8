"""What a connection may cost before there is a request on it.

Uvicorn's parser keeps a head that never ends, and waits for it for ever.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: A request's line and headers; what servers commonly take is 8 to 64 KiB.
LARGEST_HEAD: Final = 64 * 1024
#: How long a head may take to come; a body that stops coming is waited for as long.
HEAD_SECONDS: Final = 30.0


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's own HTTP protocol, with an end to the size and the time of a request's head."""

    _head_bytes = 0
    _is_in_head = False
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._is_in_head
        super().data_received(data)
        if not self._is_in_head:
            return
        if self._timer is None:
            self._wait_for_head()
        # What stands before the head in the piece that it begins in is of another request.
        self._head_bytes += len(data) if was_in_head else 0
        if self._head_bytes > LARGEST_HEAD:
            self._refuse("The head of the request is too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._wait_no_more()
        super().on_headers_complete()

    def _wait_for_head(self) -> None:
        late = "The head of the request did not come in time."
        self._timer = self.loop.call_later(HEAD_SECONDS, self._refuse, late)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, reason: str) -> None:
        self._wait_no_more()
        self._is_in_head = False
        if not self.transport.is_closing():
            self.send_400_response(reason)
