"""Every sender's pauses: in force at once, then on disk.

What a provider's refusal asks for holds from the moment that the answer is read; that it stands on
disk too comes a moment later. Were a process to end between the two, the next one's first attempt
would be refused as well, and so learn of it.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from alir.clock import Clock
from alir.dispatch.gate import Gate
from alir.dispatch.lease import Lease
from alir.dispatch.ordered import Ordered
from alir.dispatch.pause import (
    WHOLE,
    Pause,
    Strike,
    by_operator,
    is_healed,
    is_over,
    opened,
    prolonged,
    struck,
)
from alir.dispatch.places import flow_key
from alir.dispatch.ports import PauseStore, Provider
from alir.errors import PauseScope, ProviderBusy, StoreUnavailable
from alir.ids import SenderName
from alir.messages.model import Message
from alir.observe import get_logger

#: How often what other processes (`alir sender`) changed is looked at, and secrets that may heal.
SYNC_SECONDS = 1.0
#: How long a process that ends waits for what is not on disk yet; the next one learns it again.
FINISH = timedelta(seconds=2)
#: A recipient's pause that nobody tried the end of is forgotten after this.
FORGOTTEN_AFTER = timedelta(hours=1)

_WHOLE_PLACES = tuple((scope, "") for scope in WHOLE)

_log = get_logger("pauses")


class Pauses:
    """What stands still, of every sender of this process.

    Args:
        accounts: the account of each sender; those of one account stand still together.
        changed: called with each sender for which something began or ended.
        leases: where processes share the database, each sees to the senders that it dispatches for.
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
        leases: Mapping[SenderName, Lease],
    ) -> None:
        self._gates = gates
        self._leases = leases
        self._providers = providers
        self._accounts = accounts
        self._store = store
        self._clock = clock
        self._changed = changed
        self._pauses: dict[SenderName, dict[tuple[PauseScope, str], Pause]] = {s: {} for s in gates}
        # A fingerprint of the secrets that were refused.
        self._refused_with: dict[SenderName, bytes] = {}
        self._writes = Ordered(clock)
        self._syncing = asyncio.Lock()
        self._woken = asyncio.Event()
        self._asks_for_recipients = False
        # How many recipients of each sender stand still on disk, when last counted.
        self._counted: Mapping[SenderName, int] = {}
        # What was changed here since the store was last read: what was read is not newer.
        self._touched: set[Hashable] = set()

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
        used: bytes | None = None,
    ) -> datetime | None:
        """Begin the pause that a refusal of `message` asks for, or make it longer.

        One of its recipient or its Flow shows that the sender and its account are well.

        Args:
            begun_at: when the attempt was begun that was refused.
            by_receipt: whether it was taken first and failed by a receipt.
            used: a fingerprint of the secrets from just before the call; none: nobody knows.

        Returns:
            When it lets one through; none: when somebody resumes it.
        """
        asked = failure.pauses
        assert asked is not None, "asked only of a failure that pauses something"  # noqa: S101 - for mypy
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
        if asked.scope not in WHOLE:
            self._heal(message.sender, _WHOLE_PLACES, begun_at=begun_at, by_receipt=by_receipt)
        else:
            self._gates[message.sender].tried(message.id)
        until = None
        for sender in self._reach(message.sender, asked.scope):
            before = self._pauses[sender].get((asked.scope, key))
            pause = struck(before, strike, sender=sender, key=key, now=self._clock.now())
            if sender == message.sender:
                until = pause.until
            if pause is not before:
                self._begin(pause, is_new=before is None)
        if asked.scope is PauseScope.ACCOUNT:
            self._try_fresh_secrets(message.sender, used)
        return until

    def passed(self, message: Message, *, begun_at: datetime, by_receipt: bool = False) -> None:
        """The provider took `message`, or refused it for itself: what let it through is over.

        Args:
            by_receipt: whether a receipt says so: that it was sent on, or more.
        """
        if self._pauses.get(message.sender):  # a late receipt may be of a sender that is gone
            narrow = (
                (PauseScope.RECIPIENT, message.person),
                (PauseScope.FLOW, flow_key(message)),
            )
            places = (*_WHOLE_PLACES, *narrow)
            self._heal(message.sender, places, begun_at=begun_at, by_receipt=by_receipt)

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
        place = (PauseScope.OPERATOR, "")

        async def work() -> Pause:
            before = self._pauses[sender].get(place)
            now = self._clock.now()
            pause = by_operator(before, sender=sender, title=title, until=until, now=now)
            await self._store.put(pause, is_new=before is None)
            if before is None:
                _log_paused(pause)
            self._hold(pause)  # not earlier: what cannot be stored does not hold either
            return pause

        return await self._writes.now((sender, *place), work)

    def recipients(self, sender: SenderName) -> int:
        """How many recipients of a sender stand still.

        Of one that another process dispatches for: by what was on disk at the last
        `count_recipients`.
        """
        if not self._leases[sender].is_held:
            return self._counted.get(sender, 0)
        return sum(scope is PauseScope.RECIPIENT for scope, _ in self._pauses[sender])

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
        stored = {_at(pause): pause for pause in await self._store.of(sender)}
        known = {
            _at(other): other
            for pause in self.of(sender)
            for name in self._reach(sender, pause.scope)
            if (other := self._pauses[name].get(pause.place)) is not None
        }
        ended = [*(stored | known).values()]
        for pause in known.values():
            self._let_go(pause)
        # Each behind what is yet to be written of it, which else would bring it back.
        removals = [
            self._writes.now(_at(pause), partial(self._store.remove, pause)) for pause in ended
        ]
        results = await asyncio.gather(*removals, return_exceptions=True)
        faults = [result for result in results if isinstance(result, BaseException)]
        for pause, result in zip(ended, results, strict=True):
            is_mine = _at(pause) in known and pause.place not in self._pauses[pause.sender]
            if result in faults and is_mine:
                self._hold(pause)
        if faults:
            raise faults[0]
        return ended

    async def load(self) -> None:
        """Take over what holds whole senders or their Flows."""
        for pause in await self._store.all(but_recipients=True):
            if pause.sender in self._pauses:
                self._hold(pause)

    async def take_over(self, sender: SenderName) -> None:
        """Take over what an earlier process left; what the secrets may have healed is tried."""
        now = self._clock.now()
        for pause in await self._store.of(sender):
            if pause.scope is PauseScope.ACCOUNT and pause.until is not None:
                self._begin(opened(pause, now=now), is_new=False)
            else:
                self._hold(pause)

    def leave(self, sender: SenderName) -> None:
        """Forget who of the recipients stands still: another process sees to that."""
        for pause in list(self._pauses[sender].values()):
            if pause.scope is PauseScope.RECIPIENT:
                self._let_go(pause)

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

    async def _look_every_second(self) -> None:
        while True:
            await self._clock.sleep(SYNC_SECONDS)
            await self._try_to_sync()

    async def _look_when_woken(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self._try_to_sync()

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

    async def sync(self, *, recipients: bool = False) -> None:
        """Take over what other processes changed, and let secrets that changed be tried.

        Args:
            recipients: those of recipients too, which are many. Without it they are counted: of one
                of whom fewer are on disk than are known here, somebody resumed the sender.
        """
        for sender, mine in self._pauses.items():
            if not self._leases[sender].is_held:
                continue
            if (PauseScope.ACCOUNT, "") in mine:
                self._try_fresh_secrets(sender)
        async with self._syncing:
            self._touched.clear()
            newer = self._writes.places
            recipients = recipients or await self._were_recipients_resumed(newer)
            read = await self._store.all(but_recipients=not recipients)
            if recipients:
                read = [pause for pause in read if self._concerns(pause)]
            # Of these what was read may be older than what is known here.
            newer |= self._touched | self._writes.places
            self._take_over(
                {_at(pause): pause for pause in read}, newer, but_recipients=not recipients
            )
        self._forget_recipients()
        # Last: what was just read may say that it lasts longer.
        for sender, mine in self._pauses.items():
            asked = mine.get((PauseScope.OPERATOR, ""))
            is_mine = self._leases[sender].is_held
            if is_mine and asked is not None and is_over(asked, now=self._clock.now()):
                self._end_everywhere(asked)

    async def _were_recipients_resumed(self, newer: Container[Hashable]) -> bool:
        """Whether fewer pauses of recipients are on disk than are known here to have been put."""
        known = Counter(
            sender
            for sender, mine in self._pauses.items()
            for pause in mine.values()
            if pause.scope is PauseScope.RECIPIENT and _at(pause) not in newer
        )
        if not known:
            return False
        stored = await self._store.recipients()
        return any(count > stored.get(sender, 0) for sender, count in known.items())

    def _concerns(self, pause: Pause) -> bool:
        """Whether a pause on disk is this process's to see to, or known here by a receipt."""
        mine = self._pauses.get(pause.sender)
        if mine is None:
            return False
        is_narrow = pause.scope is PauseScope.RECIPIENT
        return not is_narrow or self._leases[pause.sender].is_held or pause.place in mine

    async def finish(self, grace: timedelta = FINISH) -> None:
        """Return once everything is on disk, or after `grace`."""
        await self._writes.finish(grace)

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
            for mine in self._pauses.values()
            for pause in mine.values()
            if not (pause.scope is PauseScope.RECIPIENT and but_recipients)
            and _at(pause) not in stored
            and _at(pause) not in newer
        ]
        for pause in ended:
            self._let_go(pause)
        for place, pause in stored.items():
            mine = self._pauses.get(pause.sender)
            if mine is not None and place not in newer and mine.get(pause.place) != pause:
                if pause.place not in mine:
                    _log_paused(pause)
                self._hold(pause)

    def _heal(
        self,
        sender: SenderName,
        places: Iterable[tuple[PauseScope, str]],
        *,
        begun_at: datetime,
        by_receipt: bool,
    ) -> None:
        """End what is over of these, as an attempt tells that was not refused for them."""
        now = self._clock.now()
        for place in places:
            pause = self._pauses[sender].get(place)
            if pause is not None and (
                is_over(pause, now=now)
                or is_healed(pause, begun_at=begun_at, now=now, by_receipt=by_receipt)
            ):
                self._end_everywhere(pause)

    def _reach(self, sender: SenderName, scope: PauseScope) -> Sequence[SenderName]:
        """The senders that a pause of this one holds."""
        if scope is not PauseScope.ACCOUNT:
            return [sender]
        account = self._accounts[sender]
        return [name for name in self._gates if self._accounts[name] == account]

    def _begin(self, pause: Pause, *, is_new: bool) -> None:
        self._hold(pause)
        if is_new:
            _log_paused(pause)
        self._writes.soon(_at(pause), partial(self._store.put, pause, is_new=is_new))

    def _end_everywhere(self, pause: Pause) -> None:
        for sender in self._reach(pause.sender, pause.scope):
            other = self._pauses[sender].get(pause.place)
            if other is not None:
                self._let_go(other)
                # An operator may just have been told that it lasts longer.
                is_asked = other.scope is PauseScope.OPERATOR
                end = self._store.end if is_asked else self._store.remove
                self._writes.soon(_at(other), partial(end, other))

    def _hold(self, pause: Pause) -> None:
        self._touched.add(_at(pause))
        self._pauses[pause.sender][pause.place] = pause
        opens_at = math.inf
        if pause.until is not None:
            ahead = (pause.until - self._clock.now()).total_seconds()
            opens_at = self._clock.elapsed() + ahead
        wait = pause.wait.total_seconds()
        self._gates[pause.sender].shut(pause.scope, pause.key, opens_at, wait=wait)
        self._changed(pause.sender)

    def _let_go(self, pause: Pause) -> None:
        self._touched.add(_at(pause))
        self._pauses[pause.sender].pop(pause.place, None)
        self._gates[pause.sender].reopen(pause.scope, pause.key)
        if pause.scope is PauseScope.ACCOUNT:
            self._refused_with.pop(pause.sender, None)
        if pause.scope is not PauseScope.RECIPIENT:
            _log.info("resumed", sender=pause.sender, scope=pause.scope.value, code=pause.code)
        self._changed(pause.sender)

    def _try_fresh_secrets(self, sender: SenderName, used: bytes | None = None) -> None:
        """Where a secret has changed since it was refused, let one message through to see.

        Args:
            used: what was refused; none: what the provider would use now.
        """
        provider = self._providers[sender]
        if sender not in self._refused_with:
            self._refused_with[sender] = provider.credentials() if used is None else used
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
        for sender, mine in self._pauses.items():
            # What a receipt told of another process's sender is left to that process.
            end = self._end_everywhere if self._leases[sender].is_held else self._let_go
            for pause in list(mine.values()):
                is_old = pause.until is not None and pause.until < long_ago
                if pause.scope is PauseScope.RECIPIENT and is_old:
                    end(pause)


def _log_paused(pause: Pause) -> None:
    _log.warning("paused", sender=pause.sender, scope=pause.scope.value, code=pause.code)


def _at(pause: Pause) -> tuple[SenderName, PauseScope, str]:
    return (pause.sender, *pause.place)
