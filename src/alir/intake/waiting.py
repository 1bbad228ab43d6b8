"""Callers that wait for what becomes of a message."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from alir.ids import MessageId
from alir.messages.model import Message, Status

#: While a message stands here its caller keeps waiting: more may be known soon.
PENDING = frozenset({Status.QUEUED, Status.SENDING, Status.UNKNOWN})


class Waiting:
    """Hands each message that is settled to whoever waits for it."""

    def __init__(self) -> None:
        self._waiting: dict[MessageId, list[_Wait]] = {}
        self._stopped = False

    async def settled(self, message: Message, seconds: float) -> Message:
        """The message once it is settled, or as it stands after `seconds`."""
        if message.status not in PENDING or seconds <= 0 or self._stopped:
            return message
        loop = asyncio.get_running_loop()
        wait = _Wait(message, loop.create_future())
        self._waiting.setdefault(message.id, []).append(wait)
        timer = loop.call_later(seconds, wait.end)
        try:
            await wait.ended
        finally:
            timer.cancel()
            self._forget(wait)
        return wait.message

    def publish(self, message: Message) -> None:
        """Tell those who wait that the message stands so now."""
        for wait in self._waiting.get(message.id, ()):
            wait.message = message
            if message.status not in PENDING:
                wait.end()

    def stop(self) -> None:
        """End every wait, and let none begin."""
        self._stopped = True
        for waiting in self._waiting.values():
            for wait in waiting:
                wait.end()

    def _forget(self, wait: _Wait) -> None:
        waiting = self._waiting[wait.message.id]
        waiting.remove(wait)
        if not waiting:
            del self._waiting[wait.message.id]


@dataclass(slots=True, eq=False)
class _Wait:
    """One caller, and the message as it was last heard of."""

    message: Message
    ended: asyncio.Future[None]

    def end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
