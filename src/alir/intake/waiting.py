"""Callers that wait for what becomes of a message."""

from __future__ import annotations

import asyncio

from alir.ids import MessageId
from alir.messages.model import Message, Status

#: While a message stands here its caller keeps waiting: more may be known soon.
PENDING = frozenset({Status.QUEUED, Status.SENDING, Status.UNKNOWN})


class Waiting:
    """Hands each message that is settled to whoever waits for it."""

    def __init__(self) -> None:
        self._waiting: dict[MessageId, list[asyncio.Future[Message | None]]] = {}
        self._stopped = False

    async def settled(self, message: Message, seconds: float) -> Message | None:
        """The message once it is settled; None where that takes longer than `seconds`."""
        if message.status not in PENDING:
            return message
        if seconds <= 0 or self._stopped:
            return None
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Message | None] = loop.create_future()
        self._waiting.setdefault(message.id, []).append(future)
        timer = loop.call_later(seconds, _resolve, future, None)
        try:
            return await future
        finally:
            timer.cancel()
            self._forget(message.id, future)

    def publish(self, message: Message) -> None:
        """Tell those who wait that the message stands so now."""
        waiting = self._waiting.get(message.id)
        if waiting is None or message.status in PENDING:
            return
        for future in waiting:
            _resolve(future, message)

    def stop(self) -> None:
        """End every wait, and let none begin."""
        self._stopped = True
        for waiting in self._waiting.values():
            for future in waiting:
                _resolve(future, None)

    def _forget(self, message_id: MessageId, future: asyncio.Future[Message | None]) -> None:
        waiting = self._waiting.get(message_id, [])
        if future in waiting:
            waiting.remove(future)
        if not waiting:
            self._waiting.pop(message_id, None)


def _resolve(future: asyncio.Future[Message | None], message: Message | None) -> None:
    if not future.done():
        future.set_result(message)
