"""How many messages wait for their turn, counted as they come and go."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from alir.clock import Clock
from alir.dispatch.slots import slots_until
from alir.ids import SenderName
from alir.messages.model import Message, QueueClass, Status

#: What a message leaves the queue for.
_LEAVES = frozenset({Status.SENDING, Status.CANCELLED, Status.EXPIRED})


class Backlog:
    """Due messages by sender and class. An estimate: `correct` sets it right now and then."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[SenderName, Counter[QueueClass]] = defaultdict(Counter)

    def changed(self, message: Message) -> None:
        """Count a message that came into the queue or left it."""
        if message.parked is not None and message.status is Status.QUEUED:
            return  # it waits for its recipient or its Flow, and for nobody else
        if message.status is Status.QUEUED:
            is_due = message.due_at <= message.created_at or message.due_at <= self._clock.now()
            self._due[message.sender][message.queue_class] += is_due
        elif message.status in _LEAVES and self._due[message.sender][message.queue_class]:
            self._due[message.sender][message.queue_class] -= 1

    def correct(self, sender: SenderName, due: Mapping[QueueClass, int]) -> None:
        """Take over what the store says."""
        self._due[sender] = Counter(due)

    def slots_until(self, message: Message) -> float:
        """How many slots it takes, about, until a message that just came has its turn."""
        return slots_until(self._due[message.sender], message.queue_class)
