"""Whose turn it is: what the gate says of each message that is due."""

from __future__ import annotations

from datetime import datetime, timedelta

from alir.clock import Clock
from alir.dispatch.gate import Gate
from alir.dispatch.places import place, places_of
from alir.dispatch.ports import Judge, Outbox
from alir.errors import PauseScope
from alir.ids import MessageId, SenderName
from alir.messages import life
from alir.messages.model import Message


class Turns:
    """Decides for one sender which message may go now."""

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self._gate = gate
        self._clock = clock

    async def take_over(self, sender: SenderName, outbox: Outbox) -> None:
        """Remember what an earlier process sent to whom, and who waits where; nothing else."""
        self._gate.forget()
        now, elapsed = self._clock.now(), self._clock.elapsed()

        def then(moment: datetime) -> float:
            return elapsed - (now - moment).total_seconds()

        for person, begun_at in await outbox.lately(
            sender, since=now - timedelta(seconds=self._gate.memory)
        ):
            self._gate.recall(place(PauseScope.RECIPIENT, person), then(begun_at))
        for parked_at, count in await outbox.parked(sender):
            self._gate.park(parked_at, count)

    async def refresh(self, sender: SenderName, outbox: Outbox) -> None:
        """Notice who waits without anybody knowing: the storing of it may have been in doubt."""
        for parked_at, count in await outbox.parked(sender):
            if not self._gate.knows(parked_at):
                self._gate.park(parked_at, count)

    def must_wait(self, message: Message) -> str | None:
        """The place where a new message has to wait; None: it need not."""
        if self._gate.is_free:
            return None
        return self._gate.blocked(places_of(message), self._clock.elapsed())

    def take(self, message: Message) -> float:
        """Count a message that goes now; the moment, on the clock that never jumps."""
        now = self._clock.elapsed()
        if self._gate.counts:
            self._gate.take(places_of(message), now)
        return now

    def give_back(self, message: Message, let_go_at: float) -> None:
        """Count one message less, let go then: it was not sent after all."""
        self._gate.give_back(places_of(message), self._clock.elapsed(), let_go_at=let_go_at)

    def judge(self) -> Judge:
        """What becomes of each message that is due; of one version of it always the same."""
        decided: dict[tuple[MessageId, int], life.Change | None] = {}

        def judge(
            message: Message, *, window_shut: bool, head_of: str | None = None
        ) -> life.Change | None:
            key = (message.id, message.version)
            if key not in decided:
                decided[key] = self._decide(message, window_shut=window_shut, head_of=head_of)
            return decided[key]

        return judge

    def _decide(
        self, message: Message, *, window_shut: bool, head_of: str | None
    ) -> life.Change | None:
        wall, now = self._clock.now(), self._clock.elapsed()
        lapse = life.expire(message, now=wall)
        if lapse is not None:
            return lapse
        if self._gate.others_first(message.id):
            return None
        places = places_of(message)
        blocked = self._gate.blocked(places, now, head_of=head_of)
        if blocked is not None:
            return None if blocked == message.parked else life.park(message, blocked)
        self._gate.take(places, now)
        return life.begin(message, now=wall, window_shut=window_shut)
