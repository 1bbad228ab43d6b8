"""Every sender's pauses: in force at once, then on disk.

What a provider's refusal asks for holds from the moment that the answer is read; that it stands on
disk too comes a moment later. Were a process to end between the two, the next one's first attempt
would be refused as well, and so learn of it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from alir.clock import Clock
from alir.dispatch.gate import Gate
from alir.dispatch.pause import (
    WHOLE,
    Pause,
    Strike,
    by_operator,
    flow_key,
    is_healed,
    is_over,
    opened,
    prolonged,
    struck,
)
from alir.dispatch.ports import Provider
from alir.errors import PauseScope, ProviderBusy, StoreUnavailable
from alir.ids import SenderName
from alir.messages.model import Message
from alir.observe import get_logger

#: How often what other processes (`alir sender`) changed is looked at, and secrets that may heal.
SYNC_SECONDS = 1.0
STORE_PAUSE_SECONDS = 0.5
#: A recipient's pause that nobody tried the end of is forgotten after this.
FORGOTTEN_AFTER = timedelta(hours=1)

_log = get_logger("pauses")


class PauseStore(Protocol):
    """The pauses on disk."""

    async def put(self, pause: Pause, *, is_new: bool) -> None:
        """Store it, or what it has become; of a new one users are told."""
        ...

    async def remove(self, pause: Pause) -> None:
        """It is over, and users are told."""
        ...

    async def all(self) -> list[Pause]:
        """Every pause of every sender."""
        ...

    async def release(self, pause: Pause, *, limit: int) -> int:
        """Let up to `limit` messages be due that wait for it; how many those were."""
        ...


class Pauses:
    """What stands still, of every sender of this process.

    Args:
        accounts: the account of each sender; those of one account stand still together.
        changed: called with each sender for which something began or ended.
    """

    def __init__(
        self,
        gates: Mapping[SenderName, Gate],
        providers: Mapping[SenderName, Provider],
        accounts: Mapping[SenderName, str],
        store: PauseStore,
        clock: Clock,
        *,
        changed: Callable[[SenderName], None],
    ) -> None:
        self._gates = gates
        self._providers = providers
        self._accounts = accounts
        self._store = store
        self._clock = clock
        self._changed = changed
        self._pauses: dict[SenderName, dict[tuple[PauseScope, str], Pause]] = {s: {} for s in gates}
        # A fingerprint of the secrets that were refused.
        self._refused_with: dict[SenderName, bytes] = {}
        # Counts what was changed here, so that what was read before is not taken for newer.
        self._generation = 0
        self._writing: set[asyncio.Task[None]] = set()

    def of(self, sender: SenderName) -> list[Pause]:
        """What stands still of this sender, longest first."""
        return sorted(self._pauses[sender].values(), key=lambda pause: pause.since)

    def strike(
        self,
        message: Message,
        failure: ProviderBusy,
        *,
        begun_at: datetime,
        by_receipt: bool = False,
    ) -> datetime | None:
        """Begin the pause that a refusal of `message` asks for, or make it longer.

        Args:
            begun_at: when the attempt was begun that was refused.
            by_receipt: whether it was taken first and failed by a receipt.

        Returns:
            When it lets one through; none: when somebody resumes it.
        """
        asked = failure.pauses
        assert asked is not None, "asked only of a failure that pauses something"  # noqa: S101
        strike = Strike(
            asked=asked,
            code=failure.provider_code,
            title=failure.title,
            begun_at=begun_at,
            retry_after=failure.retry_after,
            by_receipt=by_receipt,
        )
        key = {PauseScope.RECIPIENT: message.person, PauseScope.FLOW: flow_key(message)}.get(
            asked.scope, ""
        )
        until = None
        for sender in self._reach(message.sender, asked.scope):
            before = self._pauses[sender].get((asked.scope, key))
            pause = struck(before, strike, sender=sender, key=key, now=self._clock.now())
            if sender == message.sender:
                until = pause.until
            if pause is not before:
                self._begin(pause, is_new=before is None)
        if asked.scope is PauseScope.ACCOUNT:
            self._try_fresh_secrets(message.sender)
        return until

    def passed(self, message: Message, *, begun_at: datetime, by_receipt: bool = False) -> None:
        """The provider took `message`, or refused it for itself: what let it through is over.

        Args:
            by_receipt: whether a receipt says so: that it was sent on, or more.
        """
        mine = self._pauses[message.sender]
        if not mine:
            return
        now = self._clock.now()
        places = [(scope, "") for scope in WHOLE]
        places += [
            (PauseScope.RECIPIENT, message.person),
            (PauseScope.FLOW, flow_key(message)),
        ]
        for place in places:
            pause = mine.get(place)
            if pause is not None and (
                is_over(pause, now=now)
                or is_healed(pause, begun_at=begun_at, now=now, by_receipt=by_receipt)
            ):
                self._end_everywhere(pause)

    def unclear(self, sender: SenderName) -> None:
        """What was let through to see told nothing: wait once more as long."""
        now = self._clock.now()
        for pause in list(self._pauses[sender].values()):
            if is_over(pause, now=now):
                self._end_everywhere(pause)
            elif pause.scope in WHOLE and pause.until is not None and pause.until <= now:
                self._begin(prolonged(pause, now=now), is_new=False)

    def begun(self, message: Message) -> None:
        """A message goes: where its Flow is slow, that was the one for now."""
        pause = self._pauses[message.sender].get((PauseScope.FLOW, flow_key(message)))
        if pause is not None:
            self._begin(prolonged(pause, now=self._clock.now()), is_new=False)

    async def pause(
        self, sender: SenderName, *, title: str, until: datetime | None = None
    ) -> Pause:
        """Let nothing of a sender through, because a person says so; on disk when it returns."""
        before = self._pauses[sender].get((PauseScope.OPERATOR, ""))
        now = self._clock.now()
        pause = by_operator(before, sender=sender, title=title, until=until, now=now)
        # First on disk: what `sync` read before that must not be taken for its end.
        await self._store.put(pause, is_new=before is None)
        self._hold(pause)
        return pause

    async def resume(self, sender: SenderName) -> list[Pause]:
        """End everything that stands still of a sender; on disk when it returns."""
        ended = [
            other
            for pause in self.of(sender)
            for name in self._reach(sender, pause.scope)
            if (other := self._pauses[name].get(pause.place)) is not None
        ]
        for pause in ended:
            await self._store.remove(pause)
            self._let_go(pause)
            await self._release(pause)
        return ended

    async def load(self) -> None:
        """Take over what an earlier process left; what the secrets may have healed is tried."""
        now = self._clock.now()
        for pause in await self._store.all():
            if pause.sender not in self._pauses:
                continue
            if pause.scope is PauseScope.ACCOUNT and pause.until is not None:
                pause = opened(pause, now=now)  # noqa: PLW2901
            self._hold(pause)

    async def run(self) -> None:
        """Look at other processes' changes and at secrets, every `SYNC_SECONDS`, for ever."""
        while True:
            await self._clock.sleep(SYNC_SECONDS)
            try:
                await self.sync()
            except StoreUnavailable as error:
                _log.warning("sync_failed", reason=str(error))

    async def sync(self) -> None:
        """Take over what other processes changed, and let secrets that changed be tried."""
        for sender, mine in self._pauses.items():
            if (PauseScope.ACCOUNT, "") in mine:
                self._try_fresh_secrets(sender)
            asked = mine.get((PauseScope.OPERATOR, ""))
            if asked is not None and is_over(asked, now=self._clock.now()):
                self._end_everywhere(asked)
        generation = self._generation
        if self._writing:
            return
        stored = {(pause.sender, *pause.place): pause for pause in await self._store.all()}
        if generation != self._generation or self._writing:
            return  # what was read is older than what is known here
        for sender, mine in self._pauses.items():
            for pause in list(mine.values()):
                if (sender, *pause.place) not in stored:
                    self._let_go(pause)
                    await self._release(pause)
        for pause in stored.values():
            if pause.sender in self._pauses and pause != self._pauses[pause.sender].get(
                pause.place
            ):
                self._hold(pause)
        self._forget_recipients()

    async def finish(self) -> None:
        """Return once everything is on disk."""
        while self._writing:
            await asyncio.wait(self._writing)

    def _reach(self, sender: SenderName, scope: PauseScope) -> Sequence[SenderName]:
        """The senders that a pause of this one holds."""
        if scope is not PauseScope.ACCOUNT:
            return [sender]
        account = self._accounts[sender]
        return [name for name in self._gates if self._accounts[name] == account]

    def _begin(self, pause: Pause, *, is_new: bool) -> None:
        self._hold(pause)
        if is_new:
            _log.warning("paused", sender=pause.sender, scope=pause.scope.value, code=pause.code)
        self._write(partial(self._store.put, pause, is_new=is_new))

    def _end_everywhere(self, pause: Pause) -> None:
        for sender in self._reach(pause.sender, pause.scope):
            other = self._pauses[sender].get(pause.place)
            if other is not None:
                self._let_go(other)
                self._write(partial(self._ended, other))

    async def _ended(self, pause: Pause) -> None:
        await self._store.remove(pause)
        await self._release(pause)

    async def _release(self, pause: Pause) -> None:
        if pause.key:
            limit = 500  # bounds how long one write holds up others
            while await self._store.release(pause, limit=limit) == limit:
                pass
            self._changed(pause.sender)

    def _hold(self, pause: Pause) -> None:
        self._generation += 1
        self._pauses[pause.sender][pause.place] = pause
        opens_at = math.inf
        if pause.until is not None:
            ahead = (pause.until - self._clock.now()).total_seconds()
            opens_at = self._clock.elapsed() + ahead
        wait = pause.wait.total_seconds()
        self._gates[pause.sender].shut(pause.scope, pause.key, opens_at, wait=wait)
        self._changed(pause.sender)

    def _let_go(self, pause: Pause) -> None:
        self._generation += 1
        self._pauses[pause.sender].pop(pause.place, None)
        self._gates[pause.sender].reopen(pause.scope, pause.key)
        if pause.scope is PauseScope.ACCOUNT:
            self._refused_with.pop(pause.sender, None)
        if pause.scope is not PauseScope.RECIPIENT:
            _log.info("resumed", sender=pause.sender, scope=pause.scope.value, code=pause.code)
        self._changed(pause.sender)

    def _try_fresh_secrets(self, sender: SenderName) -> None:
        """Where a secret has changed since it was refused, let one message through to see."""
        provider = self._providers[sender]
        if sender not in self._refused_with:
            self._refused_with[sender] = provider.credentials()
            provider.refresh_credentials()
        if provider.credentials() == self._refused_with[sender]:
            return
        self._refused_with[sender] = provider.credentials()
        now = self._clock.now()
        for name in self._reach(sender, PauseScope.ACCOUNT):
            pause = self._pauses[name].get((PauseScope.ACCOUNT, ""))
            if pause is not None and (pause.until is None or pause.until > now):
                self._begin(opened(pause, now=now), is_new=False)

    def _forget_recipients(self) -> None:
        long_ago = self._clock.now() - FORGOTTEN_AFTER
        for mine in self._pauses.values():
            for pause in list(mine.values()):
                is_old = pause.until is not None and pause.until < long_ago
                if pause.scope is PauseScope.RECIPIENT and is_old:
                    self._end_everywhere(pause)

    def _write(self, work: Callable[[], Awaitable[None]]) -> None:
        """Put it on disk, in the order in which it happened, however long that takes."""
        before: Iterable[asyncio.Task[None]] = tuple(self._writing)
        task = asyncio.create_task(self._written(work, before), name="pauses")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _written(
        self, work: Callable[[], Awaitable[None]], before: Iterable[asyncio.Task[None]]
    ) -> None:
        if before:
            await asyncio.wait(before)
        while True:
            try:
                await work()
            except StoreUnavailable as error:
                _log.warning("pause_not_stored", reason=str(error))
                await self._clock.sleep(STORE_PAUSE_SECONDS)
            else:
                return
