"""One sender's messages on their way to its provider.

Before a byte leaves, the attempt is on disk as begun; only what `begin` returned is sent, and only
while that is fresh. Whatever the provider says, or does not say, is on disk before anybody hears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from alir.clock import Clock
from alir.dispatch.attempt import BusyPolicy, never_handed_over, settlement_of
from alir.dispatch.pacing import Pace
from alir.dispatch.ports import Begun, Outbox, Provider
from alir.errors import NotFound, SendFailure, StoreUnavailable
from alir.ids import SenderName
from alir.messages import life
from alir.messages.life import Settlement
from alir.messages.model import Message, Outcome
from alir.observe import get_logger

#: Bounds one transaction; more is begun in the next round.
LARGEST_BEGIN = 100
#: Pause after the store could not be written.
STORE_PAUSE_SECONDS = 0.5
#: Due times are moments of the wall clock, which may jump, and runs on while the machine sleeps.
LONGEST_SLEEP_SECONDS = 10.0

_log = get_logger("dispatch")


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchPolicy:
    """How a sender's messages are handed over.

    Attributes:
        begun_valid: how long after it was begun an attempt may still be sent.
        max_calls: how many calls may be under way at once.
    """

    busy: BusyPolicy = field(default_factory=BusyPolicy)
    begun_valid: timedelta = timedelta(seconds=5)
    max_calls: int = 500


class Measure(Protocol):
    """Told of every call."""

    def settled(self, sender: SenderName, outcome: Outcome, seconds: float) -> None: ...


class Dispatcher:
    """Hands one sender's messages to its provider."""

    def __init__(
        self,
        sender: SenderName,
        *,
        provider: Provider,
        outbox: Outbox,
        pace: Pace,
        policy: DispatchPolicy,
        clock: Clock,
        random: Callable[[], float],
        measure: Measure,
    ) -> None:
        self.sender = sender
        self.pace = pace
        self._provider = provider
        self._outbox = outbox
        self._policy = policy
        self._clock = clock
        self._random = random
        self._measure = measure
        self._woken = asyncio.Event()
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._calls: set[asyncio.Task[None]] = set()
        self._admitted = 0
        # Places kept for what a begin under way may return.
        self._reserved = 0
        # Messages that came into the queue since the last begin was asked for.
        self._heard = 0
        # Whether the last begin took, or the one under way will take, all that was due.
        self._caught_up = False
        self._stopping = False

    def queued(self) -> None:
        """A message of this sender came into the queue."""
        self._heard += 1
        self._woken.set()

    def admit(self) -> float | None:
        """Take a place for a message that is about to be stored as begun; None: it has to queue.

        Only where nothing of this sender waits before it, and there is room now.

        Returns:
            The moment of the admission, on the clock that never jumps.
        """
        if self._something_waits or self._stopping or self._room() < 1:
            self._heard += 1  # what is stored after it must not overtake it
            return None
        self._admitted += 1
        return self._clock.elapsed()

    def hand_over(self, message: Message, admitted_at: float) -> None:
        """Send a message that was admitted and is on disk as begun."""
        self._leave()
        self.pace.take(1, self._clock.elapsed())
        self._start(self._hand_over(message, admitted_at))

    def dismiss(self, message: Message, *, in_doubt: bool) -> None:
        """Give a place back: the message was not stored, or (`in_doubt`) nobody can say."""
        self._leave()
        if in_doubt:
            self._give_back(message, 1, "Its storing was in doubt")

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
                wait = self._wait_for_room()
                if wait is None:
                    wait = self._wait_for_more(await self._begin())
                await self._sleep(wait)
        finally:
            self._at_rest.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self._woken.set()

    async def finish(self, grace: timedelta) -> None:
        """Let the calls under way end for `grace`; what is left stays begun."""
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self._at_rest.wait()  # what is just being begun has yet to be given back
                while self._calls:
                    await asyncio.wait(self._calls)
        except TimeoutError:
            _log.warning("calls_left_begun", sender=self.sender, calls=len(self._calls))
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    @property
    def _something_waits(self) -> bool:
        return self._heard > 0 or not self._caught_up

    def _leave(self) -> None:
        """Give up the place of a message that was admitted."""
        self._admitted -= 1
        if self._something_waits:
            self._woken.set()

    def _room(self, now: float | None = None) -> int:
        """How many attempts may begin now."""
        free = self._policy.max_calls - self.calls
        slots = self.pace.slots(self._clock.elapsed() if now is None else now)
        # Who was admitted uses a slot once the call is made, however long the storing takes.
        return (free if slots is None else min(free, slots - self._admitted)) - self._reserved

    def _wait_for_room(self) -> float | None:
        """Seconds until there may be room; None: there is."""
        now = self._clock.elapsed()  # once: the next slot may come between two looks at the clock
        if self._room(now) > 0:
            return None
        wait = self.pace.wait(now)
        if self.calls >= self._policy.max_calls or not wait:
            return float("inf")  # the end of a call, or of an admission, wakes
        return wait

    async def _begin(self) -> Begun | None:
        limit = min(self._room(), LARGEST_BEGIN)
        self._caught_up = self._caught_up and self._heard <= limit
        self._heard, self._reserved = 0, limit
        at = self._clock.elapsed()
        try:
            begun = await self._outbox.begin(self.sender, limit=limit)
        except StoreUnavailable as error:
            _log.warning("begin_failed", sender=self.sender, reason=str(error))
            self._caught_up = False
            return None
        finally:
            self._reserved = 0
        if begun.in_doubt:
            for message in begun.messages:
                self._give_back(message, len(message.attempts), "Its beginning was in doubt")
            self._caught_up = False
            return None
        self._caught_up = not begun.more
        self.pace.take(len(begun.messages), self._clock.elapsed())
        for message in begun.messages:
            self._start(self._hand_over(message, at))
        return begun

    def _give_back(self, message: Message, number: int, title: str) -> None:
        """Settle an attempt that was never handed over, if it is there at all."""
        never = never_handed_over(title, now=self._clock.now())
        self._start(self._record(message, never, number))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        # Named, for asyncio would otherwise print a number into a name for every message.
        call = asyncio.create_task(work, name="hand-over")
        self._calls.add(call)
        call.add_done_callback(self._ended)

    def _wait_for_more(self, begun: Begun | None) -> float:
        if begun is None:
            return STORE_PAUSE_SECONDS
        if begun.more:
            return 0.0
        if begun.next_due is None:
            return float("inf")  # a new message wakes
        seconds = (begun.next_due - self._clock.now()).total_seconds()
        return min(max(0.0, seconds), LONGEST_SLEEP_SECONDS)

    async def _sleep(self, seconds: float) -> None:
        """Until woken, or for so long."""
        if seconds <= 0 or self._woken.is_set():
            return
        try:
            async with asyncio.timeout(None if seconds == float("inf") else seconds):
                await self._woken.wait()
        except TimeoutError:
            pass

    def _ended(self, call: asyncio.Task[None]) -> None:
        full = self.calls >= self._policy.max_calls
        self._calls.discard(call)
        if full:
            self._woken.set()
        if not call.cancelled() and (error := call.exception()) is not None:
            _log.error("hand_over_broke", sender=self.sender, exc_info=error)

    async def _hand_over(self, message: Message, begun_at: float) -> None:
        number = len(message.attempts)
        started = self._clock.elapsed()
        if self._stopping or started - begun_at > self._policy.begun_valid.total_seconds():
            title = "Stopping" if self._stopping else "Begun too long ago"
            settlement = never_handed_over(title, now=self._clock.now())
        else:
            settlement = await self._call(message, number)
        self._measure.settled(self.sender, settlement.outcome, self._clock.elapsed() - started)
        await self._record(message, settlement, number)

    async def _call(self, message: Message, number: int) -> Settlement:
        try:
            sent = await self._provider.send(message, number)
        except SendFailure as failure:
            return settlement_of(
                failure,
                message,
                policy=self._policy.busy,
                now=self._clock.now(),
                jitter=self._random(),
            )
        except Exception as fault:
            # A fault of alir's own: how far the call came is not known, and an attempt left
            # begun would look as if it were still under way.
            _log.error("call_broke", sender=self.sender, message=message.id, exc_info=fault)
            error = life.error("internal_error", "The call broke off inside alir")
            return Settlement(outcome=Outcome.UNKNOWN, error=error)
        return Settlement(outcome=Outcome.ACCEPTED, provider_id=sent.provider_id, wa_id=sent.wa_id)

    async def _record(self, message: Message, settlement: Settlement, number: int) -> None:
        """Put it on disk, however long that takes: the answer is known here only."""
        while True:
            try:
                await self._outbox.settle(message, settlement, number=number)
            except NotFound:
                break  # its storing was in doubt, and it was not stored
            except StoreUnavailable as error:
                _log.warning("settle_failed", message=message.id, reason=str(error))
                await self._clock.sleep(STORE_PAUSE_SECONDS)
            else:
                break
        if settlement.outcome is Outcome.BUSY:
            self._woken.set()  # to learn when it is due again


class Dispatchers:
    """Every sender's dispatcher; of a sender without one, messages wait."""

    def __init__(self, by_sender: Mapping[SenderName, Dispatcher]) -> None:
        self._by_sender = by_sender

    def admit(self, sender: SenderName) -> float | None:
        """See `Dispatcher.admit`."""
        dispatcher = self._by_sender.get(sender)
        return None if dispatcher is None else dispatcher.admit()

    def hand_over(self, message: Message, admitted_at: float) -> None:
        """See `Dispatcher.hand_over`."""
        self._by_sender[message.sender].hand_over(message, admitted_at)

    def dismiss(self, message: Message, *, in_doubt: bool) -> None:
        """See `Dispatcher.dismiss`."""
        self._by_sender[message.sender].dismiss(message, in_doubt=in_doubt)
