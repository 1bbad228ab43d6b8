"""Callbacks: stored raw, then answered, then applied."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from alir.clock import Clock
from alir.errors import StoreUnavailable
from alir.ids import SenderName
from alir.messages.model import ReceiptStatus
from alir.observe import get_logger
from alir.receipts.model import Told
from alir.receipts.ports import CallbackRequest, Callbacks, Dialect, RawCallback, Receipts

SWEEP_SECONDS = 60.0
GUESS_SECONDS = 5.0
STORE_PAUSE_SECONDS = 0.5
#: What a person wrote counts for a sender's pace for so long, by the provider's clock, which gives
#: whole seconds; alir's own. A clock that goes a little wrong is no reason not to count it.
JUST_NOW = timedelta(seconds=2)

_log = get_logger("receipts")


class Inbox:
    """Takes callbacks of every provider and applies them.

    Args:
        counted: called for each receipt.
        heard: called whenever a person wrote to a sender just now; not for what comes late or
            again, which counted long ago for the sender's pace.
        missed: called where a callback could not be kept, or what it tells not be applied: what
            is waited for may be in it.
        guessing: the senders whose receipts name no attempt.
    """

    def __init__(
        self,
        dialects: Sequence[Dialect],
        callbacks: Callbacks,
        receipts: Receipts,
        clock: Clock,
        *,
        keep_parked: timedelta,
        counted: Callable[[SenderName, ReceiptStatus], None],
        heard: Callable[[SenderName], None],
        missed: Callable[[], None],
        guessing: Sequence[SenderName] = (),
    ) -> None:
        self._dialects = {dialect.name: dialect for dialect in dialects}
        self._callbacks = callbacks
        self._receipts = receipts
        self._clock = clock
        self._keep_parked = keep_parked
        self._counted = counted
        self._heard = heard
        self._missed = missed
        self._guessing = tuple(guessing)
        self._applying: set[asyncio.Task[None]] = set()

    async def take(self, provider: str, request: CallbackRequest) -> bool:
        """Keep a callback and have it applied; False: nobody's secret signed it.

        Raises:
            StoreUnavailable: it is not stored; the provider should send it again.
        """
        signers = self._dialects[provider].signed_by(request)
        if not signers:
            return False
        try:
            raw = await self._callbacks.keep(provider, signers, request.body)
        except StoreUnavailable:
            self._missed()
            raise
        self._soon(raw)
        return True

    async def take_over(self) -> None:
        """Apply what a process that is gone had kept and not applied."""
        async for page in self._callbacks.unapplied():
            # Begun in their order, and so written in it; what is asked together shares a commit.
            await asyncio.gather(*(self._apply(raw) for raw in page))

    async def run(self) -> None:
        """Try parked receipts again and guess what they are about, from time to time, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(SWEEP_SECONDS, self._sweep))
            if self._guessing:
                group.create_task(self._every(GUESS_SECONDS, self._guess))

    async def _every(self, seconds: float, deed: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await deed()
            except StoreUnavailable as error:
                self._missed()
                _log.warning("sweep_failed", reason=str(error))
            except Exception as fault:
                # A fault of alir's own, for once. Its text may hold a person's number.
                _log.error("sweep_broke", fault=type(fault).__name__)
            await self._clock.sleep(seconds)

    async def _sweep(self) -> None:
        await self._receipts.sweep(keep=self._keep_parked)

    async def _guess(self) -> None:
        await self._receipts.guess(self._guessing)

    async def finish(self, grace: timedelta) -> None:
        """Let what is being applied end; the rest is applied at the next start."""
        if self._applying:
            await asyncio.wait(self._applying, timeout=grace.total_seconds())
        for task in self._applying:
            task.cancel()

    def _soon(self, raw: RawCallback) -> None:
        task = asyncio.create_task(self._apply(raw))
        self._applying.add(task)
        task.add_done_callback(self._applying.discard)

    async def _apply(self, raw: RawCallback) -> None:
        dialect = self._dialects.get(raw.provider)
        if dialect is None:
            _log.warning("callback_of_unknown_provider", provider=raw.provider, callback=raw.seq)
            return
        try:
            told = dialect.read(raw.body, senders=raw.senders, now=self._clock.now())
        except Exception as fault:
            # As below. Its text may hold a piece of the callback, and so a person's number.
            _log.error("read_broke", callback=raw.seq, fault=type(fault).__name__)
            return
        while True:
            try:
                await self._receipts.apply(told, callback=raw.seq)
            except StoreUnavailable as error:
                self._missed()
                _log.warning("apply_failed", callback=raw.seq, reason=str(error))
                await self._clock.sleep(STORE_PAUSE_SECONDS)
            except Exception as fault:
                # A fault of alir's own. The callback stays as it came, and keeps neither the
                # others from being applied nor the gateway from starting.
                _log.error("apply_broke", callback=raw.seq, exc_info=fault)
                return
            else:
                break
        for one in told:
            if isinstance(one, Told):
                self._counted(one.sender, one.status)
            elif abs(self._clock.now() - one.at) <= JUST_NOW:
                self._heard(one.sender)
