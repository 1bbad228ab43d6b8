"""Intake, dispatch and receipts of one process, put together upon one database.

`alir.compose` builds it of the settings, and so does whoever runs it in a world of their own: time,
chance, providers and the database are handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from alir.clock import Clock
from alir.dispatch.aftermath import Aftermath, FailureOf
from alir.dispatch.backlog import Backlog
from alir.dispatch.calls import DispatchPolicy
from alir.dispatch.dispatcher import LONGEST_SLEEP_SECONDS, Dispatcher
from alir.dispatch.dispatchers import Dispatchers
from alir.dispatch.gate import Gate, PairLimit
from alir.dispatch.housekeeping import Housekeeper
from alir.dispatch.in_force import InForce
from alir.dispatch.lease import Lease
from alir.dispatch.leases import LOOK_SECONDS, Leases, LeaseStore, SoleOwner
from alir.dispatch.pacing import Pace
from alir.dispatch.pauses import Pauses
from alir.dispatch.ports import Decisions, Measure, Provider
from alir.dispatch.shared_pauses import SharedPauses
from alir.ids import EventId, MessageId, SenderName, new_event_id, new_message_id
from alir.intake.accept import Intake, SenderRules
from alir.intake.batch import Batches
from alir.intake.elsewhere import Elsewhere
from alir.intake.waiting import PENDING, Waiting
from alir.messages.model import Message, ReceiptStatus, Status
from alir.receipts.inbox import Inbox
from alir.receipts.ports import Dialect
from alir.store.callbacks import CallbackStore
from alir.store.database import Database
from alir.store.messages import MessageStore
from alir.store.pauses import PauseStore
from alir.store.receipts import ReceiptStore
from alir.wakeups import News, NoWakeups, Wakeups

#: How long what nobody told of stays unnoticed where processes share a database: wake-ups may be
#: lost. Source: design, section 8.
POLL_SECONDS: Final = 1.0
#: How long a process that ends waits for callbacks that are being applied; the rest is applied at
#: the next start.
_CALLBACK_GRACE: Final = timedelta(seconds=1)
#: How long it tries to let go of its senders; they come free by themselves, a little later.
_RELEASE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderParts:
    """A sender, as the core needs it.

    Attributes:
        account: those of one account stand still together.
        per_second: its limit; 0: none.
        gives_marks: whether its receipts name the attempt that they are about.
    """

    provider: Provider
    account: str
    per_second: float
    pair: PairLimit
    rules: SenderRules
    gives_marks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long things take and last.

    Attributes:
        rate_share: how much of a sender's limit is used.
        attempt_time: after this nothing is on its way any more of an attempt that was begun.
        unknown_after: how long evidence is waited for.
        keep_parked: how long a receipt is kept that matches nothing.
        queue_limit: how many messages of a sender may wait.
    """

    dispatch: DispatchPolicy
    rate_share: float
    attempt_time: timedelta
    unknown_after: timedelta
    keep_parked: timedelta
    queue_limit: int


class Counts(Measure, Decisions, Protocol):
    """Told of what is counted."""

    def received(self, sender: SenderName, status: ReceiptStatus) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is outside: time, chance, and the database."""

    clock: Clock
    database: Database
    random: Callable[[], float]
    new_message_id: Callable[[], MessageId] = new_message_id
    new_event_id: Callable[[], EventId] = new_event_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What a process needs that shares its database with others.

    Attributes:
        process: its name, unlike any other's.
        lasts: how long a sender's lease lives that nobody renews.
        wakeups: what the processes tell each other by.
        looks: how often it looks whose the senders are.
        polls: for how long a message may wait of which nobody told.
    """

    process: str
    leases: LeaseStore
    lasts: timedelta
    wakeups: Wakeups
    looks: timedelta = timedelta(seconds=LOOK_SECONDS)
    polls: timedelta = timedelta(seconds=POLL_SECONDS)


class Core:
    """The parts between the HTTP door, the providers and the database.

    Args:
        sharing: where other processes use the database too; none: this one has it to itself.
        accepts: whether providers can call it back.
        dispatches: whether it hands messages to providers.
        relays: whether it applies callbacks.

    Attributes:
        intake, batches, messages, waiting: for the API.
        pauses: of every sender, as this process begins and ends them.
        shared_pauses: those of all processes.
        inbox: for callbacks.
    """

    def __init__(
        self,
        senders: Mapping[SenderName, SenderParts],
        world: World,
        policy: Policy,
        *,
        dialects: Sequence[Dialect],
        failure_of: FailureOf,
        counts: Counts,
        sharing: Sharing | None = None,
        accepts: bool = True,
        dispatches: bool = True,
        relays: bool = True,
    ) -> None:
        self._senders = senders
        self._policy = policy
        self._world = world
        self._sharing = sharing
        self._accepts = accepts
        self._dispatches = dispatches
        self._relays = relays
        self._wakeups: Wakeups = NoWakeups() if sharing is None else sharing.wakeups
        clock, database = world.clock, world.database
        self.waiting = Waiting(self._look_again)
        self.backlog = Backlog(clock)
        self._own = {name: Lease() for name in senders}
        self._gates = {name: Gate(sender.pair) for name, sender in senders.items()}
        self.pauses, self.shared_pauses = self._make_pauses()
        aftermath = Aftermath(
            failure_of,
            self.pauses,
            policy=policy.dispatch.busy,
            clock=clock,
            random=world.random,
            decisions=counts,
        )
        self.messages = MessageStore(database, clock, changed=self._changed, consequences=aftermath)
        self._dispatchers = {
            name: self._make_dispatcher(name, sender, counts) for name, sender in senders.items()
        }
        self._callbacks = CallbackStore(database, clock)
        self._housekeeper = Housekeeper(
            self.messages,
            clock,
            attempt_time=policy.attempt_time,
            unknown_after=policy.unknown_after,
            decided=aftermath.decided,
            leases=self._own,
            evidence=None if sharing is None else self._callbacks,
        )
        self.inbox = self._make_inbox(dialects, counts, aftermath)
        dispatch = Dispatchers(
            self._dispatchers,
            self.backlog,
            queue_limit=policy.queue_limit,
            peers=self,
        )
        rules = {name: sender.rules for name, sender in senders.items()}
        self.intake = Intake(self.messages, dispatch, rules, clock, world.new_message_id)
        self.batches = Batches(self.intake, self.messages, dispatch)
        self._leases = self._make_leases()
        self._elsewhere = Elsewhere(
            self.waiting, self.messages, clock, has_peers=lambda: self.has_peers
        )
        self._wakeups.listen(self._elsewhere.hear)
        self._wakeups.listen(self._hear)
        self._letting_go: asyncio.Task[None] | None = None

    @property
    def has_peers(self) -> bool:
        """Whether another process shares the database, as far as is known."""
        return self._leases.has_peers

    async def start(self, *, paused: str | None = None) -> dict[str, Coroutine[Any, Any, None]]:
        """Take over what an earlier process left; what is to run from then on, by its name.

        Args:
            paused: why every sender is paused first, as an operator does; none: it is not.

        Raises:
            StoreUnavailable: the database cannot be read or written.
        """
        await self.shared_pauses.load()
        if paused is not None:
            for name in self._senders:
                await self.pauses.pause(name, title=paused)
        if self._relays:
            await self.inbox.take_over()  # what it tells is evidence for what was left begun
        await self._leases.start()
        running = {
            "pauses": self.shared_pauses.run(),
            "leases": self._leases.run(),
            "wake-ups": self._wakeups.run(),
            "callers": self._elsewhere.run(),
        }
        if self._relays:
            running["receipts"] = self.inbox.run()
        if self._dispatches or isinstance(self._leases, SoleOwner):
            running["housekeeping"] = self._housekeeper.run()
        if self._dispatches:
            for name, dispatcher in self._dispatchers.items():
                running[f"dispatch {name}"] = dispatcher.run()
        return running

    def begin_to_stop(self) -> asyncio.Task[None]:
        """Answer who waits, begin no more attempts, and let go of every sender at once.

        What is accepted from then on is another process's to send, or waits for the next start.
        Safe to call twice, and from a signal that the loop handles.

        Returns:
            What ends once the senders are let go of, or that was tried long enough.
        """
        self.waiting.stop()
        for dispatcher in self._dispatchers.values():
            dispatcher.stop()
        if self._letting_go is None:
            self._letting_go = asyncio.create_task(self._let_go(), name="let go")
        return self._letting_go

    async def finish(self, grace: timedelta) -> None:
        """Let the calls under way end for `grace`.

        What a call leaves without an answer stays begun, and is unknown at the next start.
        """
        let_go = self.begin_to_stop()
        await asyncio.gather(let_go, *(d.finish(grace) for d in self._dispatchers.values()))
        await self.pauses.finish()
        await self.inbox.finish(_CALLBACK_GRACE)
        # Last, as others wait for what the calls under way come to.
        await self._wakeups.close()

    def expected_wait(self, message: Message) -> timedelta:
        """How long a message that was just stored waits for its turn, about."""
        dispatcher = self._dispatchers.get(message.sender)
        if dispatcher is None:  # a repeat may find a message of one that is gone
            return timedelta()
        wait = dispatcher.expected_wait(message)
        per_second = self._senders[message.sender].per_second * self._policy.rate_share
        if not per_second or wait == timedelta.max:
            return wait
        return wait + timedelta(seconds=self.backlog.slots_until(message) / per_second)

    # As `Owner` of leases

    async def learn(self, sender: SenderName, *, was_left: bool) -> None:
        """See `Owner.learn`."""
        await self.shared_pauses.take_over(sender)
        await self._housekeeper.take_over(sender, was_left=was_left)
        await self._dispatchers[sender].take_over()

    def taken(self, sender: SenderName) -> None:
        """See `Owner.taken`."""
        self._dispatchers[sender].wake()

    async def at_rest(self, sender: SenderName) -> None:
        """See `Owner.at_rest`."""
        await self._dispatchers[sender].at_rest()

    def lost(self, sender: SenderName) -> None:
        """See `Owner.lost`."""
        self.shared_pauses.leave(sender)
        self._housekeeper.lost(sender)

    async def _let_go(self) -> None:
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._leases.finish()
        except TimeoutError:
            pass  # the database does not answer; they run out by themselves

    def _make_pauses(self) -> tuple[Pauses, SharedPauses]:
        clock, told = self._world.clock, self._wakeups.pause_changed
        store = PauseStore(self._world.database, clock, self._world.new_event_id, changed=told)
        accounts = {name: sender.account for name, sender in self._senders.items()}
        providers = {name: sender.provider for name, sender in self._senders.items()}
        in_force = InForce(self._gates, accounts, store, clock, changed=self._pause_changed)
        pauses = Pauses(in_force, self._gates, providers, store, clock)
        return pauses, SharedPauses(in_force, pauses, store, clock, leases=self._own)

    def _make_inbox(
        self, dialects: Sequence[Dialect], counts: Counts, aftermath: Aftermath
    ) -> Inbox:
        clock, database = self._world.clock, self._world.database
        return Inbox(
            dialects,
            self._callbacks,
            ReceiptStore(database, clock, changed=self._changed, consequences=aftermath),
            clock,
            keep_parked=self._policy.keep_parked,
            counted=counts.received,
            heard=self._heard,
            missed=self._evidence_missed,
            guessing=[name for name, sender in self._senders.items() if not sender.gives_marks],
            applies=self._relays,
            shares=self._sharing is not None,
            kept=self._wakeups.callback_kept,
        )

    def _make_leases(self) -> Leases | SoleOwner:
        sharing = self._sharing
        if sharing is None:
            return SoleOwner(self._own, self)
        return Leases(
            sharing.process,
            self._own if self._dispatches else {},
            sharing.leases,
            self,
            self._world.clock,
            lasts=sharing.lasts,
            looks=sharing.looks,
            told=self._wakeups.lease_changed,
            takes_callbacks=self._accepts,
            applies_callbacks=self._relays,
            missed=self._housekeeper.evidence_missed,
        )

    def _make_dispatcher(
        self, name: SenderName, sender: SenderParts, measure: Measure
    ) -> Dispatcher:
        polls = None if self._sharing is None else self._sharing.polls.total_seconds()
        return Dispatcher(
            name,
            provider=sender.provider,
            outbox=self.messages,
            pace=Pace(sender.per_second, self._policy.rate_share),
            gate=self._gates[name],
            pauses=self.pauses,
            policy=self._policy.dispatch,
            clock=self._world.clock,
            random=self._world.random,
            measure=measure,
            lease=self._own[name],
            longest_sleep=LONGEST_SLEEP_SECONDS if polls is None else polls,
        )

    def _hear(self, news: News) -> None:
        """Other processes told this; the names in it may be of no sender here."""
        for sender, dispatcher in self._dispatchers.items():
            if news.missed or sender in news.queued:
                dispatcher.queued_elsewhere()
            if (times := news.heard.get(sender, 0)) > 0:
                dispatcher.heard_from(times)
            if news.missed or sender in news.pauses:
                dispatcher.paused_elsewhere()
        if news.missed or news.leases:
            self._leases.wake()
        if news.missed or news.callbacks:
            self.inbox.wake()
        if news.missed or news.evidence_missed:
            self._housekeeper.evidence_missed()
        if news.missed or news.pauses:
            # Of recipients there may be many, and only who holds the sender sees to them.
            are_ours = any(name in self._own and self._own[name].is_held for name in news.pauses)
            self.shared_pauses.wake(recipients=news.missed or are_ours)

    def _evidence_missed(self) -> None:
        self._housekeeper.evidence_missed()
        self._wakeups.evidence_missed()

    def _heard(self, sender: SenderName) -> None:
        self._wakeups.heard(sender)
        dispatcher = self._dispatchers.get(sender)
        if dispatcher is not None:
            dispatcher.heard_from()

    def _pause_changed(self, sender: SenderName) -> None:
        dispatcher = self._dispatchers.get(sender)
        if dispatcher is not None:
            dispatcher.wake()

    def _look_again(self, message_id: MessageId) -> None:
        self._elsewhere.look(message_id)

    def _changed(self, message: Message) -> None:
        self.waiting.publish(message)
        self.backlog.changed(message)
        self._housekeeper.changed(message)
        if message.status is Status.QUEUED:
            dispatcher = self._dispatchers.get(message.sender)
            if dispatcher is None:
                pass  # a sender that is gone from the settings
            elif self._own[message.sender].is_held:
                dispatcher.queued(message)
            else:
                self._wakeups.queued(message.sender)
        elif message.status not in PENDING:
            self._wakeups.settled(message.id)
