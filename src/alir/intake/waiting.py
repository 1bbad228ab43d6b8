"""Callers that wait for what becomes of a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from alir.ids import MessageId
from alir.messages.model import Message, Status

#: While a message stands here its caller keeps waiting: more may be known soon.
PENDING = frozenset({Status.QUEUED, Status.SENDING, Status.UNKNOWN})


class Waiting:
    """Hands each message that is settled to whoever waits for it.

    Args:
        look: has somebody look how a message stands, and publish it where it has moved.
    """

    def __init__(self, look: Callable[[MessageId], None] = lambda _: None) -> None:
        self._look = look
        self._waiting: dict[MessageId, list[_Wait]] = {}
        self._stopped = False

    async def settled(self, message: Message, seconds: float, *, replayed: bool = False) -> Message:
        """The message once it is settled, or as it stands after `seconds`.

        Args:
            replayed: it was there already, and may have been settled while its caller, who was yet
                to wait for it, was on the way here. So it is looked at once more.
        """
        if message.status not in PENDING or seconds <= 0 or self._stopped:
            return message
        loop = asyncio.get_running_loop()
        wait = _Wait(message, loop.create_future())
        self._waiting.setdefault(message.id, []).append(wait)
        if replayed:
            self._look(message.id)
        timer = loop.call_later(seconds, wait.end)
        try:
            await wait.ended
        finally:
            timer.cancel()
            self._forget(wait)
        return wait.message

    def publish(self, message: Message) -> None:
        """Tell those who wait that the message stands so now.

        Who has heard of it as it stands later keeps to that: what another process did is read, and
        the reading may take longer than the next change.
        """
        for wait in self._waiting.get(message.id, ()):
            if message.version < wait.message.version:
                continue
            wait.message = message
            if message.status not in PENDING:
                wait.end()

    def waited_for(self, ids: Iterable[MessageId] | None = None) -> dict[MessageId, int]:
        """Which of these messages (None: of all) somebody waits for, and the version last heard of.

        Of several who wait for the same one, that of who has heard least.
        """
        if ids is None:
            ids = self._waiting
        elif self._waiting:
            ids = [each for each in ids if each in self._waiting]
        else:
            return {}
        return {each: min(wait.message.version for wait in self._waiting[each]) for each in ids}

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
