"""How many messages wait, counted as they come and go."""

from __future__ import annotations

from collections import defaultdict

from alir.clock import Clock
from alir.ids import SenderName
from alir.messages.model import Message, Status

#: What a message leaves the queue for.
_LEAVES = frozenset({Status.SENDING, Status.CANCELLED, Status.EXPIRED})
#: Of a message that was stored a moment ago. Others are told of also where they were queued before.
_NEW = 1


class Backlog:
    """Messages by sender: those that wait for their turn, and all that are queued.

    Both are estimates, from what this process is told; `correct` sets them right from time to time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[SenderName, int] = defaultdict(int)
        self._queued: dict[SenderName, int] = defaultdict(int)

    def changed(self, message: Message) -> None:
        """Count a message that came into the queue or left it."""
        sender = message.sender
        if message.status is Status.QUEUED:
            self._queued[sender] += message.version == _NEW
            if message.parked is None:  # else it waits for its recipient or Flow, for nobody else
                is_due = message.due_at <= message.created_at or message.due_at <= self._clock.now()
                self._due[sender] += is_due
        elif message.status in _LEAVES:
            if self._queued[sender]:
                self._queued[sender] -= 1
            if self._due[sender]:
                self._due[sender] -= 1

    def correct(self, sender: SenderName, *, due: int, queued: int) -> None:
        """Take over what the store says."""
        self._due[sender] = due
        self._queued[sender] = queued

    def due(self, sender: SenderName) -> int:
        """How many messages of this sender wait for their turn."""
        return self._due[sender]

    def queued(self, sender: SenderName) -> int:
        """How many messages of this sender are queued: also those that are parked, or not due."""
        return self._queued[sender]
