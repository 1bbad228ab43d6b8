"""How fast one sender may go: evenly spaced, and never above its limit in any second."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Slots are this much further apart, so that no sum of rounded moments lets one more into a second.
_HAIR = 1.000_001


@dataclass(slots=True)
class Pace:
    """Evenly spaced slots for calls.

    alir uses `share` of the limit. What the share leaves free is how many slots that passed unused
    (the process was late) may be caught up on at once, so that no second ever holds more than the
    limit.

    Attributes:
        per_second: the limit; 0: none.
        share: in (0, 1].
    """

    per_second: float
    share: float
    _next_at: float = -math.inf

    def slots(self, now: float) -> int | None:
        """How many calls may begin now, at `now` seconds; None: any number."""
        if not self.per_second:
            return None
        if now < self._next_at:
            return 0
        passed = (now - self._next_at) / self._interval
        return 1 + int(min(passed, self._catch_up))

    def take(self, count: int, now: float) -> None:
        """Use `count` of the slots there are at `now`."""
        if not self.per_second or count == 0:
            return
        earliest = now - self._catch_up * self._interval
        self._next_at = max(self._next_at, earliest) + count * self._interval

    def wait(self, now: float) -> float:
        """Seconds from `now` until the next slot; 0 where there is one."""
        return max(0.0, self._next_at - now) if self.per_second else 0.0

    @property
    def _interval(self) -> float:
        return _HAIR / (self.per_second * self.share)

    @property
    def _catch_up(self) -> float:
        return max(0.0, math.floor(self.per_second * (1 - self.share)) - 1)
