"""Who may go now: the pace of each recipient, and what stands still. Arithmetic on seconds."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from alir.errors import PauseScope
from alir.ids import MessageId

#: Meta counts a burst within 6 s of its first message; calls take unequally long to get there, so
#: that alir begins none later than this. Source: Meta, "Throughput" (pair rate), read 2026-09-11.
BURST_SECONDS: Final = 5.0
#: How much later than need be a recipient's next message goes, for the same reason; alir's own.
SLACK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class PairLimit:
    """How fast one sender may write to one recipient.

    A burst goes on credit: after n messages within a few seconds the next one waits until n times
    `seconds` after the first.

    Attributes:
        seconds: between two messages; 0: no limit.
        burst: how many may go at once.
        share: in (0, 1]: how much of the limit is used.
    """

    seconds: float
    burst: int = 45
    share: float = 1.0

    @property
    def interval(self) -> float:
        return self.seconds / self.share


_OPEN: Final = (-math.inf, 0.0)


def _places(person: str, flow_id: str | None) -> tuple[tuple[PauseScope, str], ...]:
    """What may stand still of a message."""
    return (PauseScope.RECIPIENT, person), (PauseScope.FLOW, flow_id or "")


class _Pair:
    """What one recipient was sent lately."""

    __slots__ = ("begun_at", "may_burst", "placed_until", "sent")

    def __init__(self, begun_at: float) -> None:
        self.begun_at = begun_at  # of the burst
        self.sent = 1
        self.may_burst = True
        # Messages that were told to wait have due times up to here.
        self.placed_until = -math.inf


class Gate:
    """One sender's. Every moment is in seconds on the clock that never jumps.

    Attributes:
        probe: the message that a whole pause let through to see, while it is under way.
    """

    def __init__(self, limit: PairLimit) -> None:
        self._limit = limit
        self._interval = limit.interval
        self._pairs: dict[str, _Pair] = {}
        # When each may be forgotten, in order; of one that goes on there is a later entry.
        self._ends: deque[tuple[float, str]] = deque()
        self._whole: dict[PauseScope, float] = {}
        # When each lets one through, and how long after it the next.
        self._shut: dict[tuple[PauseScope, str], tuple[float, float]] = {}
        self.probe: MessageId | None = None

    # Pauses

    def shut(self, scope: PauseScope, key: str, opens_at: float, *, wait: float = 0) -> None:
        """Let nothing of this through before `opens_at`; then one, to see.

        Args:
            wait: how long after that one the next may go, of a recipient or a Flow.
        """
        if key:
            self._shut[scope, key] = opens_at, wait
        else:
            self._whole[scope] = opens_at

    def reopen(self, scope: PauseScope, key: str) -> None:
        """Let everything of this through."""
        if key:
            self._shut.pop((scope, key), None)
            return
        self._whole.pop(scope, None)

    @property
    def is_open(self) -> bool:
        """Whether nothing holds the whole sender."""
        return not self._whole

    def room(self, now: float) -> int | None:
        """How many may begin, of whomever; None: any number."""
        if not self._whole:
            return None
        return 0 if self.probe is not None or self.opens_at > now else 1

    @property
    def opens_at(self) -> float:
        """When the whole sender lets one through; infinite: when somebody resumes it."""
        return max(self._whole.values(), default=-math.inf)

    # Recipients and Flows

    def opens(self, person: str, flow_id: str | None, now: float) -> float:
        """When a message to this person may go: not after `now`: at once."""
        opens = -math.inf
        pair = self._pairs.get(person)
        if pair is not None and not self._is_in_burst(pair, now):
            opens = self._paid_at(pair)
        if self._shut:
            for place in _places(person, flow_id):
                opens = max(opens, self._shut.get(place, _OPEN)[0])
        return opens

    def waits(self, person: str, now: float) -> bool:
        """Whether earlier messages to this person were told to wait, and still do."""
        pair = self._pairs.get(person)
        return pair is not None and pair.placed_until > now

    def take(self, person: str, flow_id: str | None, now: float) -> None:
        """Count a message that goes to this person now."""
        if self._shut:
            for place in _places(person, flow_id):
                if place in self._shut:
                    wait = self._shut[place][1]
                    self._shut[place] = now + wait, wait
        if not self._interval:
            return
        pair = self._pairs.get(person)
        if pair is None:
            pair = self._pairs[person] = _Pair(now)
        elif self._is_in_burst(pair, now):
            pair.sent += 1
        else:
            pair.begun_at, pair.sent, pair.may_burst = now, 1, True
        if self._shut and (PauseScope.RECIPIENT, person) in self._shut:
            pair.may_burst = False
        self._ends.append((self._paid_at(pair), person))
        self._forget(now)

    def give_back(self, person: str) -> None:
        """Count one message less: it was not sent after all."""
        pair = self._pairs.get(person)
        if pair is not None and pair.sent > 0:
            pair.sent -= 1

    @property
    def anything_shut(self) -> bool:
        """Whether any recipient or Flow stands still."""
        return bool(self._shut)

    def place(self, person: str, flow_id: str | None, now: float) -> float:
        """When a message may go that has to wait, behind those of its recipient that do so."""
        opens = self.opens(person, flow_id, now)
        pair = self._pairs.get(person)
        if pair is None:
            return opens
        if pair.placed_until > now:
            opens = max(opens, pair.placed_until + self._interval)
        self._wait_until(person, pair, opens)
        return opens

    def remember(self, person: str, *, placed_until: float) -> None:
        """Take over what an earlier process told messages to this person to wait for."""
        pair = self._pairs.get(person)
        if pair is None:
            pair = self._pairs[person] = _Pair(-math.inf)
        self._wait_until(person, pair, max(placed_until, pair.placed_until))

    def _wait_until(self, person: str, pair: _Pair, moment: float) -> None:
        if math.isfinite(moment):
            pair.placed_until = moment
            self._ends.append((moment, person))

    def _is_in_burst(self, pair: _Pair, now: float) -> bool:
        return (
            pair.may_burst and pair.sent < self._limit.burst and now < pair.begun_at + BURST_SECONDS
        )

    def _paid_at(self, pair: _Pair) -> float:
        return pair.begun_at + pair.sent * self._interval + SLACK_SECONDS

    def _forget(self, now: float) -> None:
        # Two at a time: as many come as go, and none has to wait for a long clean-up.
        for _ in range(2):
            if not self._ends or self._ends[0][0] > now:
                return
            _, person = self._ends.popleft()
            pair = self._pairs.get(person)
            if pair is not None and max(self._paid_at(pair), pair.placed_until) <= now:
                del self._pairs[person]
