"""Closing a connection without an answer, which ASGI has no word for."""

from __future__ import annotations

from starlette.types import Receive, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: The ASGI extension: `scope["extensions"]["alir.hang_up"]` is a function without arguments.
EXTENSION = "alir.hang_up"


class HangUpProtocol(HttpToolsProtocol):
    """Uvicorn's own HTTP protocol, and each request may close its connection.

    Hand it to uvicorn as `Config(app, http=HangUpProtocol)`.
    """

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # `abort` keeps nothing back: not one byte is written, and the client sees a closed
        # connection after a whole request.
        self.scope["extensions"] = {EXTENSION: {"call": self.transport.abort}}


async def hang_up(scope: Scope, receive: Receive) -> bool:
    """Close the connection of this request; false where the server cannot."""
    extension = (scope.get("extensions") or {}).get(EXTENSION)
    if extension is None:
        return False
    extension["call"]()
    # Return only when the server has noticed: it would write a 500 for a request without answer.
    while (await receive())["type"] != "http.disconnect":
        pass
    return True
