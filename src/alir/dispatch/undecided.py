"""Unknown messages that wait for evidence, and for how long they have."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import NamedTuple

from alir.clock import Clock
from alir.ids import MessageId, SenderName
from alir.messages import life
from alir.messages.model import Message, Status


class _Wait(NamedTuple):
    message: Message
    since: float


class Undecided:
    """The unknown messages that this process knows of and nothing is decided about.

    Their waits are measured on the clock that never jumps. Evidence is waited for only while
    callbacks can arrive, so that no wait counts from before this process heard of the message,
    nor from before a time in which they could not: the start, a sleep of the machine, a store
    that was down.

    Args:
        is_ours: whether this process decides about the messages of a sender. Of others nothing is
            remembered, as nobody would tell here what became of them.
    """

    def __init__(
        self, clock: Clock, unknown_after: timedelta, is_ours: Callable[[SenderName], bool]
    ) -> None:
        self._clock = clock
        self._is_ours = is_ours
        self._unknown_after = unknown_after.total_seconds()
        self._listening_since = clock.elapsed()
        self._waits: dict[MessageId, _Wait] = {}

    def __len__(self) -> int:
        return len(self._waits)

    def changed(self, message: Message) -> None:
        """A message has changed; if it is unknown now, its wait begins."""
        if message.status is Status.UNKNOWN and self._is_ours(message.sender):
            self._waits[message.id] = _Wait(message, self._clock.elapsed())
        elif self._waits:
            self._waits.pop(message.id, None)

    def found(self, message: Message) -> None:
        """A message was found to be unknown; its wait begins, unless it has."""
        wait = self._waits.get(message.id)
        if wait is None or wait.message.version != message.version:
            self.changed(message)

    def wait_anew(self) -> None:
        """Callbacks could not arrive until now."""
        self._listening_since = self._clock.elapsed()

    def waited_enough(self, message: Message) -> bool:
        """Whether this unknown message has waited long enough; of a new one the wait begins."""
        wait = self._waits.get(message.id)
        if wait is None or wait.message.version != message.version:
            self.changed(message)
            return False
        return self._is_over(wait)

    def may_go_again(self, messages: Collection[Message]) -> None:
        """These are all that may be sent once more; what else waited for that does no longer.

        Another process has heard what became of it.
        """
        may, now = {message.id for message in messages}, self._clock.now()
        self._waits = {
            id_: wait
            for id_, wait in self._waits.items()
            if id_ in may
            or not self._is_over(wait)
            or not life.may_retry_by_itself(wait.message, now=now)
        }

    def lost(self, sender: SenderName) -> None:
        """Another process decides about its messages from here on."""
        self._waits = {
            id_: wait for id_, wait in self._waits.items() if wait.message.sender != sender
        }

    def to_hold(self) -> list[Message]:
        """Those that have waited long enough and must not be sent again, as far as is known."""
        now = self._clock.now()
        return [
            wait.message
            for wait in self._waits.values()
            if self._is_over(wait) and not life.may_retry_by_itself(wait.message, now=now)
        ]

    def decided(self, message: Message) -> None:
        """It waits no more, unless it has become unknown anew."""
        wait = self._waits.get(message.id)
        if wait is not None and wait.message.version == message.version:
            del self._waits[message.id]

    def _is_over(self, wait: _Wait) -> bool:
        since = max(wait.since, self._listening_since)
        return self._clock.elapsed() >= since + self._unknown_after
