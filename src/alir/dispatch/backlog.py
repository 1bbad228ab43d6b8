"""How many messages wait, counted as they come and go."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from alir.clock import Clock
from alir.dispatch.slots import slots_until
from alir.ids import SenderName
from alir.messages.model import Message, QueueClass, Status

#: What a message leaves the queue for.
_LEAVES = frozenset({Status.SENDING, Status.CANCELLED, Status.EXPIRED})
#: Of a message that was stored a moment ago. Others are told of also where they were queued before.
_NEW = 1


class Backlog:
    """Messages by sender: those that wait for their turn, by class, and all that are queued.

    Both are estimates, from what this process is told; `correct` sets them right from time to time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[SenderName, Counter[QueueClass]] = defaultdict(Counter)
        self._queued: dict[SenderName, int] = defaultdict(int)

    def changed(self, message: Message) -> None:
        """Count a message that came into the queue or left it."""
        sender = message.sender
        if message.status is Status.QUEUED:
            self._queued[sender] += message.version == _NEW
            if message.parked is None:  # else it waits for its recipient or Flow, for nobody else
                is_due = message.due_at <= message.created_at or message.due_at <= self._clock.now()
                self._due[sender][message.queue_class] += is_due
        elif message.status in _LEAVES:
            if self._queued[sender]:
                self._queued[sender] -= 1
            if self._due[sender][message.queue_class]:
                self._due[sender][message.queue_class] -= 1

    def correct(self, sender: SenderName, *, due: Mapping[QueueClass, int], queued: int) -> None:
        """Take over what the store says."""
        self._due[sender] = Counter(due)
        self._queued[sender] = queued

    def slots_until(self, message: Message) -> float:
        """How many slots it takes, about, until a message that just came has its turn."""
        return slots_until(self._due[message.sender], message.queue_class)

    def queued(self, sender: SenderName) -> int:
        """How many messages of this sender are queued: also those that are parked, or not due."""
        return self._queued[sender]
