"""How many messages wait for their turn, counted as they come and go."""

from __future__ import annotations

from collections import defaultdict

from alir.clock import Clock
from alir.ids import SenderName
from alir.messages.model import Message, Status

#: What a message leaves the queue for.
_LEAVES = frozenset({Status.SENDING, Status.CANCELLED, Status.EXPIRED})


class Backlog:
    """Due messages by sender. An estimate: `correct` sets it right from time to time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[SenderName, int] = defaultdict(int)

    def changed(self, message: Message) -> None:
        """Count a message that came into the queue or left it."""
        if message.parked is not None and message.status is Status.QUEUED:
            return  # it waits for its recipient or its Flow, and for nobody else
        if message.status is Status.QUEUED:
            is_due = message.due_at <= message.created_at or message.due_at <= self._clock.now()
            self._due[message.sender] += is_due
        elif message.status in _LEAVES and self._due[message.sender]:
            self._due[message.sender] -= 1

    def correct(self, sender: SenderName, due: int) -> None:
        """Take over what the store says."""
        self._due[sender] = due

    def due(self, sender: SenderName) -> int:
        """How many messages of this sender wait for their turn."""
        return self._due[sender]
