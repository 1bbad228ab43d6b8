"""Which senders this process dispatches for: looked at all the time, taken, kept and let go of.

Where one process has the database to itself (`SoleOwner`), all of them, from the start.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple, Protocol

from alir.clock import Clock
from alir.dispatch.lease import Lease, LeaseRow, Part, View, steps
from alir.errors import StoreUnavailable
from alir.ids import Fence, SenderName
from alir.observe import get_logger

#: How often leases are looked at. Source: design, section 5.
LOOK_SECONDS: Final = 0.25
#: How many times in its life a lease is renewed, so that one that fails is made up for.
RENEWALS: Final = 4
#: A new owner sends nothing until so long after the old one may last have: no second then holds
#: more than the sender's limit. Source: design, section 5.
CHANGE_OF_HANDS: Final = timedelta(seconds=1)

_log = get_logger("leases")


class Taken(NamedTuple):
    """A lease that was taken.

    Attributes:
        wait: how long nothing may be sent yet.
        was_left: whether its last holder did not release it, and so is gone, or stands still.
    """

    fence: Fence
    wait: timedelta
    was_left: bool


class LeaseStore(Protocol):
    """The leases and the processes of one database, by the database's own clock."""

    async def look(self) -> View:
        """How things stand."""
        ...

    async def renew(self, process: str, part: Part, lasts: timedelta) -> View:
        """The process lives, and so do the leases that it holds, for so long from now."""
        ...

    async def take(self, sender: SenderName, process: str, lasts: timedelta) -> Taken | None:
        """Take the lease of a sender; None: another process holds it."""
        ...

    async def release(self, sender: SenderName, process: str) -> None:
        """Let go of its lease, if the process holds it."""
        ...

    async def leave(self, process: str) -> None:
        """The process ends."""
        ...


class Owner(Protocol):
    """Told of the senders that come to this process, and go."""

    async def learn(self, sender: SenderName, *, was_left: bool) -> None:
        """Learn what others did for this sender, before anything is sent.

        Args:
            was_left: whether whoever dispatched for it is gone without a word.

        Raises:
            StoreUnavailable: it cannot be learnt now.
        """
        ...

    def taken(self, sender: SenderName) -> None:
        """Its lease is this process's."""
        ...

    async def at_rest(self, sender: SenderName) -> None:
        """Return once nothing of it is being begun any more; its lease has ended."""
        ...

    def lost(self, sender: SenderName) -> None:
        """Its lease is another's, or nobody's."""
        ...


class _Held(NamedTuple):
    fence: Fence
    until: float


class Leases:
    """The leases of one process among several.

    Args:
        process: its name, unlike any other's.
        leases: one for each sender that it can dispatch for; none: it only says that it lives.
        lasts: how long a lease lives that nobody renews.
        looks: how often leases are looked at.
        told: called when others have something to look at.
        takes_callbacks: whether providers can call this process back.
        applies_callbacks: whether this process applies what any took.
        missed: called at each look that finds nobody alive who takes callbacks, or nobody who
            applies them: no evidence comes meanwhile.
    """

    def __init__(
        self,
        process: str,
        leases: Mapping[SenderName, Lease],
        store: LeaseStore,
        owner: Owner,
        clock: Clock,
        *,
        lasts: timedelta,
        told: Callable[[], None],
        takes_callbacks: bool,
        applies_callbacks: bool,
        missed: Callable[[], None],
        looks: timedelta = timedelta(seconds=LOOK_SECONDS),
    ) -> None:
        self._process = process
        self._leases = leases
        self._store = store
        self._owner = owner
        self._clock = clock
        self._lasts = lasts
        self._seconds = lasts.total_seconds()
        self._told = told
        self._part = Part(tuple(leases), takes_callbacks, applies_callbacks)
        self._missed = missed
        self._misses = False
        self._look_seconds = looks.total_seconds()
        self._held: dict[SenderName, _Held] = {}
        self._changing: dict[SenderName, asyncio.Task[None]] = {}
        # Taken, or maybe so, from whoever dispatched before, of whom nothing was learnt yet.
        self._unlearnt: set[SenderName] = set()
        self._renew_at = -math.inf
        self._woken = asyncio.Event()
        self._ending = False
        self._others = 0

    @property
    def has_peers(self) -> bool:
        """Whether another process shares the database, as far as is known."""
        return self._others > 0

    def wake(self) -> None:
        """Another process changed something."""
        self._woken.set()

    async def start(self) -> None:
        """Say that this process lives.

        Raises:
            StoreUnavailable: it cannot be said now.
        """
        await self._renew()

    async def run(self) -> None:
        """Look again and again, or when woken, for ever."""
        while True:
            self._woken.clear()
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.warning("look_failed", reason=str(error))
            except Exception as fault:
                # A fault of alir's own, for once: leases that are not renewed run out.
                _log.error("look_broke", exc_info=fault)
            await self._nap()

    async def look(self) -> None:
        """Renew what is held, if it is time, and take or let go of what should change hands."""
        if self._ending:
            return  # who has left must not say that it lives: nobody would take what it let go of
        # Of what is taken while the answer is on its way, that may not know yet.
        held_before = {sender: held.fence for sender, held in self._held.items()}
        is_due = self._clock.elapsed() >= self._renew_at
        view = await (self._renew() if is_due else self._store.look())
        self._others = len(view.alive.keys() - {self._process})
        self._look_for_callbacks(view)
        for sender, held in list(self._held.items()):
            is_known = held_before.get(sender) == held.fence
            if is_known and not _is_theirs(view.leases.get(sender), self._process, held.fence):
                self._lose(sender)
                _log.warning("lease_lost", sender=sender)
        if self._ending:
            return
        if self._process not in view.alive:
            # The database's clock was set. Who does not seem to live would let go of everything.
            self._renew_at = -math.inf
            return
        due = steps(view, self._process)
        for sender in due.take:
            if sender not in self._held:
                self._change(sender, self._take)
        for sender in due.release:
            self._change(sender, self._take if sender in self._unlearnt else self._release)

    async def finish(self) -> None:
        """Let go of every sender, once nothing is being begun; others may then take them.

        Of what nothing was learnt yet the lease runs out: whoever takes it then learns it.
        """
        self._ending = True
        for task in self._changing.values():
            task.cancel()
        await asyncio.gather(*self._changing.values(), return_exceptions=True)
        learnt = [sender for sender in self._held if sender not in self._unlearnt]
        await asyncio.gather(*map(self._release, learnt))
        try:
            await self._store.leave(self._process)
        except StoreUnavailable as error:
            _log.warning("leave_failed", reason=str(error))  # it is missed before long
        self._told()

    async def _renew(self) -> View:
        asked_at = self._clock.elapsed()
        view = await self._store.renew(self._process, self._part, self._lasts)
        self._renew_at = asked_at + self._seconds / RENEWALS
        self._others = len(view.alive.keys() - {self._process})
        # Counted from before it was asked for, so that it is over here before it is over there.
        until = asked_at + self._seconds
        for sender, held in self._held.items():
            if _is_theirs(view.leases.get(sender), self._process, held.fence):
                self._held[sender] = held._replace(until=until)
                lease = self._leases[sender]
                if lease.is_held:
                    was_over = not lease.is_good(self._clock.elapsed())
                    lease.prolong(until)
                    if was_over:
                        self._owner.taken(sender)  # who found it over sleeps until then
        return view

    def _look_for_callbacks(self, view: View) -> None:
        misses = not (view.callbacks_taken and view.callbacks_applied)
        if misses:
            self._missed()
        if misses and not self._misses:
            _log.warning("no_callbacks", taken=view.callbacks_taken, applied=view.callbacks_applied)
        elif self._misses and not misses:
            _log.info("callbacks_again")
        self._misses = misses

    def _change(
        self, sender: SenderName, change: Callable[[SenderName], Coroutine[Any, Any, None]]
    ) -> None:
        """Have a lease change hands, unless it is just doing so."""
        if sender not in self._changing:
            task = asyncio.create_task(change(sender), name=f"lease {sender}")
            self._changing[sender] = task
            task.add_done_callback(lambda _: self._changing.pop(sender))

    async def _take(self, sender: SenderName) -> None:
        asked_at = self._clock.elapsed()
        try:
            taken = await self._store.take(sender, self._process, self._lasts)
            if taken is None:
                self._unlearnt.discard(sender)
                return
            if sender in self._unlearnt:
                taken = taken._replace(wait=CHANGE_OF_HANDS, was_left=True)
            self._unlearnt.add(sender)
            good_from = self._clock.elapsed() + taken.wait.total_seconds()
            self._held[sender] = _Held(taken.fence, asked_at + self._seconds)
            await self._owner.learn(sender, was_left=taken.was_left)
        except StoreUnavailable as error:
            _log.warning("take_failed", sender=sender, reason=str(error))
            if error.in_doubt:
                self._unlearnt.add(sender)
            self._lose(sender)
        except Exception as fault:
            # A fault of alir's own. It is tried again, and others may try meanwhile.
            _log.error("take_broke", sender=sender, exc_info=fault)
            self._lose(sender)
        else:
            self._unlearnt.discard(sender)
            held = self._held.get(sender)
            if held is not None and held.fence == taken.fence:  # else it was lost meanwhile
                self._leases[sender].take(held.fence, good_from=good_from, good_until=held.until)
                _log.info("lease_taken", sender=sender, fence=held.fence.number)
                self._owner.taken(sender)

    async def _release(self, sender: SenderName) -> None:
        self._leases[sender].end()
        await self._owner.at_rest(sender)
        self._lose(sender)
        try:
            await self._store.release(sender, self._process)
        except StoreUnavailable as error:
            _log.warning("release_failed", sender=sender, reason=str(error))  # it runs out
        else:
            _log.info("lease_released", sender=sender)
        self._told()

    def _lose(self, sender: SenderName) -> None:
        self._leases[sender].end()
        if self._held.pop(sender, None) is not None:
            self._owner.lost(sender)

    async def _nap(self) -> None:
        # Half of what `asyncio.timeout` costs; whoever is woken looks, and asks nobody why.
        timer = asyncio.get_running_loop().call_later(self._look_seconds, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            timer.cancel()


class SoleOwner:
    """The leases of a process that has its database to itself: all of them, until it ends.

    The lock beside an SQLite file stands for them.
    """

    has_peers: Final = False

    def __init__(self, leases: Mapping[SenderName, Lease], owner: Owner) -> None:
        self._leases = leases
        self._owner = owner

    async def start(self) -> None:
        """Take over every sender.

        Raises:
            StoreUnavailable: what was done for them cannot be read now.
        """
        await asyncio.gather(*(self._owner.learn(sender, was_left=True) for sender in self._leases))
        for sender, lease in self._leases.items():
            lease.keep()
            self._owner.taken(sender)

    async def run(self) -> None:
        """Nothing changes hands, for ever."""
        await asyncio.Event().wait()

    def wake(self) -> None:
        """There is nobody else to wake it."""

    async def finish(self) -> None:
        """The lock is let go of with the file."""


def _is_theirs(row: LeaseRow | None, process: str, fence: Fence) -> bool:
    return row is not None and (row.holder, row.fence) == (process, fence.number)
