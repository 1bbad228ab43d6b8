"""What stands still just now: known here, shut at the gates, and on its way to disk."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar

from alir.clock import Clock
from alir.dispatch.gate import Gate
from alir.dispatch.ordered import Ordered
from alir.dispatch.pause import Pause
from alir.dispatch.ports import PauseStore
from alir.errors import PauseScope
from alir.ids import SenderName
from alir.observe import get_logger

T = TypeVar("T")

_log = get_logger("pauses")


class InForce:
    """The pauses that this process knows, of each sender.

    What is begun or ended here holds at once, and comes to disk a moment later, in the same order.
    What only holds or is let go of here is on disk already, or another process's to write.

    Args:
        accounts: the account of each sender; those of one account stand still together.
        changed: called with each sender for which something began or ended.

    Attributes:
        senders: all that there are, in the order of the settings.
    """

    def __init__(
        self,
        gates: Mapping[SenderName, Gate],
        accounts: Mapping[SenderName, str],
        store: PauseStore,
        clock: Clock,
        *,
        changed: Callable[[SenderName], None],
    ) -> None:
        self.senders = tuple(gates)
        self._gates = gates
        self._accounts = accounts
        self._store = store
        self._clock = clock
        self._changed = changed
        self._pauses: dict[SenderName, dict[tuple[PauseScope, str], Pause]] = {s: {} for s in gates}
        self._writes = Ordered(clock)
        self._touched: set[Hashable] = set()

    def knows(self, sender: SenderName) -> bool:
        """Whether the settings have this sender."""
        return sender in self._pauses

    def watch(self) -> set[Hashable]:
        """Where the disk does not say yet what is known here; from now on `newer` tells more."""
        self._touched.clear()
        return self._writes.places

    @property
    def newer(self) -> set[Hashable]:
        """Where something was changed here since `watch`, or is not on disk yet."""
        return self._touched | self._writes.places

    def __iter__(self) -> Iterator[Pause]:
        """All that stands still now; it may change meanwhile."""
        return iter([pause for mine in self._pauses.values() for pause in mine.values()])

    def of(self, sender: SenderName) -> list[Pause]:
        """What stands still of this sender."""
        return [*self._pauses[sender].values()]

    def holds(self, sender: SenderName) -> bool:
        """Whether anything stands still of this sender, which may be gone from the settings."""
        return bool(self._pauses.get(sender))

    def at(self, sender: SenderName, place: tuple[PauseScope, str]) -> Pause | None:
        """What stands still there; none: nothing does."""
        return self._pauses[sender].get(place)

    def reach(self, sender: SenderName, scope: PauseScope) -> Sequence[SenderName]:
        """The senders that a pause of this one holds."""
        if scope is not PauseScope.ACCOUNT:
            return [sender]
        account = self._accounts[sender]
        return [name for name in self._pauses if self._accounts[name] == account]

    def begin(self, pause: Pause, *, is_new: bool) -> None:
        """Let it hold, in the place of one before it unless it `is_new`; soon on disk."""
        self.hold(pause)
        if is_new:
            log_paused(pause)
        self._writes.soon(at(pause), partial(self._store.put, pause, is_new=is_new))

    def end(self, pause: Pause) -> None:
        """End it, of all senders that it holds; soon on disk."""
        for sender in self.reach(pause.sender, pause.scope):
            other = self.at(sender, pause.place)
            if other is not None:
                self.let_go(other)
                # An operator may just have been told that it lasts longer.
                is_asked = other.scope is PauseScope.OPERATOR
                end = self._store.end if is_asked else self._store.remove
                self._writes.soon(at(other), partial(end, other))

    async def write(self, place: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` returned, done behind what is yet to be written of this place.

        Raises:
            StoreUnavailable: it is not written, and is not going to be.
        """
        return await self._writes.now(place, work)

    async def finish(self, grace: timedelta) -> None:
        """Return once everything is on disk, or after `grace`."""
        await self._writes.finish(grace)

    def hold(self, pause: Pause) -> None:
        """Shut the gate for it, and nothing else."""
        self._touched.add(at(pause))
        self._pauses[pause.sender][pause.place] = pause
        opens_at = math.inf
        if pause.until is not None:
            ahead = (pause.until - self._clock.now()).total_seconds()
            opens_at = self._clock.elapsed() + ahead
        wait = pause.wait.total_seconds()
        self._gates[pause.sender].shut(pause.scope, pause.key, opens_at, wait=wait)
        self._changed(pause.sender)

    def let_go(self, pause: Pause) -> None:
        """Open the gate again, and nothing else."""
        self._touched.add(at(pause))
        self._pauses[pause.sender].pop(pause.place, None)
        self._gates[pause.sender].reopen(pause.scope, pause.key)
        if pause.scope is not PauseScope.RECIPIENT:
            _log.info("resumed", sender=pause.sender, scope=pause.scope.value, code=pause.code)
        self._changed(pause.sender)


def at(pause: Pause) -> tuple[SenderName, PauseScope, str]:
    """Whose pause of what it is: there is one of each at most."""
    return (pause.sender, *pause.place)


def log_paused(pause: Pause) -> None:
    """Tell the operator that something began to stand still."""
    _log.warning("paused", sender=pause.sender, scope=pause.scope.value, code=pause.code)
