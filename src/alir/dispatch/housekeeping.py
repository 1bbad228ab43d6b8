"""What time does to messages: expiry, attempts nobody answers, and unknown ones that stay so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from alir.clock import Clock
from alir.dispatch.lease import Lease
from alir.dispatch.ports import Evidence, Outbox
from alir.dispatch.undecided import Undecided
from alir.errors import NotFound, StoreUnavailable, TooLate
from alir.ids import Fence, MessageId, SenderName
from alir.messages import life
from alir.messages.life import Change, Settlement
from alir.messages.model import Decision, Message, Outcome, Status
from alir.observe import get_logger

#: How often time is looked at.
PERIOD_SECONDS = 1.0
_LARGEST_ROUND = 500
#: Between two looks; after a longer one callbacks may not have arrived meanwhile.
LONGEST_GAP_SECONDS = 10.0
#: A callback is applied within milliseconds of being kept. Of one that was kept longer ago nobody
#: can say how soon it will be; and the clocks of two machines may differ a little.
APPLIED_WITHIN: Final = timedelta(seconds=3)

_PROCESS_ENDED: Final = life.error(
    "process_ended", "The process ended before the provider's answer"
)
_OVERDUE: Final = life.error("overdue", "Nothing was heard of the call, longer than it may take")

_log = get_logger("dispatch")


class Housekeeper:
    """Looks at the messages that time changes.

    Args:
        attempt_time: after this nothing is on its way any more of an attempt that was begun.
        unknown_after: how long evidence is waited for.
        decided: told of each unknown message that is held.
        leases: of all senders; what is of one whose lease another process holds is left to that.
        evidence: what other processes have kept; none: there are none, and this one tells of all
            that it has kept and could not apply.
    """

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        *,
        attempt_time: timedelta,
        unknown_after: timedelta,
        decided: Callable[[Message, Decision], None],
        leases: Mapping[SenderName, Lease],
        evidence: Evidence | None = None,
    ) -> None:
        self._outbox = outbox
        self._evidence = evidence
        self._leases = leases
        self._clock = clock
        self._attempt_time = attempt_time
        self._decided = decided
        self._undecided = Undecided(clock, unknown_after, self._is_ours)
        #: To be told of every message that changes; the very method, as this is on the hot path.
        self.changed = self._undecided.changed
        # Senders that were taken over: what was left unknown of them is yet to be found.
        self._unfound: set[SenderName] = set()
        # Whether callbacks lay unapplied at the last look for them.
        self._is_behind = False
        # On the clock that never jumps: since when time was looked at without a gap.
        self._steady_since = clock.elapsed()
        self._looked_at: tuple[datetime, float] | None = None

    async def take_over(self, sender: SenderName, *, was_left: bool) -> int:
        """Call unknown whatever a process that is gone had begun of this; how many that were.

        What was left unknown is found at the first look once the lease is held, so that nothing has
        to wait for that.

        Args:
            was_left: whether that process is gone without a word; else its calls may yet end.
        """
        self._unfound.add(sender)
        if not was_left:
            return 0
        left = await self._outbox.left_begun(of=sender)
        await self._call_unknown(left, _PROCESS_ENDED)
        if left:
            _log.warning("attempts_left_begun", sender=sender, count=len(left))
        return len(left)

    def evidence_missed(self) -> None:
        """A callback could not come, be kept, or be applied: evidence is waited for anew."""
        self._undecided.wait_anew()

    def lost(self, sender: SenderName) -> None:
        """The lease of a sender is another process's, which finds by itself what is unknown."""
        self._unfound.discard(sender)
        self._undecided.lost(sender)

    async def run(self) -> None:
        """Look every `PERIOD_SECONDS`, for ever."""
        self._undecided.wait_anew()
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
        """Expire what has expired, call unknown what is overdue, decide what stays unknown."""
        self._notice_gaps()
        # Taken once, so that what is decided below is under the leases that it was found under.
        fences = {name: lease.fence for name, lease in self._leases.items() if lease.is_held}
        others = [sender for sender in self._leases if sender not in fences]
        await self._find_unknown()
        expired = await self._outbox.expired(limit=_LARGEST_ROUND, but=others)
        await asyncio.gather(*(self._try(message_id, self._expired) for message_id in expired))
        await self._look_at_overdue(others)
        await self._decide(fences)

    async def _decide(self, fences: Mapping[SenderName, Fence | None]) -> None:
        """Decide what stays unknown, of the senders whose leases these are."""
        may = await self._outbox.unknown_to_retry(of=fences, limit=_LARGEST_ROUND)
        if len(may) < _LARGEST_ROUND:
            self._undecided.may_go_again(may)
        waited = [message for message in may if self._undecided.waited_enough(message)]
        holds = [m for m in self._undecided.to_hold() if m.sender in fences]
        if (waited or holds or self._is_behind) and await self._may_be_known():
            self._undecided.wait_anew()
            return
        await asyncio.gather(
            *(self._try(m, self._once_more, fence=fences[m.sender]) for m in waited)
        )
        await asyncio.gather(*(self._hold(m, fences[m.sender]) for m in holds))

    async def _may_be_known(self) -> bool:
        """Whether evidence may have come that nobody has applied yet."""
        if self._evidence is None:
            return False
        was_behind = self._is_behind
        self._is_behind = await self._evidence.any_unapplied(longer_than=APPLIED_WITHIN)
        if self._is_behind and not was_behind:
            _log.warning("callbacks_unapplied")
        return self._is_behind

    def _is_ours(self, sender: SenderName) -> bool:
        lease = self._leases.get(sender)  # none of one that is gone from the settings
        return lease is not None and (lease.is_held or sender in self._unfound)

    async def _find_unknown(self) -> None:
        """Decide also upon what an earlier process left unknown, as if it had become so now.

        Nobody can say whether that process lived long enough to. Of more than a round, the newest.
        """
        taken = {sender for sender in self._unfound if self._leases[sender].is_held}
        if not taken:
            return
        for message in await self._outbox.left_unknown(of=taken, limit=_LARGEST_ROUND):
            self._undecided.found(message)
        self._unfound -= taken

    async def _look_at_overdue(self, others: Sequence[SenderName]) -> None:
        """Call unknown what was begun so long ago that nothing of it can be on its way.

        A living process settles what it began; only a fault of alir's own leaves it begun.
        """
        if self._clock.elapsed() < self._steady_since + self._attempt_time.total_seconds():
            return  # by a clock that was just set everything may look overdue
        before = self._clock.now() - self._attempt_time
        overdue = await self._outbox.left_begun(before=before, but=others)
        for message_id, number in overdue:
            _log.warning("attempt_overdue", message=message_id, attempt=number)
        await self._call_unknown(overdue, _OVERDUE)

    async def _call_unknown(
        self, attempts: Sequence[tuple[MessageId, int]], error: Mapping[str, Any]
    ) -> None:
        settlement = Settlement(outcome=Outcome.UNKNOWN, error=error)

        def unknown(number: int) -> Callable[[Message], Change | None]:
            return lambda message: life.settle(message, number, settlement, now=self._clock.now())

        # All at once, here and elsewhere: what is asked for together shares a commit.
        await asyncio.gather(*(self._try(id_, unknown(number)) for id_, number in attempts))

    async def _try(
        self,
        message: Message | MessageId,
        decide: Callable[[Message], Change | None],
        *,
        fence: Fence | None = None,
    ) -> None:
        try:
            await self._outbox.change(message, decide, fence=fence)
        except TooLate as error:
            # Something else moved it between the look and the write, which is as well.
            _log.info("moved_meanwhile", message=error.message_id, status=error.status)
        except NotFound:
            pass  # purged since, because its recipient asked to be forgotten

    async def _hold(self, message: Message, fence: Fence | None) -> None:
        """Tell that it is held, unless another process has changed it or decides by now."""
        with suppress(NotFound):  # purged since
            stands = await self._outbox.get(message.id)
            lease = self._leases[message.sender]
            is_ours = lease.is_held and lease.fence == fence
            if is_ours and stands.status is Status.UNKNOWN:
                self._decided(stands, Decision.HELD)
        self._undecided.decided(message)

    def _expired(self, message: Message) -> Change | None:
        return life.expire(message, now=self._clock.now())

    def _once_more(self, message: Message) -> Change | None:
        now = self._clock.now()
        may = life.may_retry_by_itself(message, now=now)
        if not (may and self._undecided.waited_enough(message)):
            return None
        return life.retry(message, now=now)

    def _notice_gaps(self) -> None:
        """Begin to wait anew where nobody can have listened, or a clock was set."""
        now, elapsed = self._clock.now(), self._clock.elapsed()
        is_gap = True
        if self._looked_at is not None:
            wall, boot = self._looked_at
            passed = (now - wall).total_seconds()
            is_gap = max(elapsed - boot, abs(passed - (elapsed - boot))) > LONGEST_GAP_SECONDS
        if is_gap:
            self._steady_since = elapsed
            self._undecided.wait_anew()
        self._looked_at = (now, elapsed)
