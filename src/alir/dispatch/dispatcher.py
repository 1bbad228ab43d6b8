"""One sender's messages on their way to its provider.

Before a byte leaves, the attempt is on disk as begun; only what `begin` returned is sent, and only
while that is fresh. Whatever the provider says, or does not say, is on disk before anybody hears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from alir.clock import Clock
from alir.dispatch.attempt import BusyPolicy, never_handed_over, settlement_of
from alir.dispatch.pacing import Pace
from alir.dispatch.ports import Begun, Outbox, Provider
from alir.errors import SendFailure, StoreUnavailable
from alir.ids import SenderName
from alir.messages.life import Settlement
from alir.messages.model import Message, Outcome
from alir.observe import get_logger

#: Bounds one transaction; more is begun in the next round.
LARGEST_BEGIN = 100
#: Pause after the store could not be written.
STORE_PAUSE_SECONDS = 0.5

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
        self._calls: set[asyncio.Task[None]] = set()
        self._stopping = False

    def wake(self) -> None:
        """Something of this sender may be due."""
        self._woken.set()

    @property
    def calls(self) -> int:
        """How many calls are under way."""
        return len(self._calls)

    async def run(self) -> None:
        """Begin and hand over what is due, until `stop`."""
        while not self._stopping:
            self._woken.clear()
            wait = self._wait_for_room()
            if wait is None:
                begun = await self._begin()
                wait = self._wait_for_more(begun)
            await self._sleep(wait)

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self.wake()

    async def finish(self, grace: timedelta) -> None:
        """Let the calls under way end for `grace`; what is left stays begun."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=grace.total_seconds())
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _room(self) -> int:
        """How many attempts may begin now."""
        free = min(self._policy.max_calls - len(self._calls), LARGEST_BEGIN)
        slots = self.pace.slots(self._clock.elapsed())
        return free if slots is None else min(free, slots)

    def _wait_for_room(self) -> float | None:
        """Seconds until there may be room; None: there is."""
        if self._room() > 0:
            return None
        if len(self._calls) >= self._policy.max_calls:
            return float("inf")  # the end of a call wakes
        return self.pace.wait(self._clock.elapsed())

    async def _begin(self) -> Begun | None:
        try:
            begun = await self._outbox.begin(self.sender, limit=self._room())
        except StoreUnavailable as error:
            _log.warning("begin_failed", sender=self.sender, reason=str(error))
            return None
        at = self._clock.elapsed()
        self.pace.take(len(begun.messages), at)
        for message in begun.messages:
            call = asyncio.create_task(self._hand_over(message, at))
            self._calls.add(call)
            call.add_done_callback(self._ended)
        return begun

    def _wait_for_more(self, begun: Begun | None) -> float:
        if begun is None:
            return STORE_PAUSE_SECONDS
        if begun.more:
            return 0.0
        if begun.next_due is None:
            return float("inf")  # a new message wakes
        return max(0.0, (begun.next_due - self._clock.now()).total_seconds())

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
        full = len(self._calls) >= self._policy.max_calls
        self._calls.discard(call)
        if full:
            self.wake()
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
        return Settlement(outcome=Outcome.ACCEPTED, provider_id=sent.provider_id, wa_id=sent.wa_id)

    async def _record(self, message: Message, settlement: Settlement, number: int) -> None:
        """Put it on disk, however long that takes: the answer is known here only."""
        while True:
            try:
                await self._outbox.settle(message, settlement, number=number)
            except StoreUnavailable as error:
                _log.warning("settle_failed", message=message.id, reason=str(error))
                await self._clock.sleep(STORE_PAUSE_SECONDS)
            else:
                break
        if settlement.outcome is Outcome.BUSY:
            self.wake()  # to learn when it is due again
