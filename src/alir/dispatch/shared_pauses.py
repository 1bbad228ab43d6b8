"""What stands still, kept the same in all processes that share a database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Container, Hashable, Mapping
from datetime import timedelta
from functools import partial

from alir.clock import Clock
from alir.dispatch.in_force import InForce, at, log_paused
from alir.dispatch.lease import Lease
from alir.dispatch.pause import Pause, is_over, opened
from alir.dispatch.pauses import Pauses
from alir.dispatch.ports import PauseStore
from alir.errors import PauseScope, StoreUnavailable
from alir.ids import SenderName
from alir.observe import get_logger

#: How often what other processes (`alir sender`) changed is looked at, and secrets that may heal.
SYNC_SECONDS = 1.0
#: A recipient's pause that nobody tried the end of is forgotten after this.
FORGOTTEN_AFTER = timedelta(hours=1)

_log = get_logger("pauses")


class SharedPauses:
    """Takes over what other processes began and ended; counts and ends what they know.

    Args:
        pauses: of this process.
        leases: each process sees to the senders that it dispatches for.
    """

    def __init__(
        self,
        in_force: InForce,
        pauses: Pauses,
        store: PauseStore,
        clock: Clock,
        *,
        leases: Mapping[SenderName, Lease],
    ) -> None:
        self._in_force = in_force
        self._pauses = pauses
        self._store = store
        self._clock = clock
        self._leases = leases
        self._syncing = asyncio.Lock()
        self._woken = asyncio.Event()
        self._asks_for_recipients = False
        # How many recipients of each sender stand still on disk, when last counted.
        self._counted: Mapping[SenderName, int] = {}

    def recipients(self, sender: SenderName) -> int:
        """How many recipients of a sender stand still.

        Of one that another process dispatches for: by what was on disk at the last
        `count_recipients`.
        """
        if not self._leases[sender].is_held:
            return self._counted.get(sender, 0)
        return sum(pause.scope is PauseScope.RECIPIENT for pause in self._in_force.of(sender))

    async def count_recipients(self) -> None:
        """Count those of the senders that other processes dispatch for.

        Raises:
            StoreUnavailable: they cannot be counted now.
        """
        if not all(lease.is_held for lease in self._leases.values()):
            self._counted = await self._store.recipients()

    async def resume(self, sender: SenderName) -> list[Pause]:
        """End everything that stands still of a sender; on disk when it returns.

        Also its recipients' pauses that only another process knows, which lets go of them before
        long.
        """
        await self.sync()  # another process may just have been told to pause it
        stored = {at(pause): pause for pause in await self._store.of(sender)}
        known = {
            at(other): other
            for pause in self._pauses.of(sender)
            for name in self._in_force.reach(sender, pause.scope)
            if (other := self._in_force.at(name, pause.place)) is not None
        }
        ended = [*(stored | known).values()]
        for pause in known.values():
            self._in_force.let_go(pause)
        # Each behind what is yet to be written of it, which else would bring it back.
        removals = [
            self._in_force.write(at(pause), partial(self._store.remove, pause)) for pause in ended
        ]
        results = await asyncio.gather(*removals, return_exceptions=True)
        faults = [result for result in results if isinstance(result, BaseException)]
        for pause, result in zip(ended, results, strict=True):
            was_mine = at(pause) in known
            if result in faults and was_mine and not self._in_force.at(pause.sender, pause.place):
                self._in_force.hold(pause)
        if faults:
            raise faults[0]
        return ended

    async def load(self) -> None:
        """Take over what holds whole senders or their Flows."""
        for pause in await self._store.all(but_recipients=True):
            if self._in_force.knows(pause.sender):
                self._in_force.hold(pause)

    async def take_over(self, sender: SenderName) -> None:
        """Take over what an earlier process left; what the secrets may have healed is tried."""
        now = self._clock.now()
        for pause in await self._store.of(sender):
            if pause.scope is PauseScope.ACCOUNT and pause.until is not None:
                self._in_force.begin(opened(pause, now=now), is_new=False)
            else:
                self._in_force.hold(pause)

    def leave(self, sender: SenderName) -> None:
        """Forget who of the recipients stands still: another process sees to that."""
        for pause in self._in_force.of(sender):
            if pause.scope is PauseScope.RECIPIENT:
                self._in_force.let_go(pause)

    def wake(self, *, recipients: bool) -> None:
        """Another process changed something; `recipients`: the pause of one of ours, perhaps."""
        self._asks_for_recipients |= recipients
        self._woken.set()

    async def run(self) -> None:
        """Look at other processes' changes and at secrets, for ever.

        Every `SYNC_SECONDS`, and when woken.
        """
        async with asyncio.TaskGroup() as both:
            both.create_task(self._look_every_second())
            both.create_task(self._look_when_woken())

    async def sync(self, *, recipients: bool = False) -> None:
        """Take over what other processes changed, and let secrets that changed be tried.

        Args:
            recipients: those of recipients too, which are many. Without it they are counted: of one
                of whom fewer are on disk than are known here, somebody resumed the sender.
        """
        for sender in self._in_force.senders:
            if self._leases[sender].is_held:
                self._pauses.try_fresh_secrets(sender)
        async with self._syncing:
            newer = self._in_force.watch()
            recipients = recipients or await self._were_recipients_resumed(newer)
            read = await self._store.all(but_recipients=not recipients)
            if recipients:
                read = [pause for pause in read if self._concerns(pause)]
            # Of these what was read may be older than what is known here.
            newer |= self._in_force.newer
            self._take_over(
                {at(pause): pause for pause in read}, newer, but_recipients=not recipients
            )
        self._forget_recipients()
        # Last: what was just read may say that it lasts longer.
        for sender in self._in_force.senders:
            asked = self._in_force.at(sender, (PauseScope.OPERATOR, ""))
            is_mine = self._leases[sender].is_held
            if is_mine and asked is not None and is_over(asked, now=self._clock.now()):
                self._in_force.end(asked)

    async def _try_to_sync(self) -> None:
        recipients, self._asks_for_recipients = self._asks_for_recipients, False
        try:
            await self.sync(recipients=recipients)
        except StoreUnavailable as error:
            _log.warning("sync_failed", reason=str(error))
        except Exception as fault:
            # A fault of alir's own, for once; its text may hold a person's number.
            _log.error("sync_broke", fault=type(fault).__name__)
        else:
            return
        self._asks_for_recipients |= recipients

    async def _look_every_second(self) -> None:
        while True:
            await self._clock.sleep(SYNC_SECONDS)
            await self._try_to_sync()

    async def _look_when_woken(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self._try_to_sync()

    async def _were_recipients_resumed(self, newer: Container[Hashable]) -> bool:
        """Whether fewer pauses of recipients are on disk than are known here to have been put."""
        known = Counter(
            pause.sender
            for pause in self._in_force
            if pause.scope is PauseScope.RECIPIENT and at(pause) not in newer
        )
        if not known:
            return False
        stored = await self._store.recipients()
        return any(count > stored.get(sender, 0) for sender, count in known.items())

    def _concerns(self, pause: Pause) -> bool:
        """Whether a pause on disk is this process's to see to, or known here by a receipt."""
        if not self._in_force.knows(pause.sender):
            return False
        if pause.scope is not PauseScope.RECIPIENT or self._leases[pause.sender].is_held:
            return True
        return self._in_force.at(pause.sender, pause.place) is not None

    def _take_over(
        self,
        stored: Mapping[Hashable, Pause],
        newer: Container[Hashable],
        *,
        but_recipients: bool,
    ) -> None:
        """Make memory what the store says, but for what is newer here."""
        ended = [
            pause
            for pause in self._in_force
            if not (pause.scope is PauseScope.RECIPIENT and but_recipients)
            and at(pause) not in stored
            and at(pause) not in newer
        ]
        for pause in ended:
            self._in_force.let_go(pause)
        for place, pause in stored.items():
            if not self._in_force.knows(pause.sender) or place in newer:
                continue
            known = self._in_force.at(pause.sender, pause.place)
            if known is None:
                log_paused(pause)
            if known != pause:
                self._in_force.hold(pause)

    def _forget_recipients(self) -> None:
        long_ago = self._clock.now() - FORGOTTEN_AFTER
        for pause in self._in_force:
            is_old = pause.until is not None and pause.until < long_ago
            if pause.scope is PauseScope.RECIPIENT and is_old:
                # What a receipt told of another process's sender is left to that process.
                is_mine = self._leases[pause.sender].is_held
                (self._in_force.end if is_mine else self._in_force.let_go)(pause)
