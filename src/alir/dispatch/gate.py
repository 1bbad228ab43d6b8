"""Who may go now: the pace of each recipient, and what stands still. Arithmetic on seconds.

A message that may not go now is parked on a *place*: its recipient or its Flow. Of each place the
longest waiting message goes first, once the place opens; what comes later parks behind it.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from alir.dispatch.places import Places, place
from alir.errors import PauseScope
from alir.ids import MessageId

#: Meta counts a burst within 6 s of its first message; calls take unequally long to get there, so
#: that alir begins none later than this. Source: Meta, "Throughput" (pair rate), read 2026-09-11.
BURST_SECONDS: Final = 5.0
#: How much later than need be a recipient's next message goes, for the same reason; alir's own.
SLACK_SECONDS: Final = 0.25
#: What leaves later than so after it was let go is counted from when it leaves; less is covered.
LATE_SECONDS: Final = SLACK_SECONDS / 2
#: By how much two processes' clocks may differ, and two looks at one, in what a recipient has paid.
_TOLERANCE_SECONDS: Final = SLACK_SECONDS / 2
#: How many messages of a place that stands open again go at once; more in the next round.
_AT_ONCE: Final = 50
#: How many messages are remembered that a whole pause refused; a begin looks at more than these.
_MOST_TRIED: Final = 50
_OPEN: Final = (-math.inf, 0.0)
_HELD_APART: Final = frozenset({PauseScope.RECIPIENT, PauseScope.FLOW})


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

    @property
    def memory(self) -> float:
        """For how many seconds a whole burst counts: until it is paid back."""
        return self.burst * self.interval + SLACK_SECONDS


class Turn(NamedTuple):
    """A place that is open.

    Attributes:
        most: how many that wait there may go.
        known: how many were known to wait.
    """

    place: str
    most: int
    known: int


class _Pair:
    """What one recipient was sent lately, and owes."""

    __slots__ = ("counts_from", "may_burst", "opened_at", "sent")

    def __init__(self, opened_at: float) -> None:
        self.open(opened_at)

    def open(self, moment: float) -> None:
        """One is sent that owes nothing for what was before, and opens a burst."""
        self.opened_at = self.counts_from = moment
        self.sent = 1
        self.may_burst = True


class Gate:
    """One sender's. Every moment is in seconds on the clock that never jumps.

    Attributes:
        probe: the message that a whole pause let through to see, while it is under way.
    """

    def __init__(self, limit: PairLimit) -> None:
        self._limit = limit
        self._interval = limit.interval
        self._pairs: dict[str, _Pair] = {}
        # When each pair may be forgotten; of one that goes on there is a later entry.
        self._ends: list[tuple[float, str]] = []
        self._whole: dict[PauseScope, float] = {}
        # When each place lets one through, and how long after it the next.
        self._shut: dict[str, tuple[float, float]] = {}
        # How many messages wait at each place, as far as is known here.
        self._waiting: dict[str, int] = {}
        # When each of these may open; an entry that is too early is put back when it comes up.
        self._openings: list[tuple[float, str]] = []
        # What was refused since the whole sender was last open.
        self._tried: set[MessageId] = set()
        self.probe: MessageId | None = None

    @property
    def memory(self) -> float:
        """For how many seconds what a recipient was sent counts, at most."""
        return self._limit.memory

    def forget(self) -> None:
        """Forget who was sent what and who waits, as another process may have gone on since.

        What stands still is kept.
        """
        self._pairs.clear()
        self._ends.clear()
        self._waiting.clear()
        self._openings.clear()
        self._tried.clear()
        self.probe = None

    # Pauses

    def shut(self, scope: PauseScope, key: str, opens_at: float, *, wait: float = 0) -> None:
        """Let nothing of this through before `opens_at`; then one, to see.

        Args:
            wait: how long after that one the next may go, of a recipient or a Flow.
        """
        if scope in _HELD_APART:
            self._shut[place(scope, key)] = opens_at, wait
            self._look_again(place(scope, key))
        else:
            self._whole[scope] = opens_at

    def reopen(self, scope: PauseScope, key: str) -> None:
        """Let everything of this through."""
        if scope in _HELD_APART:
            self._shut.pop(place(scope, key), None)
            self._look_again(place(scope, key))
        else:
            self._whole.pop(scope, None)
            if self.is_open:
                self._tried.clear()

    def tried(self, message: MessageId) -> None:
        """This one's refusal holds the whole sender: let another through to see, if there is one.

        It may be to blame itself, and would else be the one that is let through each time.
        """
        if len(self._tried) >= _MOST_TRIED:
            self._tried.clear()
        self._tried.add(message)

    def others_first(self, message: MessageId) -> bool:
        """Whether another message than this one is let through to see."""
        return message in self._tried and not self.is_open

    def no_others(self) -> bool:
        """Nothing else waits: let those through that were tried. Whether there are any."""
        any_tried = bool(self._tried)
        self._tried.clear()
        return any_tried

    @property
    def is_open(self) -> bool:
        """Whether nothing holds the whole sender."""
        return not self._whole

    @property
    def anything_shut(self) -> bool:
        """Whether any recipient or Flow stands still."""
        return bool(self._shut)

    def room(self, now: float) -> int | None:
        """How many may begin, of whomever; None: any number."""
        if not self._whole:
            return None
        return 0 if self.probe is not None or self.opens_at > now else 1

    def holds(self, message: MessageId, now: float) -> bool:
        """Whether the whole sender is held, and this is not the one that is let through to see.

        What began to hold it since that one was let through holds it, too.
        """
        return not self.is_open and (self.probe != message or self.opens_at > now)

    @property
    def opens_at(self) -> float:
        """When the whole sender lets one through; infinite: when somebody resumes it."""
        return max(self._whole.values(), default=-math.inf)

    # Recipients and Flows

    @property
    def is_free(self) -> bool:
        """Whether no recipient and no Flow has anything to wait for."""
        return not (self._waiting or self._shut or self._pairs)

    @property
    def counts(self) -> bool:
        """Whether what goes now makes anything later wait."""
        return bool(self._interval or self._shut)

    def blocked(self, places: Places, now: float, *, head_of: str | None = None) -> str | None:
        """The place where a message has to wait; None: it may go now.

        Args:
            head_of: the place of which it is the longest waiting one.
        """
        for one in places:
            if one != head_of and one in self._waiting:
                return one
            if self._opening(one, now) > now:
                return one
        return None

    def take(self, places: Places, now: float) -> None:
        """Count a message that goes now."""
        if self._shut:
            for one in places:
                if one in self._shut:
                    wait = self._shut[one][1]
                    self._shut[one] = max(self._shut[one][0], now + wait), wait
        self._count(places.recipient, now)

    def recall(self, recipient: str, at: float) -> None:
        """Count a message that an earlier process sent then."""
        self._count(recipient, at)

    def leave_late(self, recipient: str, now: float, *, let_go_at: float) -> bool:
        """Let a message leave only now that was let go at `let_go_at`; whether it still may.

        The provider counts it from now: were what its recipient owes counted from then, the next
        one would come too early. It may not leave where the burst is over that it went in.
        """
        pair = self._pairs.get(recipient)
        if pair is None or pair.opened_at > let_go_at + self._interval:
            self._count(recipient, now)  # what it counted for is paid by now
            return True
        if pair.opened_at < let_go_at and now >= pair.opened_at + BURST_SECONDS:
            pair.sent -= 1
            self._look_again(recipient)
            return False
        if pair.counts_from >= let_go_at:
            self._count_from(recipient, pair, now)
        return True

    def give_back(self, places: Places, now: float, *, let_go_at: float) -> None:
        """Count one message less, let go at `let_go_at`: it was not sent after all."""
        pair = self._pairs.get(places.recipient)
        if pair is None or pair.opened_at > let_go_at:
            return  # what it counted for is paid
        pair.sent -= 1
        if pair.sent <= 0:
            del self._pairs[places.recipient]
        elif pair.counts_from >= let_go_at:
            # The provider counts from another one, which went by now.
            self._count_from(places.recipient, pair, now)
        self._look_again(places.recipient)

    # Those that wait

    def park(self, one: str, count: int = 1) -> None:
        """So many more messages wait at this place."""
        is_new = one not in self._waiting
        self._waiting[one] = self._waiting.get(one, 0) + count
        if is_new:
            self._look_again(one)

    def turns(self, now: float, *, limit: int) -> list[Turn]:
        """The places that are open now and where somebody waits; `served` ends their turn."""
        turns: list[Turn] = []
        while self._openings and self._openings[0][0] <= now and len(turns) < limit:
            _, one = heapq.heappop(self._openings)
            if one not in self._waiting or any(turn.place == one for turn in turns):
                continue
            opens = self._opening(one, now)
            if opens > now:
                self._push(opens, one)
                continue
            is_paced = one in self._shut or one in self._pairs or self._is_recipient(one)
            turns.append(Turn(one, 1 if is_paced else _AT_ONCE, self._waiting[one]))
        return turns

    def served(self, turn: Turn, now: float, *, gone: int, is_empty: bool) -> None:
        """The turn of a place is over: so many went, and perhaps nobody waited any more.

        Who parked there since the turn began was not seen, and waits for the next one.
        """
        one = turn.place
        waiting = self._waiting.get(one, 0)
        left = waiting - turn.known if is_empty else max(1, waiting - gone)
        if left <= 0:
            self._waiting.pop(one, None)
            return
        self._waiting[one] = left
        self._push(max(self._opening(one, now), now), one)

    def knows(self, one: str) -> bool:
        """Whether anybody is known to wait at this place."""
        return one in self._waiting

    @property
    def next_turn(self) -> float:
        """When a place may open where somebody waits; infinite: nobody knows."""
        return self._openings[0][0] if self._openings else math.inf

    def expected(self, one: str, now: float) -> float:
        """Seconds until a message that parks now at this place may go, about."""
        opens = max(self._opening(one, now) - now, 0.0)
        between = self._shut[one][1] if one in self._shut else 0.0
        if self._is_recipient(one):
            between = max(between, self._interval)
        return opens + self._waiting.get(one, 0) * between

    def _opening(self, one: str, now: float) -> float:
        """When this place lets the next one through."""
        opens = self._shut.get(one, _OPEN)[0] if self._shut else -math.inf
        pair = self._pairs.get(one)
        if pair is not None and not self._is_in_burst(pair, now):
            opens = max(opens, self._paid_at(pair))
        return opens

    def _look_again(self, one: str) -> None:
        if one in self._waiting:
            self._push(self._opening(one, -math.inf), one)

    def _push(self, moment: float, one: str) -> None:
        if moment < math.inf:
            heapq.heappush(self._openings, (moment, one))

    @staticmethod
    def _is_recipient(one: str) -> bool:
        return one.startswith(PauseScope.RECIPIENT.value)

    def _count(self, recipient: str, now: float) -> None:
        if not self._interval:
            return
        pair = self._pairs.get(recipient)
        if pair is None:
            pair = self._pairs[recipient] = _Pair(now)
        elif now < self._paid_at(pair) - _TOLERANCE_SECONDS:
            # It went on credit. The burst may be over by now: it was let go a moment ago, or by
            # another process, whose moments are not these to the millisecond.
            pair.sent += 1
        else:
            pair.open(now)
        # Whom somebody waits for is written to evenly.
        if recipient in self._waiting or recipient in self._shut:
            pair.may_burst = False
        heapq.heappush(self._ends, (self._paid_at(pair), recipient))
        self._forget(now)

    def _count_from(self, recipient: str, pair: _Pair, moment: float) -> None:
        pair.counts_from = moment
        heapq.heappush(self._ends, (self._paid_at(pair), recipient))

    def _is_in_burst(self, pair: _Pair, now: float) -> bool:
        return (
            pair.may_burst
            and pair.sent < self._limit.burst
            and now < pair.opened_at + BURST_SECONDS
        )

    def _paid_at(self, pair: _Pair) -> float:
        return pair.counts_from + pair.sent * self._interval + SLACK_SECONDS

    def _forget(self, now: float) -> None:
        # Two at a time: as many come as go, and none has to wait for a long clean-up.
        for _ in range(2):
            if not self._ends or self._ends[0][0] > now:
                return
            _, recipient = heapq.heappop(self._ends)
            pair = self._pairs.get(recipient)
            if pair is not None and self._paid_at(pair) <= now:
                del self._pairs[recipient]
