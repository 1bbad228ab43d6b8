"""What time does to messages: expiry, and unknown outcomes that stay unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from alir.clock import Clock
from alir.dispatch.ports import Outbox
from alir.errors import StoreUnavailable, TooLate
from alir.ids import MessageId
from alir.messages import life
from alir.messages.life import Change, Settlement
from alir.messages.model import Message, Outcome
from alir.observe import get_logger

#: How often time is looked at.
PERIOD_SECONDS = 1.0
_LARGEST_ROUND = 500
#: Between two looks; after a longer one callbacks may not have arrived meanwhile.
LONGEST_GAP_SECONDS = 10.0

_log = get_logger("dispatch")


class Housekeeper:
    """Looks at the messages that time changes.

    Attributes:
        listening_since: evidence is waited for only while callbacks can arrive, so that no wait
            counts from before this: the start, a sleep of the machine, a store that was down.
    """

    def __init__(self, outbox: Outbox, clock: Clock, *, unknown_after: timedelta) -> None:
        self._outbox = outbox
        self._clock = clock
        self._unknown_after = unknown_after
        self.listening_since = clock.now()
        self._looked_at: tuple[datetime, float] | None = None

    async def take_over(self) -> int:
        """Call unknown whatever a process that is gone had begun; how many that were."""
        left = await self._outbox.left_begun()
        # All at once, here and below: what is asked for together shares a commit.
        await asyncio.gather(*(self._outbox.change(id_, self._orphaned(n)) for id_, n in left))
        if left:
            _log.warning("attempts_left_begun", count=len(left))
        return len(left)

    async def run(self) -> None:
        """Look every `PERIOD_SECONDS`, for ever."""
        self.listening_since = self._clock.now()
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                self._looked_at = None  # callbacks were answered 503 as well
                _log.warning("housekeeping_failed", reason=str(error))
            except Exception as fault:
                # A fault of alir's own, for once: it must not end the looking after all others.
                _log.error("housekeeping_broke", exc_info=fault)
            await self._clock.sleep(PERIOD_SECONDS)

    async def look(self) -> None:
        """Expire what has expired, and send once more what may be and stayed unknown."""
        self._notice_gaps()
        expired = await self._outbox.expired(limit=_LARGEST_ROUND)
        await asyncio.gather(*(self._try(message_id, self._expired) for message_id in expired))
        unknown = await self._outbox.unknown_to_retry(limit=_LARGEST_ROUND)
        waited = [message for message in unknown if self._waited_long_enough(message)]
        await asyncio.gather(*(self._try(message, self._once_more) for message in waited))

    async def _try(
        self, message: Message | MessageId, decide: Callable[[Message], Change | None]
    ) -> None:
        try:
            await self._outbox.change(message, decide)
        except TooLate as error:
            # Something else moved it between the look and the write, which is as well.
            _log.info("moved_meanwhile", message=error.message_id, status=error.status)

    def _expired(self, message: Message) -> Change | None:
        return life.expire(message, now=self._clock.now())

    def _once_more(self, message: Message) -> Change | None:
        now = self._clock.now()
        may = life.may_retry_by_itself(message, now=now)
        if not (may and self._waited_long_enough(message)):
            return None
        _log.info("resending_unknown", message=message.id)
        return life.retry(message, now=self._clock.now())

    def _notice_gaps(self) -> None:
        """Begin to wait for evidence anew where nobody can have listened, or a clock was set."""
        now, elapsed = self._clock.now(), self._clock.elapsed()
        if self._looked_at is None:
            self.listening_since = now
        else:
            wall, boot = self._looked_at
            passed = (now - wall).total_seconds()
            longest = LONGEST_GAP_SECONDS
            if elapsed - boot > longest or abs(passed - (elapsed - boot)) > longest:
                self.listening_since = now
        self._looked_at = (now, elapsed)

    def _waited_long_enough(self, message: Message) -> bool:
        since = _unknown_since(message, self.listening_since)
        return self._clock.now() >= since + self._unknown_after

    def _orphaned(self, number: int) -> Callable[[Message], Change | None]:
        settlement = Settlement(
            outcome=Outcome.UNKNOWN,
            error=life.error("process_ended", "The process ended before the provider's answer"),
        )
        return lambda message: life.settle(message, number, settlement, now=self._clock.now())


def _unknown_since(message: Message, listening_since: datetime) -> datetime:
    settled = [attempt.settled_at for attempt in message.attempts if attempt.settled_at]
    return max([listening_since, *settled])
