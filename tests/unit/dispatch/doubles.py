"""A dispatcher in a world of its own: time moves by hand, the store is memory, the provider a
script."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.clock import FakeClock, idle
from tests.examples import MAIN, OTHER, a_message

from alir.dispatch.attempt import BusyPolicy
from alir.dispatch.calls import DispatchPolicy
from alir.dispatch.dispatcher import Dispatcher
from alir.dispatch.gate import Gate, PairLimit, Turn
from alir.dispatch.housekeeping import Housekeeper
from alir.dispatch.in_force import InForce
from alir.dispatch.lease import Lease
from alir.dispatch.pacing import Pace
from alir.dispatch.pause import Pause
from alir.dispatch.pauses import Pauses
from alir.dispatch.ports import Begun, Due, Judge, Provider, Sent, Served
from alir.dispatch.shared_pauses import SharedPauses
from alir.dispatch.slots import NOBODY, StoodBack, next_slot
from alir.errors import LeaseLost, NotFound, PauseScope, StoreUnavailable
from alir.ids import Fence, MessageId, ProviderId, SenderName
from alir.messages import life
from alir.messages.life import Change, Settlement
from alir.messages.model import Decision, Message, Outcome, Status

UNAVAILABLE = StoreUnavailable("the disk is full")
ATTEMPT_TIME = timedelta(seconds=35)


class MemoryOutbox:
    """Messages in memory. `broken` holds the names of what fails; `held` of what waits.

    Attributes:
        in_doubt: a begin that fails has taken effect all the same.
        breaks_at_parked: to ask who waits meets a fault of alir's own.
        told: what users were told, of which message, in order.
        fallen: the fences that stand no more.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.messages: dict[MessageId, Message] = {}
        self.broken: set[str] = set()
        self.in_doubt = False
        self.breaks_at_parked = False
        self.tries = 0
        self.fallen: set[Fence | None] = set()
        self.window_shut: set[MessageId] = set()
        self.queued: Callable[[Message], None] = lambda _: None
        self.changed: Callable[[Message], None] = lambda _: None
        self.told: list[tuple[MessageId, str]] = []
        self._open: dict[str, asyncio.Event] = {}

    def hold(self, name: str) -> Callable[[], None]:
        """Let `name` wait until what this returns is called."""
        self._open[name] = asyncio.Event()
        return self._open[name].set

    async def begin(
        self,
        sender: SenderName,
        *,
        limit: int,
        judge: Judge,
        turns: Sequence[Turn] = (),
        stood_back: StoodBack = NOBODY,
        fence: Fence | None = None,
    ) -> Begun:
        assert limit > 0
        fault = await self._reached("begin")
        if fence in self.fallen:
            raise LeaseLost(sender)
        if fault is not None and not self.in_doubt:
            raise fault
        now = self._clock.now()
        mine = [m for m in self.messages.values() if m.sender == sender]
        queued = [m for m in mine if m.status is Status.QUEUED]
        begun: list[Message] = []

        def look(message: Message, head_of: str | None) -> bool:
            shut = message.id in self.window_shut
            change = judge(message, window_shut=shut, head_of=head_of)
            if change is None:
                return False
            after = change.message.but(version=message.version + 1)
            self.messages[message.id] = after
            if after.status is Status.SENDING:
                begun.append(after)
            elif after.parked is not None:
                self.queued(after)
            return after.status is Status.SENDING

        served = []
        for turn in turns:
            there = sorted((m for m in queued if m.parked == turn.place), key=lambda m: m.due_at)
            heads = there[: min(turn.most, limit - len(begun))]
            gone = sum(look(message, turn.place) for message in heads)
            served.append(Served(turn.place, gone, is_empty=not heads))
        due = sorted(
            (m for m in queued if m.due_at <= now and m.parked is None), key=lambda m: m.due_at
        )
        while due and len(begun) < limit:
            slot = next_slot({m.queue_class for m in due}, stood_back)
            message = next(m for m in due if m.queue_class is slot.of)
            due.remove(message)
            if look(message, None):
                stood_back = slot.then
        if fault is not None:
            return Begun(tuple(begun), None, more=True, in_doubt=True)
        mine = [m for m in self.messages.values() if m.sender == sender]
        in_line = [m for m in mine if m.status is Status.QUEUED and m.parked is None]
        later = [m.due_at for m in in_line if m.due_at > now]
        more = len(begun) == limit
        next_due = None if more else min(later, default=None)
        return Begun(tuple(begun), next_due, more, served=tuple(served), stood_back=stood_back)

    async def settle(self, message: Message, settlement: Settlement, *, number: int) -> Message:
        return await self.change(
            message, lambda m: life.settle(m, number, settlement, now=self._clock.now()), "settle"
        )

    async def change(
        self,
        message: Message | MessageId,
        decide: Callable[[Message], Change | None],
        name: str = "change",
        *,
        fence: Fence | None = None,
    ) -> Message:
        fault = await self._reached(name)
        if fault is not None:
            raise fault
        if fence in self.fallen:
            return message if isinstance(message, Message) else self.messages[message]
        id_ = message.id if isinstance(message, Message) else message
        if id_ not in self.messages:
            raise NotFound("no message has this id")
        decided = decide(self.messages[id_])
        if decided is not None:
            self.told += [(id_, happened.name) for happened in decided.events]
            self._put(decided.message)
        return self.messages[id_]

    async def lately(self, sender: SenderName, *, since: datetime) -> list[tuple[str, datetime]]:
        begun = [
            (message.person, attempt.begun_at)
            for message in self.messages.values()
            for attempt in message.attempts
            if message.sender == sender and attempt.begun_at >= since
        ]
        return sorted(begun, key=lambda one: one[1])

    async def parked(self, sender: SenderName) -> list[tuple[str, int]]:
        if self.breaks_at_parked:
            raise RuntimeError("a fault of alir's own")
        places = [
            m.parked
            for m in self.messages.values()
            if m.sender == sender and m.status is Status.QUEUED and m.parked is not None
        ]
        return list(Counter(places).items())

    async def left_begun(
        self,
        *,
        before: datetime | None = None,
        of: SenderName | None = None,
        but: Sequence[SenderName] = (),
    ) -> list[tuple[MessageId, int]]:
        return [
            (message.id, attempt.number)
            for message in self.messages.values()
            for attempt in message.attempts
            if attempt.outcome is None and (before is None or attempt.begun_at < before)
            if of in {None, message.sender} and message.sender not in but
        ]

    async def get(self, message_id: MessageId) -> Message:
        try:
            return self.messages[message_id]
        except KeyError:
            raise NotFound("No message has this id") from None

    async def left_unknown(self, *, of: Collection[SenderName], limit: int) -> list[Message]:
        unknown = [
            m for m in self.messages.values() if m.status is Status.UNKNOWN and m.sender in of
        ]
        return sorted(unknown, key=lambda m: m.id, reverse=True)[:limit]

    async def unknown_to_retry(self, *, of: Collection[SenderName], limit: int) -> list[Message]:
        await self._reached("unknown_to_retry")
        now = self._clock.now()
        ours = [m for m in self.messages.values() if m.sender in of]
        return [m for m in ours if life.may_retry_by_itself(m, now=now)][:limit]

    async def expired(self, *, limit: int, but: Sequence[SenderName] = ()) -> list[MessageId]:
        fault = await self._reached("expired")
        if fault is not None:
            raise fault
        now = self._clock.now()
        ours = [m for m in self.messages.values() if m.sender not in but]
        return [m.id for m in ours if life.expire(m, now=now)][:limit]

    async def due(self, sender: SenderName, *, at_most: int) -> Due:
        raise NotImplementedError

    def put(self, message: Message) -> Message:
        """Store a message as it is."""
        self._put(message)
        return message

    def _put(self, message: Message) -> None:
        self.messages[message.id] = message
        self.changed(message)
        if message.status is Status.QUEUED:
            self.queued(message)

    async def _reached(self, name: str) -> StoreUnavailable | None:
        self.tries += 1
        if name in self._open:
            await self._open[name].wait()
        return UNAVAILABLE if name in self.broken else None


@dataclass
class ScriptedProvider:
    """Answers in the order of `answers`, then always takes the message.

    Attributes:
        sent: when, which message, which attempt: in the order in which it was called.
    """

    clock: FakeClock
    answers: deque[Exception | None] = field(default_factory=deque)
    sent: list[tuple[float, MessageId, int]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0
    most_under_way: int = 0
    token: bytes = b"first"
    in_file: bytes | None = None

    ready: asyncio.Event | None = None
    log_in_fails: Exception | None = None

    def is_ready(self) -> bool:
        return self.ready is None

    async def get_ready(self) -> None:
        assert self.ready is not None
        await self.ready.wait()
        if self.log_in_fails is not None:
            raise self.log_in_fails

    def credentials(self) -> bytes:
        return self.token

    def refresh_credentials(self) -> None:
        self.token = self.in_file or self.token

    async def send(self, message: Message, attempt: int) -> Sent:
        self.sent.append((self.clock.elapsed(), message.id, attempt))
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            await self.open.wait()
            answer = self.answers.popleft() if self.answers else None
            if answer is not None:
                raise answer
            return Sent(ProviderId(f"wamid.{len(self.sent)}"))
        finally:
            self.under_way -= 1


class MemoryPauses:
    """Pauses in memory, and what users were told of them.

    Attributes:
        broken: nothing can be written.
        faults: what the next writes raise.
        held: pauses of these scopes are not put before `open` is set.
    """

    def __init__(self) -> None:
        self.stored: dict[tuple[SenderName, PauseScope, str], Pause] = {}
        self.told: list[tuple[str, str]] = []
        self.broken = False
        self.faults: list[Exception] = []
        self.held: set[PauseScope] = set()
        self.open = asyncio.Event()

    async def put(self, pause: Pause, *, is_new: bool) -> None:
        if pause.scope in self.held:
            await self.open.wait()
        self._fail()
        self.stored[pause.sender, pause.scope, pause.key] = pause
        if is_new:
            self.told.append(("paused", pause.scope.value))

    async def remove(self, pause: Pause) -> None:
        self._fail()
        if self.stored.pop((pause.sender, pause.scope, pause.key), None) is not None:
            self.told.append(("resumed", pause.scope.value))

    async def end(self, pause: Pause) -> None:
        stored = self.stored.get((pause.sender, pause.scope, pause.key))
        if stored is not None and stored.until == pause.until:
            await self.remove(pause)

    async def of(self, sender: SenderName) -> list[Pause]:
        return [pause for pause in self.stored.values() if pause.sender == sender]

    async def all(self, *, but_recipients: bool = False) -> list[Pause]:
        return [
            pause
            for pause in self.stored.values()
            if not (but_recipients and pause.scope is PauseScope.RECIPIENT)
        ]

    async def recipients(self) -> dict[SenderName, int]:
        return Counter(
            pause.sender for pause in self.stored.values() if pause.scope is PauseScope.RECIPIENT
        )

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)
        if self.broken:
            raise UNAVAILABLE


def held(senders: Iterable[SenderName]) -> dict[SenderName, Lease]:
    """A lease of each that nothing ends."""
    leases = {name: Lease() for name in senders}
    for lease in leases.values():
        lease.keep()
    return leases


class ProcessPauses(NamedTuple):
    """The pauses of one process, and its gates."""

    pauses: Pauses
    shared: SharedPauses
    gates: Mapping[SenderName, Gate]


def make_pauses(
    gates: Mapping[SenderName, Gate],
    provider: Provider,
    accounts: Mapping[SenderName, str],
    store: MemoryPauses,
    clock: FakeClock,
    *,
    leases: Mapping[SenderName, Lease],
    changed: Callable[[SenderName], None] = lambda _: None,
) -> ProcessPauses:
    """The pauses of these gates' senders, which have one provider."""
    in_force = InForce(gates, accounts, store, clock, changed=changed)
    pauses = Pauses(in_force, gates, dict.fromkeys(gates, provider), store, clock)
    return ProcessPauses(pauses, SharedPauses(in_force, pauses, store, clock, leases=leases), gates)


def pauses_of(
    clock: FakeClock,
    store: MemoryPauses,
    accounts: tuple[str, str] = ("a", "b"),
    *,
    dispatches: bool = True,
) -> ProcessPauses:
    """The pauses of MAIN and OTHER, and their gates, with nothing else of a dispatcher.

    Args:
        dispatches: whether both are this process's; else they are nobody's.
    """
    gates = {name: Gate(PairLimit(0)) for name in (MAIN, OTHER)}
    return make_pauses(
        gates,
        ScriptedProvider(clock),
        dict(zip(gates, accounts, strict=True)),
        store,
        clock,
        leases=held(gates) if dispatches else {name: Lease() for name in gates},
    )


class KeptCallbacks:
    """What other processes have kept.

    Attributes:
        kept_at: of each callback that is yet to be applied.
        asked: how often was asked.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.kept_at: list[datetime] = []
        self.asked = 0

    async def any_unapplied(self, *, longer_than: timedelta) -> bool:
        self.asked += 1
        return any(at < self._clock.now() - longer_than for at in self.kept_at)


class Outcomes:
    """Remembers what calls came to, and what was decided about unknown attempts."""

    def __init__(self) -> None:
        self.seen: list[Outcome] = []
        self.decisions: list[Decision] = []

    def decided(self, sender: SenderName, decision: Decision) -> None:
        self.decisions.append(decision)

    def settled(self, sender: SenderName, outcome: Outcome, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append(outcome)


class World:
    """A running dispatcher. Use as an async context manager.

    Attributes:
        gates: of all senders, which have one account; the first alone has messages.
        decided: what the housekeeper decided about unknown messages.
    """

    def __init__(
        self,
        *,
        per_second: float = 0,
        share: float = 0.97,
        max_calls: int = 500,
        busy: BusyPolicy | None = None,
        jitter: float = 0.0,
        clock: FakeClock | None = None,
        pair: PairLimit | None = None,
        senders: Sequence[SenderName] = (MAIN,),
        provider: Callable[[FakeClock], ScriptedProvider] = ScriptedProvider,
    ) -> None:
        self.clock = clock or FakeClock()
        self.outbox = MemoryOutbox(self.clock)
        self.provider = provider(self.clock)
        self.provider.open.set()
        self.outcomes = Outcomes()
        self.gates = {name: Gate(pair or PairLimit(0)) for name in senders}
        self.gate = self.gates[MAIN]
        self.leases = held(senders)
        self.pause_store = MemoryPauses()
        self.pauses, self.shared_pauses, _ = make_pauses(
            self.gates,
            self.provider,
            dict.fromkeys(senders, "main"),
            self.pause_store,
            self.clock,
            leases=self.leases,
            changed=lambda _: self.dispatcher.wake(),
        )
        self.dispatcher = Dispatcher(
            MAIN,
            provider=self.provider,
            outbox=self.outbox,
            pace=Pace(per_second, share),
            gate=self.gate,
            pauses=self.pauses,
            policy=DispatchPolicy(busy=busy or BusyPolicy(), max_calls=max_calls),
            clock=self.clock,
            random=lambda: jitter,
            measure=self.outcomes,
            lease=self.leases[MAIN],
        )
        self.outbox.queued = self.dispatcher.queued
        self.decided: list[tuple[MessageId, Decision]] = []
        self.callbacks = KeptCallbacks(self.clock)
        self.housekeeper = Housekeeper(
            self.outbox,
            self.clock,
            attempt_time=ATTEMPT_TIME,
            unknown_after=timedelta(minutes=2),
            decided=lambda message, decision: self.decided.append((message.id, decision)),
            leases=self.leases,
            evidence=self.callbacks,
        )
        self.outbox.changed = self.housekeeper.changed

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.dispatcher.run())
        await idle()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.dispatcher.stop()
        self.provider.open.set()
        await self.dispatcher.finish(timedelta(seconds=0.01))
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def queue(self, **fields: Any) -> Message:
        """Put a message into the queue, and let happen what happens."""
        now = self.clock.now()
        fields = {"created_at": now, "due_at": now, "first_due_at": now} | fields
        message = self.outbox.put(a_message(**fields))
        await idle()
        return self.stands(message)

    async def advance(self, seconds: float) -> None:
        """Let time pass, and the dispatcher notice."""
        await self.clock.advance(seconds)
        self.dispatcher.wake()  # its own timer runs on real time
        await idle()

    async def run_for(self, seconds: float, *, step: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds / step)):
            await self.advance(step)

    def stands(self, message: Message) -> Message:
        """The message as it stands."""
        return self.outbox.messages[message.id]
