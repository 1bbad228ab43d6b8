"""How fast one sender may go: evenly spaced, and never above its limit in any second."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Slots are this much further apart, so that no sum of rounded moments lets one more into a second.
_HAIR = 1.000_001


@dataclass(slots=True)
class Pace:
    """Evenly spaced slots for calls.

    alir uses `share` of the limit. Half of the time in each second that the share leaves free makes
    up for lateness: a slot used no later than that (a disk took its time) moves none after it, and
    as many slots as fit into it are saved up while there is nothing to send. The other half is for
    calls that take longer to the provider than others. So no second holds more than the limit,
    there either: of a limit's calls and one more, first and last are planned `1 / share` s apart.

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
        return 1 + int(self._behind(now) / self._interval)

    def take(self, count: int, now: float) -> None:
        """Use `count` of the slots there are at `now`."""
        if not self.per_second or count == 0:
            return
        self._next_at = now - self._behind(now) + count * self._interval

    def wait(self, now: float) -> float:
        """Seconds from `now` until the next slot; 0 where there is one."""
        return max(0.0, self._next_at - now) if self.per_second else 0.0

    @property
    def _interval(self) -> float:
        return _HAIR / (self.per_second * self.share)

    def _behind(self, now: float) -> float:
        """How many seconds before `now` the next slot is taken to have begun."""
        late = now - self._next_at
        most = (1 / self.share - 1) / 2
        return late if late <= most else most // self._interval * self._interval
