"""What the network between can do to a request, whoever it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from alir.clock import Clock
from alir.simulator.asgi import answer, hold
from alir.simulator.carrier import Carrier
from alir.simulator.hang_up import hang_up
from alir.simulator.magic import Fate
from alir.simulator.phones import Received

#: How long a request that is never answered is kept, in seconds.
LONGEST_HOLD = 600.0
RETRY_AFTER = b"2"  # seconds

_HTML = (
    b"<!doctype html><html><head><title>502 Bad Gateway</title></head>"
    b"<body><h1>502 Bad Gateway</h1></body></html>"
)


class Network:
    """Carries the fates out that are none of WhatsApp's.

    Attributes:
        ended: once set, requests that are never answered are let go.
    """

    def __init__(self, carrier: Carrier, *, clock: Clock, ended: asyncio.Event) -> None:
        self._carrier = carrier
        self._clock = clock
        self._ended = ended

    async def carry_out(
        self,
        fate: Fate,
        message: Callable[[], Received],
        asgi: tuple[Scope, Receive, Send],
        *,
        too_many: bytes,
    ) -> None:
        """Let `fate` happen. `too_many` is the body of an answer 429."""
        scope, receive, send = asgi
        match fate:
            case Fate.NO_ANSWER:
                await self._carrier.take(message())
                await hold(receive, clock=self._clock, most=LONGEST_HOLD, ended=self._ended)
                await _leave(scope, receive, send)
            case Fate.HANGS_UP:
                self._carrier.put(message())
                await _leave(scope, receive, send)
            case Fate.TOO_MANY:
                self._refuse(HTTPStatus.TOO_MANY_REQUESTS, message())
                await answer(send, 429, too_many, headers=[(b"retry-after", RETRY_AFTER)])
            case Fate.GATEWAY_ERROR:
                self._refuse(HTTPStatus.BAD_GATEWAY, message())
                await answer(send, 502, _HTML, content_type=b"text/html; charset=utf-8")
            case _:
                raise ValueError(f"{fate} is not of the network")

    def _refuse(self, status: HTTPStatus, message: Received) -> None:
        self._carrier.refuse(
            f"HTTP {status}", status.phrase, sender=message.sender, to=message.phone
        )


async def _leave(scope: Scope, receive: Receive, send: Send) -> None:
    if not await hang_up(scope, receive):
        text = b"This server cannot hang up: run it with alir's HangUpProtocol."
        await answer(send, 501, text, content_type=b"text/plain")
