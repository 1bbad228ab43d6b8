"""The world of one schedule: processes that come and go, and all that happens around them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any, Final, TypeVar

from alir.core import Sharing
from alir.errors import StoreUnavailable
from alir.ids import EventId, MessageId, SenderName, ulid
from alir.receipts.ports import CallbackRequest
from alir.store.leases import LeaseStore
from simulation.callers import Callers
from simulation.carrier import Carrier
from simulation.clocks import SkewedClock
from simulation.disk import Disk, Platter, SimulatedDatabase
from simulation.gateway import Gateway
from simulation.happened import Trace
from simulation.loop import VirtualLoop
from simulation.network import Departure, Network, Wire
from simulation.plan import (
    CALM_AT,
    LEAST_MESSAGES,
    PATIENCE,
    PEOPLE,
    SENDERS,
    Deed,
    DiskTemper,
    Fault,
    Plan,
    Rumours,
    spare,
)
from simulation.process import Process
from simulation.promises import (
    LEASE_SECONDS,
    PAUSE_LOOK,
    PAUSE_SLACK,
    Paused,
    at_departure,
    still_held,
)
from simulation.wakeups import Hearsay

T = TypeVar("T")

#: How many processes there are at a time.
_PLACES: Final = 2
_RESTART_SECONDS: Final = 3.0
#: How often it is looked whether all has come to rest.
_LOOK_SECONDS: Final = 1.0
#: Clocks go wrong by so many seconds, and run so much too fast or slow.
#: The furthest is more than an attempt may last, or a guess waits. It is rare, as a schedule lasts
#: until the last message that such a process put off.
_SKEWS: Final = (*(0.0,) * 7, *(-5.0,) * 4, *(5.0,) * 4, 32.0)
_RATES: Final = (1.0, 0.999, 1.001)
#: A busy machine wakes its sleepers late, by up to so many seconds. That these are long makes a
#: schedule quick, too: most of what a gateway does in a minute is to look whether there is work.
_LATE: Final = (4.0, *(8.0,) * 3)
#: How often a process looks at leases, and for messages of which nobody told, in seconds.
_LOOKS: Final = 4.0
_POLLS: Final = 10.0
#: One process in so many is hardly late, one polls as often as alir's own does, and in one world
#: of so many processes look at leases as often.
_ONE_IN: Final = 50
_HARDLY_LATE: Final = 0.1
_ALIRS_LOOKS: Final = 0.25
_ALIRS_POLLS: Final = 1.0
_RESUMING_SECONDS: Final = 1.0
#: One pause in so many lasts until after the calm: so long that every process must know of it that
#: did not stand still meanwhile, and a second more.
_LONG_PAUSES: Final = 10
_LONG_PAUSE: Final = 2 * (PAUSE_LOOK + max(_LATE)) + PAUSE_SLACK + 1
#: Who is to die does within so many seconds, and a disk that is to break breaks.
_DUE_WITHIN: Final = 2.0
#: Faults that are over at once, or last as long as a process is not there.
_MOMENTARY: Final = frozenset({"kill", "stop", "clock"})
#: A commit that takes no longer keeps no lease from being taken in time.
_QUICK_COMMIT: Final = 0.02
#: So long after a process was killed or asked to stop another one has its senders, but for how
#: often it looks; it sends a second later. Source: issue on faults: 10 s and 2 s.
_TAKEN_AFTER_KILL: Final = LEASE_SECONDS + 0.5
_TAKEN_AFTER_STOP: Final = 0.5
#: How often it is looked whether the database is free.
_PROBE_SECONDS: Final = 0.1
_RANDOM_BITS: Final = 80

# A callback whose storing was in doubt is told again, and only that one is sure to be applied.
_UNREST: Final = """
SELECT EXISTS (SELECT 1 FROM message WHERE status IN ('queued', 'sending'))
    OR EXISTS (SELECT 1 FROM attempt WHERE outcome IS NULL)
    OR EXISTS (SELECT 1 FROM message WHERE status = 'unknown' AND on_unknown = 'retry'
          AND flags NOT LIKE '%"resent"%' AND expires_at IS NULL)
    OR EXISTS (SELECT 1 FROM callback c WHERE applied_at IS NULL AND NOT EXISTS
          (SELECT 1 FROM callback d WHERE d.body = c.body AND d.applied_at IS NOT NULL))
    OR EXISTS (SELECT 1 FROM parked_receipt p WHERE EXISTS
          (SELECT 1 FROM attempt a WHERE a.provider_id = p.provider_id))
"""
# What is parked of a person to whom an attempt of the same sender is without an answer. Here every
# person has one number, so that nothing else need be compared.
_MAY_BE_GUESSED: Final = """
SELECT EXISTS (SELECT 1 FROM parked_receipt p
    JOIN message m ON m.sender = p.sender AND m."to" = '+' || p.wa_id
    JOIN attempt a ON a.message_id = m.id
   WHERE p.status <> 'failed' AND a.outcome = 'unknown' AND a.provider_id IS NULL)
"""
#: A guess is made of what has been parked for 30 s, looked at every 5 s.
_GUESSED_WITHIN: Final = 45.0


class Outside:
    """What one process is handed in; see `simulation.gateway.Outside`."""

    def __init__(self, world: World, process: Process) -> None:
        chance = world.chance

        def seldom() -> bool:
            return chance.randrange(_ONE_IN) == 0

        self.clock = SkewedClock(
            world.loop,
            skew=chance.choice(_SKEWS),
            rate=chance.choice(_RATES),
            latest=_HARDLY_LATE if seldom() else chance.choice(_LATE),
            random=chance.random,
        )
        self.http = Wire(world.network, process.number, world)
        self.database = SimulatedDatabase(world.disk, process.name)
        self.wakeups = world.hearsay.join()
        self.sharing = Sharing(
            process=process.name,
            leases=LeaseStore(self.database, world.clock),
            lasts=timedelta(seconds=LEASE_SECONDS),
            wakeups=self.wakeups,
            looks=timedelta(seconds=world.looks),
            polls=timedelta(seconds=_ALIRS_POLLS if seldom() else _POLLS),
        )
        self.random = chance.random
        self._bits = chance.getrandbits

    def message_id(self) -> MessageId:
        """A new id."""
        return MessageId(f"msg_{self._ulid()}")

    def event_id(self) -> EventId:
        """A new id."""
        return EventId(f"evt_{self._ulid()}")

    def _ulid(self) -> str:
        return ulid(self.clock.milliseconds(), self._bits(_RANDOM_BITS))


class World:
    """Everything of one schedule.

    Attributes:
        clock: one that goes right, as that of a database that all share.
        processes: every one that was started.
        places: of these, the last one that was started in each place.
        broken: promises that were seen to break as it happened.
        befallen: how many of the faults planned have befallen something.
    """

    def __init__(
        self, platter: Platter, plan: Plan, chance: Random, loop: VirtualLoop, trace: Trace
    ) -> None:
        self.plan = plan
        self.chance = chance
        self.loop = loop
        self.trace = trace
        self.disk = Disk(platter, plan.disk, chance, loop, trace)
        self.carrier = Carrier(plan.temper, chance, loop, trace, self._call_back)
        self.network = Network(plan.weather, self.carrier, chance, loop, trace)
        self.callers = Callers(self, chance, trace)
        self.hearsay = Hearsay(plan.rumours, chance, loop)
        self.clock = SkewedClock(loop)
        self.processes: list[Process] = []
        self.places: list[Process] = []
        self.broken: list[str] = []
        self.befallen = 0
        self.is_calm = False
        self.came_to_rest = False
        # Of all processes the same, as whoever looks last is waited for.
        self.looks = _LOOKS if chance.randrange(_ONE_IN) else _ALIRS_LOOKS
        self._waiting_for_change: list[asyncio.Future[None]] = []
        # Senders of which an operator was told that they stand still.
        self._paused: dict[str, Paused] = {}
        # After how many steps the next process in a place dies; it had no luck.
        self._unlucky: dict[int, int] = {}
        # How many faults have begun, and when the last of them is over.
        self._faults_begun = 0
        self._disturbed_until = 0.0
        self._expecting: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Let the schedule happen, and all of it come to rest."""
        supervising = [asyncio.ensure_future(self._supervise(n)) for n in range(_PLACES)]
        faults = [asyncio.ensure_future(self._happen(fault)) for fault in self.plan.faults]
        asking = [
            *(asyncio.ensure_future(self.callers.ask(one)) for one in self.plan.requests),
            *(asyncio.ensure_future(self._do(deed)) for deed in self.plan.deeds),
        ]
        await asyncio.sleep(CALM_AT)
        await asyncio.gather(*faults)
        self._be_calm()
        asking.extend(self._make_up())
        await self._rest(asking)
        for task in (*supervising, *self._expecting):
            task.cancel()
        # What is no answer that a door could make something of is a fault of alir's own.
        broke = [task.exception() for task in asking if task.done()]
        self.broken += [f"alir broke: {fault!r}" for fault in broke if fault is not None]

    @property
    def stored(self) -> int:
        """How many messages are."""
        [[count]] = self.disk.look("SELECT count(*) FROM message")
        return int(count)

    async def opened(self) -> None:
        """See `Door.opened`."""
        await self._find(lambda process: process.is_up)

    def ask(self, work: Callable[[Gateway], Coroutine[Any, Any, T]]) -> asyncio.Future[T]:
        """See `Door.ask`."""
        return self._ask_of(self._anybody(), work)

    def departs(self, departure: Departure) -> None:
        """See `Watcher.departs`."""
        process = self.processes[departure.process - 1]
        self.broken += at_departure(departure, process, self.disk, self._paused)

    def _anybody(self) -> Process | None:
        """A process that takes requests; none: nobody does."""
        able = [process for process in self.places if process.is_up]
        return self.chance.choice(able) if able else None

    def _ask_of(
        self, process: Process | None, work: Callable[[Gateway], Coroutine[Any, Any, T]]
    ) -> asyncio.Future[T]:
        if process is not None:
            return process.serve(lambda: work(process.gateway))
        refused: asyncio.Future[T] = self.loop.create_future()
        refused.set_exception(ConnectionRefusedError())
        return refused

    def _be_calm(self) -> None:
        self.trace.add("world", "calm")
        self.is_calm = self.callers.is_calm = True
        self.disk.be_calm()
        self.network.be_calm()
        self.carrier.be_calm()
        self.hearsay.rumours = Rumours()

    def _make_up(self) -> Iterator[asyncio.Task[None]]:
        """Have more messages asked for where too few are stored.

        A clock that goes wrong has some refused, and with a process that dies one may be gone that
        its caller, who has no key, must not ask for again.
        """
        for number in range(LEAST_MESSAGES - self.stored):
            sender = SENDERS[number % len(SENDERS)]
            yield asyncio.ensure_future(self.callers.ask(spare(f"spare-{number}", sender)))

    async def _rest(self, asking: Sequence[asyncio.Future[None]]) -> None:
        """Until nothing is under way any more, or nobody believes that it ever will be."""
        began = self.loop.time()
        while self.loop.time() < began + PATIENCE:
            await asyncio.sleep(_LOOK_SECONDS)
            if not all(task.done() for task in asking) or not self._is_quiet():
                continue
            if self.disk.finds(_UNREST):
                continue
            may_guess = self.loop.time() < began + _GUESSED_WITHIN and not self.plan.temper.marks
            if not (may_guess and self.disk.finds(_MAY_BE_GUESSED)):
                self.came_to_rest = True
                break
        self.trace.add("world", "at rest" if self.came_to_rest else "never at rest")

    def _is_quiet(self) -> bool:
        are_up = all(process.is_up and not process.is_suspended for process in self.places)
        return are_up and not self.carrier.untold and not self.network.under_way

    async def _supervise(self, place: int) -> None:
        """Have a process running in a place, always."""
        await asyncio.sleep(place * self.plan.joins_at)
        while True:
            number = len(self.processes) + 1
            process = Process(number, self.plan, self.loop, self.trace, self._changed)
            self.processes.append(process)
            self.places[place : place + 1] = [process]
            outside = Outside(self, process)
            process.start(outside)
            self._changed()
            unlucky = self._unlucky.pop(place, None)
            if unlucky is not None and not self.is_calm:
                self._faults_begun += 1
                process.kill_after(unlucky, within=_DUE_WITHIN)
            await process.ended
            self.hearsay.leave(outside.wakeups)
            if process.was_killed:
                process.left = self._leases_of(process)
                self._expect_others(process.left, _TAKEN_AFTER_KILL, but=process)
                # Until then it counts as one that lives.
                missed_at = self.loop.time() + LEASE_SECONDS
                self._disturbed_until = max(self._disturbed_until, missed_at)
            await asyncio.sleep(self.chance.uniform(0.0, _RESTART_SECONDS))

    def _leases_of(self, process: Process) -> dict[str, int]:
        held = "SELECT sender, fence FROM sender_lease WHERE holder = ?"
        return dict(self.disk.look(held, process.name))

    def _expect_others(self, left: dict[str, int], seconds: float, *, but: Process) -> None:
        """Have others take what a process leaves, in time, if nothing else goes wrong."""
        others = [process for process in self.places if process is not but and process.is_up]
        is_quiet = self.plan.disk.slow <= _QUICK_COMMIT and self.plan.disk == DiskTemper(
            slow=self.plan.disk.slow
        )
        if others and left and is_quiet and self.loop.time() >= self._disturbed_until:
            was_killed = but.was_killed
            waiting = self._look_again(others, left, seconds, lambda: but.was_killed is was_killed)
            self._expecting.append(asyncio.ensure_future(waiting))

    async def _look_again(
        self,
        others: Sequence[Process],
        left: dict[str, int],
        seconds: float,
        has_ended_so: Callable[[], bool],
    ) -> None:
        """`has_ended_so`: false where who was asked to stop was killed before it had."""
        begun = self._faults_begun
        await asyncio.sleep(seconds)
        # Who started meanwhile may be the one to take it, and looks as often as it looks.
        await asyncio.sleep(max(one.looks for one in self.places))
        is_as_before = all(one.lives and not one.is_suspended for one in others)
        if begun == self._faults_begun and is_as_before and has_ended_so():
            self.broken += still_held(left, self.disk, seconds)

    async def _happen(self, fault: Fault) -> None:
        """Have a fault befall something; return once it has."""
        await asyncio.sleep(fault.at)
        self.trace.add("world", fault.kind, seconds=fault.seconds, steps=fault.steps)
        self._faults_begun += 1
        lasts = 0.0 if fault.kind in _MOMENTARY else fault.seconds + _DUE_WITHIN
        self._disturbed_until = max(self._disturbed_until, self.loop.time() + lasts)
        match fault.kind:
            case "kill":
                await self._kill(fault)
            case "stop" | "suspend" | "clock":
                await self._meet(fault)
            case "lock":
                while not self.disk.lock():  # noqa: ASYNC110 - SQLite tells nobody when it is free
                    await asyncio.sleep(_PROBE_SECONDS)
                self.loop.call_later(fault.seconds, self.disk.unlock)
            case "stall":
                self.disk.stalled_until = self.loop.time() + fault.seconds
            case "break":
                self.disk.breaks_for = fault.seconds
                await asyncio.sleep(_DUE_WITHIN)
                self.disk.break_if_due()
            case "cut":
                self.network.cut_until = self.loop.time() + fault.seconds
        self.befallen += 1

    async def _kill(self, fault: Fault) -> None:
        """Have a process die that did not end by itself before."""
        process = None
        while process is None or not process.was_killed:
            process = await self._find(lambda one: one.lives and not one.is_doomed)
            if fault.then is not None:
                self._unlucky[self.places.index(process)] = fault.then
            process.kill_after(fault.steps, within=_DUE_WITHIN)
            await process.ended

    async def _meet(self, fault: Fault) -> None:
        """Have a process stop, stand still, or find its clock set."""
        process = await self._find(lambda one: one.lives and not one.is_suspended)
        match fault.kind:
            case "stop":
                left = self._leases_of(process)
                process.stop()
                if not process.was_killed:
                    self._expect_others(left, _TAKEN_AFTER_STOP, but=process)
            case "suspend":
                process.suspend_after(fault.steps, _DUE_WITHIN, fault.seconds)
            case "clock":
                process.clock.set_by(fault.seconds)

    async def _find(self, fits: Callable[[Process], bool]) -> Process:
        """A process that runs now or later, once one fits."""
        while not (able := [process for process in self.places if fits(process)]):
            change = self.loop.create_future()
            self._waiting_for_change.append(change)
            await change
        return self.chance.choice(able)

    def _changed(self) -> None:
        """The process that runs is another one, or does something else now."""
        waiting, self._waiting_for_change = self._waiting_for_change, []
        for change in waiting:
            change.set_result(None)

    async def _do(self, deed: Deed) -> None:
        sender = SenderName(SENDERS[deed.target % len(SENDERS)])
        match deed.kind:
            case "pause":
                await self._pause(sender, deed.at)
            case "write":
                await asyncio.sleep(deed.at)
                self.carrier.hear(sender, PEOPLE[deed.target % len(PEOPLE)])
            case _:
                await self.callers.do(deed)

    async def _pause(self, sender: SenderName, at: float) -> None:
        """An operator pauses a sender, and resumes it once the world is calm."""
        await asyncio.sleep(at)
        process = self._anybody()
        with suppress(OSError, StoreUnavailable):  # it may have been stored all the same
            await self._ask_of(
                process, lambda gateway: gateway.core.pauses.pause(sender, title="A pause")
            )
            by = 0 if process is None else process.number
            if self._pauses_of(sender) == 1:  # else another one's end is the end of this one
                self._paused[sender] = Paused(self.loop.time(), by)
        if self.chance.randrange(_LONG_PAUSES):
            await asyncio.sleep(max(0.0, CALM_AT - self.loop.time()))
        else:
            await asyncio.sleep(_LONG_PAUSE)
            await self.callers.ask(spare(f"paused-{at}", sender))
        self._paused.pop(sender, None)
        while True:
            await asyncio.sleep(_RESUMING_SECONDS)
            try:
                await self.ask(lambda gateway: gateway.core.shared_pauses.resume(sender))
            except (OSError, StoreUnavailable):
                continue
            return

    def _pauses_of(self, sender: SenderName) -> int:
        paused = [deed.target for deed in self.plan.deeds if deed.kind == "pause"]
        return sum(SENDERS[target % len(SENDERS)] == sender for target in paused)

    async def _call_back(self, request: CallbackRequest) -> bool | None:
        """Take a callback to the gateway; what it says; None: nothing."""
        try:
            return await self.ask(lambda gateway: gateway.callback(request))
        except OSError:
            return None
