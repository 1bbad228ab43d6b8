"""Whether WhatsApp takes a message: magic numbers, limits, and the 24-hour window."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from alir.simulator.behaviour import Behaviour, Comes
from alir.simulator.codes import error_codes, route_mobile_codes
from alir.simulator.limits import Pairs, Throughput
from alir.simulator.magic import TAKES, WINDOW_SHUT, Destiny, Fate, destiny
from alir.simulator.phones import CLOUD, ROUTE_MOBILE

THROUGHPUT_REACHED = 130429
PAIR_RATE_REACHED = 131056
#: Source: Meta, "Send messages", customer service windows, 2025-12.
WINDOW_SECONDS = 24 * 60 * 60.0
_CODES = {CLOUD: error_codes, ROUTE_MOBILE: route_mobile_codes}


class Line(NamedTuple):
    """A sender and a person: what limits and the window are counted by."""

    provider: str
    sender: str
    phone: str


class Gate:
    """Remembers what it let through and who wrote; moments are the clock's `elapsed`."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: nobody owes anything, and nobody has written."""
        self._throughput: defaultdict[tuple[str, str], Throughput] = defaultdict(Throughput)
        self._pairs = Pairs()
        self._wrote: dict[Line, float] = {}

    def wrote(self, line: Line, now: float, behaviour: Behaviour) -> None:
        """The person wrote to the sender, which opens the window and counts as a message."""
        self._wrote[line] = now
        if behaviour.limits.messages_per_second is not None:
            self._throughput[line.provider, line.sender].add(now)

    def pass_on(self, line: Line, kind: str, now: float, behaviour: Behaviour) -> Destiny:
        """What becomes of a message, which counts if it is taken."""
        its = destiny(line.phone, kind, behaviour, _CODES[line.provider]())
        if its.fate not in TAKES:
            return its
        code = self._limit_reached(line, now, behaviour)
        if code is not None:
            return _error(code, behaviour)
        if its.fate is Fate.TAKEN and kind != "template" and self._is_shut(line, now, behaviour):
            its = _error(WINDOW_SHUT, behaviour)
        if its.fate in TAKES:
            self._count(line, now, behaviour)
        return its

    def _limit_reached(self, line: Line, now: float, behaviour: Behaviour) -> int | None:
        limits = behaviour.limits
        if limits.messages_per_second is not None and self._throughput[
            line.provider, line.sender
        ].is_full(now, most=limits.messages_per_second):
            return THROUGHPUT_REACHED
        if limits.pair_seconds is not None and self._pairs.is_full(
            line, now, seconds=limits.pair_seconds, burst=limits.pair_burst
        ):
            return PAIR_RATE_REACHED
        return None

    def _count(self, line: Line, now: float, behaviour: Behaviour) -> None:
        if behaviour.limits.messages_per_second is not None:
            self._throughput[line.provider, line.sender].add(now)
        if behaviour.limits.pair_seconds is not None:
            self._pairs.add(line, now, seconds=behaviour.limits.pair_seconds)

    def _is_shut(self, line: Line, now: float, behaviour: Behaviour) -> bool:
        if not behaviour.window:
            return False
        wrote = self._wrote.get(line)
        return wrote is None or now - wrote >= WINDOW_SECONDS


def _error(code: int, behaviour: Behaviour) -> Destiny:
    error = error_codes()[code]
    late = behaviour.comes(error) is Comes.BY_RECEIPT
    return Destiny(Fate.FAILS_LATER if late else Fate.REFUSED, error)
