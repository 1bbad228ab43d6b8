"""Whose turn it is: what the gate says of each message, and when what has to wait is due."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from alir.clock import Clock
from alir.dispatch.attempt import LOOK_AGAIN
from alir.dispatch.gate import Gate
from alir.dispatch.ports import Judge, Outbox
from alir.ids import MessageId, SenderName
from alir.messages import life
from alir.messages.model import Message

#: A message that has to wait is due a little later than that, so that it is not put off again.
_HAIR_SECONDS = 0.001
#: What a recipient was sent counts for so long: the longest burst, paid back.
PAIR_MEMORY = timedelta(minutes=5)


class Turns:
    """Decides for one sender which message may go now."""

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self._gate = gate
        self._clock = clock

    async def take_over(self, sender: SenderName, outbox: Outbox) -> None:
        """Remember what an earlier process sent to whom, and whom it told to wait."""
        now, elapsed = self._clock.now(), self._clock.elapsed()

        def ago(moment: datetime) -> float:
            return elapsed - (now - moment).total_seconds()

        for person, begun_at in await outbox.lately(sender, since=now - PAIR_MEMORY):
            self._gate.take(person, None, ago(begun_at))
        for person, due_at in await outbox.put_off(sender):
            self._gate.remember(person, placed_until=ago(due_at))

    def must_wait(self, message: Message) -> datetime | None:
        """Until when a new message has to wait for its recipient or its Flow; None: it need not."""
        now = self._clock.elapsed()
        person = message.person
        if self._gate.opens(person, message.flow_id, now) > now or self._gate.waits(person, now):
            return self._put_off(message, now)
        return None

    def take(self, message: Message) -> float:
        """Count a message that goes now; the moment, on the clock that never jumps."""
        now = self._clock.elapsed()
        self._gate.take(message.person, message.flow_id, now)
        return now

    def judge(self) -> Judge:
        """What becomes of each message that is due; of one version of it always the same."""
        decided: dict[tuple[MessageId, int], life.Change] = {}

        def judge(message: Message, *, window_shut: bool) -> life.Change:
            key = (message.id, message.version)
            if key not in decided:
                decided[key] = self._decide(message, window_shut=window_shut)
            return decided[key]

        return judge

    def _decide(self, message: Message, *, window_shut: bool) -> life.Change:
        wall, now = self._clock.now(), self._clock.elapsed()
        lapse = life.expire(message, now=wall)
        if lapse is not None:
            return lapse
        person = message.person
        # One that was told to wait before has its turn before those that came after it.
        has_waited = message.due_at > message.first_due_at
        opens_at = self._gate.opens(person, message.flow_id, now)
        if opens_at > now and has_waited:
            return life.defer(message, self._moment(opens_at, now))
        if opens_at > now or (not has_waited and self._gate.waits(person, now)):
            return life.defer(message, self._put_off(message, now))
        self._gate.take(person, message.flow_id, now)
        return life.begin(message, now=wall, window_shut=window_shut)

    def _put_off(self, message: Message, now: float) -> datetime:
        """The next free moment of a message's recipient and Flow, taken."""
        return self._moment(self._gate.place(message.person, message.flow_id, now), now)

    def _moment(self, opens_at: float, now: float) -> datetime:
        if math.isinf(opens_at):
            return self._clock.now() + LOOK_AGAIN
        return self._clock.now() + timedelta(seconds=opens_at - now + _HAIR_SECONDS)
