"""The right to send for one sender, and whose each sender is: pure decisions.

A sender belongs to one dispatcher at a time. Its lease says until when, and its fencing number
counts the changes of hands: what is begun under an old number is not begun at all.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from alir.ids import Fence, SenderName

#: Processes by their names, and the senders that each can dispatch for.
Alive = Mapping[str, Collection[SenderName]]


class Lease:
    """One sender's, as its process knows it, on the clock that never jumps.

    Attributes:
        fence: what a begin names; none where the database has one process only.
    """

    __slots__ = ("_good_from", "_good_until", "fence")

    def __init__(self) -> None:
        self.fence: Fence | None = None
        self._good_from = math.inf
        self._good_until = -math.inf

    def take(self, fence: Fence | None, *, good_from: float, good_until: float) -> None:
        """It is this process's, for the time given, in seconds."""
        self.fence, self._good_from, self._good_until = fence, good_from, good_until

    def keep(self) -> None:
        """It is this process's for good, as nobody else uses the database."""
        self.take(None, good_from=-math.inf, good_until=math.inf)

    def prolong(self, good_until: float) -> None:
        """It lasts until then."""
        self._good_until = good_until

    def end(self) -> None:
        """It is not this process's any more."""
        self.take(None, good_from=math.inf, good_until=-math.inf)

    @property
    def is_held(self) -> bool:
        """Whether it is this process's, though it may have yet to begin, or be over by now."""
        return self._good_until > -math.inf

    @property
    def good_from(self) -> float:
        """When it begins to be good; infinite: it is not this process's."""
        return self._good_from

    def is_good(self, now: float) -> bool:
        """Whether anything may be sent."""
        return self._good_from <= now < self._good_until


class LeaseRow(NamedTuple):
    """A lease as the database has it.

    Attributes:
        until: by the database's clock, in milliseconds; of one that was released, when it was.
        holder: the name of a process; none: it was released.
    """

    fence: int
    until: int
    holder: str | None


class Part(NamedTuple):
    """What a process does.

    Attributes:
        senders: that it can dispatch for.
        takes_callbacks: whether providers can call it back.
        applies_callbacks: whether it applies what any process took.
    """

    senders: tuple[SenderName, ...]
    takes_callbacks: bool
    applies_callbacks: bool


class View(NamedTuple):
    """What the database says at one moment.

    Attributes:
        now: by the database's clock, in milliseconds.
        alive: the processes that told of themselves a moment ago.
        callbacks_taken: whether one of them takes callbacks.
        callbacks_applied: whether one of them applies callbacks.
    """

    now: int
    alive: Alive
    leases: Mapping[SenderName, LeaseRow]
    callbacks_taken: bool
    callbacks_applied: bool


class Steps(NamedTuple):
    """What a process does about the senders: which it takes, and which it lets go of."""

    take: tuple[SenderName, ...]
    release: tuple[SenderName, ...]


def steps(view: View, me: str) -> Steps:
    """What the process `me` does next, so that each sender comes to be whose it should be.

    Who holds a sender that should be another's lets go of it; only then, or once the lease is
    over, that one takes it. All processes see the same database, and so decide alike.
    """
    whose = share_out(view.alive)
    take, release = [], []
    for sender, owner in whose.items():
        row = view.leases.get(sender)
        is_free = row is None or row.holder is None or row.until <= view.now
        if owner != me:
            if row is not None and row.holder == me:
                release.append(sender)
        elif is_free or (row is not None and row.holder == me):
            take.append(sender)
    return Steps(tuple(take), tuple(release))


def share_out(alive: Alive) -> Mapping[SenderName, str]:
    """Whose each sender should be: evenly, and with few changes where a process joins or leaves.

    >>> from collections import Counter
    >>> senders = [SenderName(name) for name in ("a", "b", "c", "d")]
    >>> sorted(Counter(share_out({"one": senders, "two": senders}).values()).values())
    [2, 2]
    """
    senders = sorted({sender for able in alive.values() for sender in able})
    able = [process for process, its_senders in alive.items() if its_senders]
    most = math.ceil(len(senders) / max(1, len(able)))
    whose: dict[SenderName, str] = {}
    load = dict.fromkeys(able, 0)
    for sender in senders:
        can = [process for process in able if sender in alive[process]]
        free = [process for process in can if load[process] < most]
        owner = max(
            free or [min(can, key=lambda process: (load[process], process))],
            key=lambda process: _drawn(process, sender),
        )
        whose[sender] = owner
        load[owner] += 1
    return whose


@lru_cache(maxsize=1_000)
def _drawn(process: str, sender: SenderName) -> bytes:
    """The highest one of a sender gets it, so that what others do changes little."""
    return sha256(f"{process}\0{sender}".encode()).digest()
