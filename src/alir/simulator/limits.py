"""How fast WhatsApp takes messages from a sender: arithmetic over moments, without a clock.

Throughput: a sender may have at most `most` messages, its own and those that persons write to
it, in any one second. Its edges: what happened exactly a second ago no longer counts.

Pair rate: one message each `seconds` to one recipient, and up to `burst` of them at once, on
credit. The first message that finds the pair free opens a window of `seconds`; more are taken
while fewer than `burst` were, and each prolongs the debt by `seconds`. When the window is over,
nothing is taken until the debt is paid: `seconds` times the messages in it after it was opened.
Its edges: a message exactly `seconds` after the opening is outside the window, and one at the
very moment at which the debt is paid is taken and opens the next.
Source: Meta, "Throughput" and "About the platform", copies of 2026: 80 messages a second; one
each 6 s to one user; a burst of 45 in 6 s, then a wait as long as it would have taken.

A message that is refused counts nowhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

SECOND = 1.0
#: Pairs remembered before those without a debt are forgotten.
_PRUNED_ABOVE = 1000


class Throughput:
    """What one sender sent and got in the last second. Moments never go backwards."""

    def __init__(self) -> None:
        self._moments: deque[float] = deque()

    def is_full(self, now: float, *, most: int) -> bool:
        """Whether one more message now would be one too many.

        >>> second = Throughput()
        >>> for moment in (0.0, 0.5):
        ...     second.add(moment)
        >>> second.is_full(0.999, most=2), second.is_full(1.0, most=2)
        (True, False)
        """
        self._forget(now)
        return len(self._moments) >= most

    def add(self, now: float) -> None:
        """Count a message."""
        self._forget(now)
        self._moments.append(now)

    def _forget(self, now: float) -> None:
        while self._moments and now - self._moments[0] >= SECOND:
            self._moments.popleft()


class Pairs:
    """What each sender sent to each recipient lately."""

    def __init__(self) -> None:
        self._windows: dict[Hashable, tuple[float, int]] = {}  # opened at, messages in it
        self._prune_above = _PRUNED_ABOVE

    def is_full(self, pair: Hashable, now: float, *, seconds: float, burst: int) -> bool:
        """Whether one more message of this pair now would be one too many.

        >>> pairs = Pairs()
        >>> for _ in range(3):
        ...     pairs.add("a", 0.0, seconds=6)
        >>> [pairs.is_full("a", now, seconds=6, burst=45) for now in (5.9, 6, 17.9, 18)]
        [False, True, True, False]
        """
        opened, taken = self._windows.get(pair, (now, 0))
        since = now - opened
        if since < seconds:
            return taken >= burst
        return since < seconds * taken

    def add(self, pair: Hashable, now: float, *, seconds: float) -> None:
        """Count a message that was taken."""
        window = self._windows.get(pair)
        if window is None or now - window[0] >= seconds:
            self._windows[pair] = (now, 1)
            self._prune(now, seconds)
        else:
            self._windows[pair] = (window[0], window[1] + 1)

    def _prune(self, now: float, seconds: float) -> None:
        """Forget who owes nothing, whenever twice as many are remembered as the last time."""
        if len(self._windows) <= self._prune_above:
            return
        self._windows = {
            pair: (opened, taken)
            for pair, (opened, taken) in self._windows.items()
            if now - opened < seconds * taken
        }
        self._prune_above = max(_PRUNED_ABOVE, 2 * len(self._windows))
