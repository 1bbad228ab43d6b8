"""Callbacks: stored raw, then answered, then applied, each by the one process that claims it.

A claim ends by itself, so that what a killed process had claimed is applied by another. Nobody
prolongs it: where a process that lives takes longer, because the store fails it, another may come
to apply the same callback, which changes nothing. They do not go on so in turns: each tries until
it has applied it or cannot, and either way nobody claims it any more.
"""

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
#: How often is looked for what another process kept, should no word of it have come (`wake`).
LOOK_SECONDS = 1.0
STORE_PAUSE_SECONDS = 0.5
#: What a person wrote counts for a sender's pace for so long, by the provider's clock, which gives
#: whole seconds; alir's own. A clock that goes a little wrong is no reason not to count it.
JUST_NOW = timedelta(seconds=2)

_log = get_logger("receipts")


class Inbox:
    """Takes callbacks of every provider, and applies them or leaves them to processes that do.

    Args:
        counted: called for each receipt.
        heard: called whenever a person wrote to a sender just now; not for what comes late or
            again, which counted long ago for the sender's pace.
        missed: called where a callback could not be kept, or what it tells not be applied: what
            is waited for may be in it.
        guessing: the senders whose receipts name no attempt.
        applies: whether this process applies callbacks. One that does not only has to `take`.
        shares: whether other processes work on the same callbacks.
        kept: called for each callback that was kept for another process to apply.
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
        applies: bool = True,
        shares: bool = False,
        kept: Callable[[], None] = lambda: None,
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
        self._applies = applies
        self._shares = shares
        self._kept = kept
        self._applying: set[asyncio.Task[None]] = set()
        # Which callbacks that are.
        self._under_way: set[int] = set()
        self._woken = asyncio.Event()
        self._ending = False

    async def take(self, provider: str, request: CallbackRequest) -> bool:
        """Keep a callback, and have it applied; False: nobody's secret signed it.

        Raises:
            StoreUnavailable: it is not stored; the provider should send it again.
        """
        signers = self._dialects[provider].signed_by(request)
        if not signers:
            return False
        try:
            raw = await self._callbacks.keep(provider, signers, request.body, claim=self._applies)
        except StoreUnavailable:
            self._missed()
            raise
        if self._applies:
            self._soon(raw)
        else:
            self._kept()
        return True

    def knows(self, provider: str, request: CallbackRequest) -> bool:
        """Whether a request shows somebody's secret, of a provider that has it in the path."""
        return bool(self._dialects[provider].signed_by(request))

    def turned_away(self) -> None:
        """A callback came for which there was no room, and may have been signed."""
        _log.warning("callback_turned_away")
        self._missed()

    async def take_over(self) -> None:
        """Apply what a process that is gone had kept and not applied.

        Where others live, they and `run` do: nobody knows which of them are gone, and something
        new to apply may always come.
        """
        await self._callbacks.free(claimed=not self._shares)
        if not self._shares:
            await self._apply_free()

    def wake(self) -> None:
        """Another process kept a callback."""
        self._woken.set()

    async def run(self) -> None:
        """Apply what others kept, try parked receipts again, and guess what they are about.

        From time to time, for ever.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(SWEEP_SECONDS, self._sweep))
            if self._guessing:
                group.create_task(self._every(GUESS_SECONDS, self._guess))
            if self._shares:
                group.create_task(self._every(LOOK_SECONDS, self._remind))
                group.create_task(self._whenever_woken())

    async def _every(self, seconds: float, deed: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._try(deed)
            await self._clock.sleep(seconds)

    async def _remind(self) -> None:
        self.wake()

    async def _whenever_woken(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self._try(self._apply_free)

    async def _try(self, deed: Callable[[], Awaitable[None]]) -> None:
        try:
            await deed()
        except StoreUnavailable as error:
            self._missed()
            _log.warning("sweep_failed", reason=str(error))
        except Exception as fault:
            # A fault of alir's own, for once. Its text may hold a person's number.
            _log.error("sweep_broke", fault=type(fault).__name__)

    async def _apply_free(self) -> None:
        """Apply what nobody applies, until nothing is left of it."""
        while not self._ending and (page := await self._callbacks.claim()):
            # Begun in their order, and so written in it; what is asked together shares a commit.
            # What is under way here for longer than its claim lasted is thereby claimed anew.
            tasks = [self._soon(raw) for raw in page if raw.seq not in self._under_way]
            await asyncio.gather(*tasks)

    async def _sweep(self) -> None:
        await self._receipts.sweep(keep=self._keep_parked)

    async def _guess(self) -> None:
        await self._receipts.guess(self._guessing)

    async def finish(self, grace: timedelta) -> None:
        """Let what is being applied end; the rest is applied by others, or at the next start."""
        self._ending = True
        if self._applying:
            await asyncio.wait(self._applying, timeout=grace.total_seconds())
        for task in self._applying:
            task.cancel()

    def _soon(self, raw: RawCallback) -> asyncio.Task[None]:
        task = asyncio.create_task(self._apply(raw))
        self._applying.add(task)
        self._under_way.add(raw.seq)

        def end(task: asyncio.Task[None]) -> None:
            self._applying.discard(task)
            self._under_way.discard(raw.seq)

        task.add_done_callback(end)
        return task

    async def _apply(self, raw: RawCallback) -> None:
        dialect = self._dialects.get(raw.provider)
        if dialect is None:
            _log.warning("callback_of_unknown_provider", provider=raw.provider, callback=raw.seq)
            await self._leave(raw)
            return
        try:
            told = dialect.read(raw.body, senders=raw.senders, now=self._clock.now())
        except Exception as fault:
            # As below. Its text may hold a piece of the callback, and so a person's number.
            _log.error("read_broke", callback=raw.seq, fault=type(fault).__name__)
            await self._leave(raw)
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
                await self._leave(raw)
                return
            else:
                break
        for one in told:
            if isinstance(one, Told):
                self._counted(one.sender, one.status)
            elif abs(self._clock.now() - one.at) <= JUST_NOW:
                self._heard(one.sender)

    async def _leave(self, raw: RawCallback) -> None:
        """Let nobody try again what would break again, until a process starts."""
        try:
            await self._callbacks.leave(raw.seq)
        except StoreUnavailable as error:
            # Then it is claimed once more, and breaks once more.
            _log.warning("leave_failed", callback=raw.seq, reason=str(error))
