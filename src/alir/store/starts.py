"""From where on a long line is looked at. What left it is in PostgreSQL's index for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from alir.clock import Clock, to_milliseconds
from alir.ids import SenderName
from alir.messages.model import QueueClass

#: So many went one after the other without the line ever coming to its end: it is long.
LONG: Final = 1_000
#: Clocks differ, and writes take their time: so much before its head may be who came meanwhile.
SLACK: Final = timedelta(seconds=10)
#: How often a long line is looked at from its very start. Where a clock is set back, what comes
#: then stands before everybody else, and waits no longer than that.
WHOLE_SECONDS: Final = 10.0

_SLACK_MS: Final = round(SLACK.total_seconds() * 1000)
_FROM_ITS_START: Final[Mapping[QueueClass, int]] = dict.fromkeys(QueueClass, 0)


@dataclass(slots=True)
class _Long:
    """What is known of a line that has not come to its end for a while."""

    since: float
    gone: int = 0
    starts: Mapping[QueueClass, int] = field(default_factory=lambda: _FROM_ITS_START)


class Starts:
    """Where the lines of all senders start, as far as it is known.

    PostgreSQL keeps what left a line in its index until a vacuum: after 100,000 messages a look at
    the head walks past as many dead entries, each time, and for as long as a backup or another long
    transaction runs it even looks each of them up. So a long line is looked at from its head on.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._long: dict[SenderName, _Long] = {}

    def of(self, sender: SenderName) -> Mapping[QueueClass, int]:
        """Since when, in milliseconds, who may stand in each class can be due. 0: since ever."""
        line = self._long.get(sender)
        if line is None or line.gone < LONG:
            return _FROM_ITS_START
        now = self._clock.elapsed()
        if now >= line.since + WHOLE_SECONDS:
            line.since = now
            return _FROM_ITS_START
        return line.starts

    def looked(
        self,
        sender: SenderName,
        heads: Mapping[QueueClass, int],
        now: datetime,
        *,
        gone: int,
        more: bool,
    ) -> bool:
        """Note when the heads of its classes were due, and how many went; whether more may be due.

        So it is where the line came to an end that was not looked at from its start.

        Args:
            heads: in milliseconds; of a class of which nobody stands there, nothing.
            more: whether the line goes on.
        """
        line = self._long.get(sender)
        if more:
            if line is None:
                line = self._long[sender] = _Long(self._clock.elapsed())
            line.gone += gone
            at = to_milliseconds(now)
            line.starts = {of: max(0, min(heads.get(of, at), at) - _SLACK_MS) for of in QueueClass}
        elif line is not None:
            del self._long[sender]
        return more or (line is not None and line.gone >= LONG)
