"""One sender's messages on their way to its provider.

Before a byte leaves, the attempt is on disk as begun; only what `begin` returned is sent, and only
while that is fresh. Whatever the provider says, or does not say, is on disk before anybody hears.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from datetime import timedelta

from alir.clock import Clock
from alir.dispatch.calls import STORE_PAUSE_SECONDS, Calls, DispatchPolicy
from alir.dispatch.gate import Gate, Turn
from alir.dispatch.lease import Lease
from alir.dispatch.pacing import Pace
from alir.dispatch.pauses import Pauses
from alir.dispatch.ports import NOWHERE, Begun, Measure, Outbox, Place, Provider, Served
from alir.dispatch.slots import NOBODY
from alir.dispatch.turns import Turns
from alir.errors import LeaseLost, StoreUnavailable
from alir.ids import SenderName
from alir.messages.model import Message
from alir.observe import get_logger

#: Bounds one transaction; more is begun in the next round.
LARGEST_BEGIN = 100
#: Due times are moments of the wall clock, which may jump, and runs on while the machine sleeps;
#: and of a message whose storing was in doubt nobody is told.
LONGEST_SLEEP_SECONDS = 10.0
#: How often it is looked at who waits for a recipient or a Flow without anybody knowing.
REFRESH_SECONDS = 60.0
#: And after another process paused something: what it refused for that waits there. So long after,
#: as that is written a moment later, and not for each of many pauses.
REFRESH_AFTER_SECONDS = 1.0

_log = get_logger("dispatch")


class Dispatcher:
    """Hands one sender's messages to its provider, while the lease of the sender is good.

    Args:
        longest_sleep: in seconds; nothing is overlooked for longer of which nobody was told.
    """

    def __init__(
        self,
        sender: SenderName,
        *,
        provider: Provider,
        outbox: Outbox,
        pace: Pace,
        gate: Gate,
        pauses: Pauses,
        policy: DispatchPolicy,
        clock: Clock,
        random: Callable[[], float],
        measure: Measure,
        lease: Lease,
        longest_sleep: float = LONGEST_SLEEP_SECONDS,
    ) -> None:
        self.sender = sender
        self.pace = pace
        self._lease = lease
        self._longest_sleep = longest_sleep
        self._gate = gate
        self._turns = Turns(gate, clock)
        self._pauses = pauses
        self._outbox = outbox
        self._policy = policy
        self._clock = clock
        self._woken = asyncio.Event()
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._beginning = asyncio.Lock()
        self._calls = Calls(
            sender,
            provider=provider,
            outbox=outbox,
            gate=gate,
            pauses=pauses,
            policy=policy,
            clock=clock,
            random=random,
            measure=measure,
            wake=self._woken.set,
            use_a_slot=self._use_a_slot,
            is_full=lambda: self.calls >= policy.max_calls,
            lease=lease,
        )
        self._admitted = 0
        # Places kept for what a begin under way may return.
        self._reserved = 0
        # Messages that came into the queue since the last begin was asked for.
        self._heard = 0
        # Whether the last begin took, or the one under way will take, all that was due.
        self._caught_up = False
        # So that the classes have their shares over any number of begins.
        self._stood_back = NOBODY
        self._stopping = False
        self._sleeps_until = math.inf
        self._refresh_at = clock.elapsed() + REFRESH_SECONDS

    def queued(self, message: Message) -> None:
        """A message came into the queue, or back into it, of a sender that is this process's.

        Of one that is not, its owner hears, and whoever takes it learns of all that waits.
        """
        if message.parked is not None:
            self._gate.park(message.parked)
            if self._gate.next_turn < self._sleeps_until:
                self._woken.set()
            return
        ahead = 0.0
        if message.due_at > message.created_at:  # else it is due for sure
            ahead = (message.due_at - self._clock.now()).total_seconds()
        if ahead <= 0:
            self._heard += 1
            self._woken.set()
        elif self._clock.elapsed() + ahead < self._sleeps_until:
            self._woken.set()

    def queued_elsewhere(self) -> None:
        """Another process put a message of this sender into the queue, or may have."""
        if self._lease.is_held:
            self._heard += 1
            self._woken.set()

    def paused_elsewhere(self) -> None:
        """Another process changed a pause: a message may wait for it of which nobody knows here."""
        soon = self._clock.elapsed() + REFRESH_AFTER_SECONDS
        self._refresh_at = min(self._refresh_at, soon)

    def wake(self) -> None:
        """Something else changed that may let messages go."""
        self._woken.set()

    def heard_from(self, times: int = 1) -> None:
        """People wrote to this sender, which the provider counts as it counts messages."""
        self.pace.take(times, self._clock.elapsed())

    def admit(self, message: Message) -> Place:
        """Take a place for a message that is about to be stored.

        It may be begun with that write only where nothing of this sender waits before it, and
        there is room now. What has to wait for its recipient is told so at once, and holds up
        nobody.
        """
        if not self._lease.is_held:
            return NOWHERE  # whoever holds it is to learn of it all anew
        parked = self._turns.must_wait(message)
        if parked is not None:
            return Place(parked=parked)
        if self._something_waits or self._stopping or not self._gate.is_open or self._room() < 1:
            self._heard += 1  # what is stored after it must not overtake it
            return NOWHERE
        self._admitted += 1
        return Place(admitted_at=self._turns.take(message), fence=self._lease.fence)

    def line_up(self, message: Message) -> str | None:
        """A message is about to be stored that waits for its turn; where, if it is parked."""
        if not self._lease.is_held:
            return None
        parked = self._turns.must_wait(message)
        if parked is None:
            self._heard += 1  # what is stored after it must not overtake it
        return parked

    def hand_over(self, message: Message, admitted_at: float) -> None:
        """Send a message that was admitted and is on disk as begun."""
        self._leave()
        self.pace.take(1, self._clock.elapsed())
        if self._gate.anything_shut:
            self._pauses.begun(message)
        self._calls.hand_over(message, admitted_at)

    def dismiss(self, message: Message, admitted_at: float, *, in_doubt: bool) -> None:
        """Give a place back: the message was not stored, or (`in_doubt`) nobody can say."""
        self._leave()
        if in_doubt:
            self._calls.give_back(message, "Its storing was in doubt")
        else:
            self._turns.give_back(message, admitted_at)

    @property
    def calls(self) -> int:
        """How many calls are under way, or about to be."""
        return len(self._calls) + self._admitted

    async def run(self) -> None:
        """Begin and hand over what is due, until `stop`."""
        self._at_rest.clear()
        try:
            while not self._stopping:
                self._woken.clear()
                await self._refresh()
                wait = self._wait_for_room()
                if wait is None:
                    wait = self._wait_for_more(await self._begin())
                await self._sleep(wait)
        finally:
            self._at_rest.set()

    async def take_over(self) -> None:
        """Remember what an earlier process sent to whom, and whom it told to wait."""
        await self._turns.take_over(self.sender, self._outbox)
        self._heard, self._caught_up, self._stood_back = 0, False, NOBODY

    async def at_rest(self) -> None:
        """Return once nothing is being begun: after the lease ended, nothing will be."""
        async with self._beginning:
            pass

    def expected_wait(self, message: Message) -> timedelta:
        """How long a message that was just stored waits for its turn, about."""
        now = self._clock.elapsed()
        if not self._gate.is_open:
            return timedelta.max
        if message.parked is None:
            return timedelta()
        seconds = self._gate.expected(message.parked, now)
        return timedelta.max if math.isinf(seconds) else timedelta(seconds=seconds)

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self._calls.stop()
        self._woken.set()

    async def finish(self, grace: timedelta) -> None:
        """Let the calls under way end for `grace`; what is left stays begun."""
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self._at_rest.wait()  # what is just being begun has yet to be given back
                await self._calls.ended()
        except TimeoutError:
            _log.warning("calls_left_begun", sender=self.sender, calls=len(self._calls))
        await self._calls.cancel()

    async def _refresh(self) -> None:
        now = self._clock.elapsed()
        if now < self._refresh_at or not self._lease.is_held:
            return
        self._refresh_at = now + REFRESH_SECONDS
        try:
            await self._turns.refresh(self.sender, self._outbox)
        except StoreUnavailable as error:
            _log.warning("refresh_failed", sender=self.sender, reason=str(error))
        except Exception as fault:
            # A fault of alir's own must not end the sending of everything else.
            _log.error("refresh_broke", sender=self.sender, exc_info=fault)

    @property
    def _something_waits(self) -> bool:
        return self._heard > 0 or not self._caught_up

    def _use_a_slot(self) -> None:
        """A message leaves that waited for a log-in: its own slot may be over."""
        self.pace.take(1, self._clock.elapsed())

    def _leave(self) -> None:
        """Give up the place of a message that was admitted."""
        self._admitted -= 1
        if self._something_waits:
            self._woken.set()

    def _room(self, now: float | None = None) -> int:
        """How many attempts may begin now."""
        now = self._clock.elapsed() if now is None else now
        if not self._lease.is_good(now) or self._calls.is_getting_ready:
            return 0
        free = self._policy.max_calls - self.calls
        slots = self.pace.slots(now)
        # Who was admitted uses a slot once the call is made, however long the storing takes.
        room = (free if slots is None else min(free, slots - self._admitted)) - self._reserved
        let_through = self._gate.room(now)
        return room if let_through is None else min(room, let_through)

    def _wait_for_room(self) -> float | None:
        """Seconds until there may be room; None: there is."""
        now = self._clock.elapsed()  # once: the next slot may come between two looks at the clock
        if self._room(now) > 0:
            return None
        if not self._lease.is_good(now):
            self._caught_up = False
            # Whatever makes it good again wakes.
            return self._lease.good_from - now if self._lease.good_from > now else math.inf
        if not self._gate.is_open:
            if self._gate.probe is not None:
                return math.inf  # its end wakes, and so does whoever resumes it
            if self._gate.opens_at > now:
                return self._gate.opens_at - now
        wait = self.pace.wait(now)
        if self.calls >= self._policy.max_calls or self._calls.is_getting_ready or not wait:
            self._caught_up = False  # what is due by then is only looked for then
            return math.inf  # the end of a call, a log-in or an admission wakes
        return wait

    async def _begin(self) -> Begun | None:
        async with self._beginning:
            return await self._begin_some()

    async def _begin_some(self) -> Begun | None:
        limit = min(self._room(), LARGEST_BEGIN)
        self._caught_up = self._caught_up and self._heard <= limit
        self._heard, self._reserved = 0, limit
        at = self._clock.elapsed()
        is_probe = not self._gate.is_open
        turns = self._gate.turns(at, limit=limit)
        fence = self._lease.fence
        begun: Begun | None = None
        try:
            begun = await self._outbox.begin(
                self.sender,
                limit=limit,
                judge=self._turns.judge(),
                turns=turns,
                stood_back=self._stood_back,
                fence=fence,
            )
        except LeaseLost:
            _log.warning("lease_lost", sender=self.sender)
            if self._lease.fence == fence:  # else it was taken anew meanwhile
                self._lease.end()
            self._caught_up = False
            return None
        except StoreUnavailable as error:
            _log.warning("begin_failed", sender=self.sender, reason=str(error))
            self._caught_up = False
            return None
        except Exception as fault:
            # A fault of alir's own must not end the sending of everything else.
            _log.error("begin_broke", sender=self.sender, exc_info=fault)
            self._caught_up = False
            return None
        finally:
            self._reserved = 0
            self._end_turns(turns, begun)
        if begun.in_doubt:
            for message in begun.messages:
                self._calls.give_back(message, "Its beginning was in doubt")
            self._caught_up = False
            return None
        self._stood_back = begun.stood_back
        self._caught_up = not begun.more
        self.pace.take(len(begun.messages), self._clock.elapsed())
        if begun.messages and is_probe:
            self._gate.probe = begun.messages[0].id
        elif is_probe and self._gate.no_others():
            self._woken.set()
        for message in begun.messages:
            if self._gate.anything_shut:
                self._pauses.begun(message)
            self._calls.hand_over(message, at)
        return begun

    def _end_turns(self, turns: Sequence[Turn], begun: Begun | None) -> None:
        """Let each place that had its turn wait for the next one."""
        served = {} if begun is None else {one.place: one for one in begun.served}
        now = self._clock.elapsed()
        for turn in turns:
            one = served.get(turn.place, Served(turn.place, 0, is_empty=False))
            self._gate.served(turn, now, gone=one.gone, is_empty=one.is_empty)

    def _wait_for_more(self, begun: Begun | None) -> float:
        if begun is None:
            return STORE_PAUSE_SECONDS
        if begun.more:
            return 0.0
        wait = min(self._longest_sleep, self._gate.next_turn - self._clock.elapsed())
        if begun.next_due is not None:  # else a new message wakes
            wait = min(wait, (begun.next_due - self._clock.now()).total_seconds())
        return max(0.0, wait)

    async def _sleep(self, seconds: float) -> None:
        """Until woken, or for so long."""
        if seconds <= 0 or self._woken.is_set():
            return
        self._sleeps_until = self._clock.elapsed() + seconds
        timer = None
        if not math.isinf(seconds):  # it is half of what `asyncio.timeout` costs
            timer = asyncio.get_running_loop().call_later(seconds, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            if timer is not None:
                timer.cancel()
            self._sleeps_until = math.inf
