"""Calls of one sender to its provider: each begun attempt is handed over once, and settled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alir.clock import Clock
from alir.dispatch.attempt import BusyPolicy, never_handed_over, settlement_of
from alir.dispatch.gate import LATE_SECONDS, Gate
from alir.dispatch.lease import Lease
from alir.dispatch.pauses import Pauses
from alir.dispatch.places import places_of
from alir.dispatch.ports import Measure, Outbox, Provider
from alir.errors import (
    NotFound,
    PauseAsked,
    PauseScope,
    ProviderBusy,
    ProviderRefused,
    SendFailure,
    StoreUnavailable,
)
from alir.ids import SenderName
from alir.messages import life
from alir.messages.life import Settlement
from alir.messages.model import Message, Outcome
from alir.observe import get_logger

#: Pause after the store could not be written.
STORE_PAUSE_SECONDS = 0.5
#: So many calls in a row without an answer pause the sender (design, section 5).
UNKNOWN_IN_ROW = 5
#: An outage of an hour so makes some sixty unknown messages, and its end is noticed in a minute.
_SILENT = ProviderBusy(
    "Five calls in a row ended without an answer",
    pauses=PauseAsked(PauseScope.SENDER, timedelta(seconds=5), timedelta(minutes=1)),
)
#: How long a provider may take to get ready: longer than a call may by default.
READY_SECONDS = 30.0
_NOT_READY = ProviderBusy(
    "The provider was not ready in time",
    pauses=PauseAsked(PauseScope.SENDER, timedelta(seconds=1), timedelta(minutes=1)),
)

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


class Calls:
    """The calls of one sender that are under way, each in a task of its own."""

    def __init__(
        self,
        sender: SenderName,
        *,
        provider: Provider,
        outbox: Outbox,
        gate: Gate,
        pauses: Pauses,
        policy: DispatchPolicy,
        clock: Clock,
        random: Callable[[], float],
        measure: Measure,
        wake: Callable[[], None],
        use_a_slot: Callable[[], None],
        is_full: Callable[[], bool],
        lease: Lease,
    ) -> None:
        """Nothing is under way.

        Args:
            wake: called when something ended that others wait for, such as when it is full.
            use_a_slot: called when a message leaves that had to wait for the provider to get ready.
        """
        self._sender = sender
        self._provider = provider
        self._outbox = outbox
        self._gate = gate
        self._pauses = pauses
        self._policy = policy
        self._clock = clock
        self._random = random
        self._measure = measure
        self._wake = wake
        self._use_a_slot = use_a_slot
        self._is_full = is_full
        self._lease = lease
        self._under_way: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self._unknown_in_row = 0
        self._getting_ready = 0

    @property
    def is_getting_ready(self) -> bool:
        """Whether messages wait for the provider to get ready, such as to log in.

        All of them leave at once when it is.
        """
        return self._getting_ready > 0

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._under_way)

    def hand_over(self, message: Message, let_go_at: float) -> None:
        """Send a message that was let go then and is on disk as begun; settle what it came to."""
        self._start(self._hand_over(message, let_go_at))

    def give_back(self, message: Message, title: str) -> None:
        """Settle an attempt that was never handed over, if it is there at all.

        It may not be; and then this very message may have been begun since, with an attempt of
        the same number that is on its way. So it goes by the moment at which it was begun.
        """
        never = never_handed_over(title, now=self._clock.now())
        number = max(1, len(message.attempts))
        doubted = message.attempt(number)

        def decide(current: Message) -> life.Change | None:
            attempt = current.attempt(number)
            if attempt is None or (doubted and attempt.begun_at != doubted.begun_at):
                return None
            return life.settle(current, number, never, now=self._clock.now())

        self._start(self._on_disk(message, lambda: self._outbox.change(message.id, decide)))

    def stop(self) -> None:
        """Hand nothing more over; what is begun and not handed over goes back into the queue."""
        self._stopped.set()

    async def ended(self) -> None:
        """Return once nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def cancel(self) -> None:
        """Break off what is under way; it stays begun."""
        for call in self._under_way:
            call.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        # Named, for asyncio would otherwise print a number into a name for every message.
        call = asyncio.create_task(work, name="hand-over")
        self._under_way.add(call)
        call.add_done_callback(self._ended)

    def _ended(self, call: asyncio.Task[None]) -> None:
        was_full = self._is_full()
        self._under_way.discard(call)
        if was_full:
            self._wake()
        if not call.cancelled() and (error := call.exception()) is not None:
            _log.error("hand_over_broke", sender=self._sender, exc_info=error)

    async def _hand_over(self, message: Message, let_go_at: float) -> None:
        number = len(message.attempts)
        started = self._clock.elapsed()
        title, was_called = None, False
        settlement, had_to_wait = None, not self._provider.is_ready()
        if had_to_wait:
            settlement = await self._not_ready(message)
        if settlement is None:
            title = self._too_late(message, let_go_at) or self._turn_over(message, let_go_at)
            if title is not None:
                settlement = never_handed_over(title, now=self._clock.now())
            else:
                if had_to_wait:
                    self._use_a_slot()
                was_called = True
                settlement = await self._call(message, number)
        is_probe = self._gate.probe == message.id
        if was_called:
            self._notice_silence(message, settlement.outcome, is_probe=is_probe)
        if is_probe:
            self._gate.probe = None
            if title is None:
                self._pauses.unclear(self._sender)  # unless it has told something by now
            self._wake()
        self._measure.settled(self._sender, settlement.outcome, self._clock.elapsed() - started)
        await self._record(message, settlement, number)

    async def _not_ready(self, message: Message) -> Settlement | None:
        """Have the provider get ready, such as log in; what that came to where it failed.

        Not one byte of the message has left, and none does where a stop comes first.
        """
        used = self._provider.credentials()
        ready = asyncio.ensure_future(self._provider.get_ready())
        stopped = asyncio.ensure_future(self._stopped.wait())
        too_long = asyncio.ensure_future(self._clock.sleep(READY_SECONDS))
        self._getting_ready += 1
        try:
            await asyncio.wait((ready, stopped, too_long), return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                ready.result()
            elif not stopped.done():
                return self._not_confirmed(message, _NOT_READY, message.attempts[-1].begun_at, used)
        except SendFailure as failure:
            return self._not_confirmed(message, failure, message.attempts[-1].begun_at, used)
        except Exception as fault:
            # A fault of alir's own. No byte of the message has left, so it may go again.
            _log.error("get_ready_broke", sender=self._sender, exc_info=fault)
            return never_handed_over("It broke off inside alir", now=self._clock.now())
        finally:
            ready.cancel()
            stopped.cancel()
            too_long.cancel()
            self._getting_ready -= 1
            self._wake()
        return None

    def _notice_silence(self, message: Message, outcome: Outcome, *, is_probe: bool) -> None:
        """Pause the sender where one call after the other ends without an answer.

        Each that is let through to see and ends so too makes the pause longer: it is one more
        message of which nobody knows whether it was sent.
        """
        if outcome is not Outcome.UNKNOWN:
            self._unknown_in_row = 0
            return
        self._unknown_in_row += 1
        if self._unknown_in_row >= UNKNOWN_IN_ROW and (self._gate.is_open or is_probe):
            begun_at = message.attempts[-1].begun_at
            self._pauses.strike(message, _SILENT, begun_at=begun_at)

    def _too_late(self, message: Message, let_go_at: float) -> str | None:
        """Why a message that was let go then must not leave any more, if it must not."""
        if self._stopped.is_set():
            return "Stopping"
        now = self._clock.elapsed()
        if now - let_go_at > self._policy.begun_valid.total_seconds():
            return "Begun too long ago"
        if not self._lease.is_good(now):
            return "The sender is another process's by now"
        if self._gate.holds(message.id, now):
            return "Paused meanwhile"
        if message.expires_at is not None and message.expires_at <= self._clock.now():
            return "Expired meanwhile"
        return None

    def _turn_over(self, message: Message, let_go_at: float) -> str | None:
        """Why its recipient must not get it now, if so. What leaves late is counted from now."""
        now = self._clock.elapsed()
        if now <= let_go_at + LATE_SECONDS:
            return None
        recipient = places_of(message).recipient
        may_leave = self._gate.leave_late(recipient, now, let_go_at=let_go_at)
        return None if may_leave else "Its recipient's turn is over"

    async def _call(self, message: Message, number: int) -> Settlement:
        begun_at = message.attempts[-1].begun_at
        used = self._provider.credentials()
        try:
            sent = await self._provider.send(message, number)
        except SendFailure as failure:
            return self._not_confirmed(message, failure, begun_at, used)
        except Exception as fault:
            # A fault of alir's own: how far the call came is not known, and an attempt left
            # begun would look as if it were still under way.
            _log.error("call_broke", sender=self._sender, message=message.id, exc_info=fault)
            error = life.error("internal_error", "The call broke off inside alir")
            return Settlement(outcome=Outcome.UNKNOWN, error=error)
        self._passed(message, begun_at)
        return Settlement(
            outcome=Outcome.ACCEPTED,
            provider_id=sent.provider_id,
            wa_id=sent.wa_id,
            request_id=sent.request_id,
        )

    def _not_confirmed(
        self, message: Message, failure: SendFailure, begun_at: datetime, used: bytes
    ) -> Settlement:
        """What a failure means for the message; what else it pauses stands still from now on.

        Args:
            used: a fingerprint of the secrets that the call used.
        """
        opens_at = None
        if isinstance(failure, ProviderBusy) and failure.pauses is not None:
            opens_at = self._pauses.strike(message, failure, begun_at=begun_at, used=used)
        elif isinstance(failure, ProviderRefused):
            self._passed(message, begun_at)
        return settlement_of(
            failure,
            message,
            policy=self._policy.busy,
            now=self._clock.now(),
            jitter=self._random(),
            opens_at=opens_at,
        )

    def _passed(self, message: Message, begun_at: datetime) -> None:
        """The provider looked at the message itself, so that nothing else holds it."""
        if self._gate.anything_shut or not self._gate.is_open:
            self._pauses.passed(message, begun_at=begun_at)

    async def _record(self, message: Message, settlement: Settlement, number: int) -> None:
        await self._on_disk(
            message, lambda: self._outbox.settle(message, settlement, number=number)
        )
        if settlement.outcome is Outcome.BUSY:
            self._wake()  # to learn when it is due again

    async def _on_disk(self, message: Message, write: Callable[[], Awaitable[Message]]) -> None:
        """Write it, however long that takes: what it says is known here only."""
        while True:
            try:
                await write()
            except NotFound:
                return  # its storing was in doubt, and it was not stored
            except StoreUnavailable as error:
                _log.warning("settle_failed", message=message.id, reason=str(error))
            except Exception as fault:
                # A fault of alir's own. The attempt must not look as if it were under way for ever.
                _log.error("settle_broke", message=message.id, exc_info=fault)
            else:
                return
            await self._clock.sleep(STORE_PAUSE_SECONDS)
