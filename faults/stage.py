"""One run, from the first process to the verdict."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import httpx

from faults import reading, stores
from faults.books import Rules, Verdict, compare
from faults.callers import Callers
from faults.door import Door
from faults.plan import (
    Carrier,
    DiskFull,
    Gone,
    Kept,
    KilledInside,
    KilledOnTheWire,
    KilledStarting,
    KilledUnderLoad,
    Load,
    Run,
    ServerStopped,
    SessionsCut,
    Trouble,
)
from faults.programs import BenchFailed, Program
from faults.proxy import DELAY_SECONDS, EVEN_DELAY_SECONDS, Proxy, Trap
from faults.settings import (
    CALL_SECONDS,
    MAX_CALLS,
    UNKNOWN_SECONDS,
    behaviour,
    callbacks,
    config,
    senders,
)
from faults.start import Harm
from faults.stores import Store

#: A point that is not met by then is not met; the process is killed where it is. On PostgreSQL the
#: lease of the process before it has 8 s to run out, and its successor waits one more.
_MET_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 1.0
#: Between two looks it is left alone this many times as long as a look takes, which is busy work.
_LOOK_SHARE: Final = 5.0
#: Once all is at rest, nothing may happen any more for so long.
_STILL_SECONDS: Final = UNKNOWN_SECONDS + 2.0
#: Callers get the answers that they still want within this.
_ANSWERS_SECONDS: Final = 120.0
#: Meta's codes for too much in a second, and for too much to one person.
_TOO_FAST: Final = frozenset({"130429", "131056"})
#: What is counted in place of a point that was not met.
ELSEWHERE: Final = "elsewhere"


@dataclass(slots=True)
class Result:
    """What a run came to.

    Attributes:
        kills: how often processes were killed, by where.
        calls: what befell calls on the wire.
        answers: what callers were answered, by status; `missed`: those of them that missed all.
        faults: what else is wrong: errors that alir logged, and calls that came too fast.
        failure: why it could not be judged, if it could not.
    """

    run: Run
    seed: int
    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    verdict: Verdict | None = None
    faults: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def broken(self) -> tuple[str, ...]:
        """All that is wrong, in words."""
        found = () if self.verdict is None else self.verdict.broken
        failed = () if self.failure is None else (self.failure,)
        return (*found, *self.faults, *failed)


async def play(run: Run, seed: int, folder: Path, *, server: str | None) -> Result:
    """Play a run in an empty folder.

    Args:
        server: a PostgreSQL in which databases may be made, for who has none of its own.
    """
    result = Result(run, seed)
    began = time.monotonic()
    chance = Random(f"{run.name} {seed}")
    troubles = run.troubles(chance)
    try:
        async with _set_up(run, folder, server, chance) as parts:
            stage = _Stage(run, chance, parts, result)
            for trouble in troubles:
                await stage.bring(trouble)
            await stage.calm_down()
    except (BenchFailed, httpx.HTTPError, OSError) as error:
        result.failure = f"{type(error).__name__}: {error}"
    result.seconds = time.monotonic() - began
    return result


@asynccontextmanager
async def _set_up(
    run: Run, folder: Path, server: str | None, chance: Random
) -> AsyncIterator[_Parts]:
    async with AsyncExitStack() as during:
        store = await during.enter_async_context(_store(run, folder, server))
        gateways: list[Program] = []
        doors: list[Program] = []
        door = await during.enter_async_context(Door(lambda: _up(doors)))
        simulator = Program(folder, "simulator", ["simulator", *callbacks(run, door=door.port)])
        during.push_async_callback(simulator.end)
        await simulator.start()
        await reading.behave(simulator.port, behaviour(run, chance.getrandbits(32)))
        proxy = Proxy(
            upstream=simulator.port,
            chance=Random(chance.random()),
            weather=run.weather,
            late_seconds=CALL_SECONDS + 1.0,
            delay_seconds=DELAY_SECONDS if run.limits is None else EVEN_DELAY_SECONDS,
        )
        await during.enter_async_context(proxy)
        (folder / "alir.toml").write_text(config(run, provider=proxy.port, database=store.url))
        for number, role in enumerate(run.processes):
            gateway = Program(folder, f"gateway-{number}", ["serve", f"--role={role}"])
            during.push_async_callback(gateway.end)
            gateways.append(gateway)
            if role.accepts:
                doors.append(gateway)
        callers = Callers(
            lambda: _up(doors),
            Random(chance.random()),
            senders=senders(run),
            hurried=run.hurried,
            people=None if run.limits is None else run.limits.people,
            per_second=run.per_second,
        )
        during.push_async_callback(callers.leave)
        callers.start(run.callers)
        yield _Parts(store, gateways, doors, simulator, proxy, callers)


def _store(run: Run, folder: Path, server: str | None) -> stores.Opening:
    match run.kept:
        case Kept.SQLITE | Kept.SMALL_DISK:
            return stores.sqlite(folder, small=run.kept is Kept.SMALL_DISK)
        case Kept.POSTGRESQL:
            return stores.postgresql(server)
        case Kept.OWN_POSTGRESQL:
            return stores.postgresql(None)


def _up(gateways: Sequence[Program]) -> list[int]:
    return [gateway.port for gateway in gateways if gateway.is_up]


async def _all(deeds: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do all of it at once. What fails is raised once none goes on, so that no process is left."""
    for came in await asyncio.gather(*deeds, return_exceptions=True):
        if came is not None:
            raise came


class _Parts(NamedTuple):
    """What a run consists of.

    Attributes:
        doors: those of the gateways that take requests.
    """

    store: Store
    gateways: Sequence[Program]
    doors: Sequence[Program]
    simulator: Program
    proxy: Proxy
    callers: Callers


class _Stage:
    """The processes of a run, and what is done to them."""

    def __init__(self, run: Run, chance: Random, parts: _Parts, result: Result) -> None:
        self._result = result
        self._run = run
        self._chance = chance
        self._store = parts.store
        self._gateways = parts.gateways
        self._doors = parts.doors
        self._simulator = parts.simulator
        self._proxy = parts.proxy
        self._callers = parts.callers

    async def bring(self, trouble: Trouble) -> None:
        """Have it happen."""
        match trouble:
            case KilledInside(point, nth, which):
                await self._kill_inside(self._gateways[which], point, nth)
            case KilledOnTheWire(_, _, which):
                await self._kill_on_the_wire(self._gateways[which], trouble)
            case KilledUnderLoad(seconds, which):
                await self._load(seconds)
                await self._kill(self._gateways[which], "under_load")
            case KilledStarting(seconds, which):
                await self._kill_starting(self._gateways[which], seconds)
            case Gone(after, seconds, killed, stopped):
                await self._load(after)
                kills = [self._kill(self._gateways[which], "under_load") for which in killed]
                await _all([*kills, *(self._gateways[which].stop() for which in stopped)])
                await asyncio.sleep(seconds)
            case Load(seconds):
                await self._load(seconds)
            case SessionsCut(after):
                await self._load(after)
                await self._store.cut()
            case ServerStopped(after, seconds):
                await self._load(after)
                await self._store.stop()
                await asyncio.sleep(seconds)
                await self._store.start()
            case DiskFull(after, seconds):
                await self._load(after)
                pids = [gateway.pid for gateway in self._gateways]
                await asyncio.to_thread(self._store.fill, pids)
                await asyncio.sleep(seconds)
                self._store.clear(pids)

    async def calm_down(self) -> None:
        """Let everything come to rest, and compare the books."""
        await self._settle_down()
        verdict = await self._when_at_rest()
        await asyncio.gather(*(gateway.stop() for gateway in self._gateways))
        logged = [fault for gateway in self._gateways for fault in gateway.faults()]
        refused = await reading.refused(self._simulator.port)
        too_fast = [f"{refused[code]} times {code}" for code in _TOO_FAST & refused.keys()]
        self._result.verdict = verdict
        self._result.faults = (
            *(f"logged: {fault}" for fault in logged),
            *(f"refused as too fast: {times}" for times in too_fast),
        )
        self._result.calls.update({str(fate): times for fate, times in self._proxy.met.items()})
        for request in self._callers.asked():
            said = [str(answer.status) for answer in request.answers]
            self._result.answers.update(said or ["missed"])

    async def _settle_down(self) -> None:
        self._proxy.calm()
        self._callers.pause()
        if self._run.clock:
            await asyncio.gather(*(gateway.stop() for gateway in self._gateways))
        await self._start_all(calmly=True)
        await self._callers.finish(_ANSWERS_SECONDS)

    async def _when_at_rest(self) -> Verdict:
        await self._until_nothing_waits()
        fewest, give_up_at = math.inf, math.inf
        while True:
            began = time.monotonic()
            verdict, waiting = await self._compare()
            took = time.monotonic() - began
            if not (verdict.stuck or waiting):
                await asyncio.sleep(_STILL_SECONDS)
                verdict, waiting = await self._compare()
            left = len(verdict.stuck) + waiting
            if left < fewest:
                fewest, give_up_at = left, time.monotonic() + self._run.calm_seconds
            if not left or time.monotonic() > give_up_at:
                break
            await asyncio.sleep(max(_LOOK_SECONDS, _LOOK_SHARE * took))
        if waiting:
            stuck = (*verdict.stuck, f"{waiting} receipts that nobody takes")
            return replace(verdict, stuck=stuck)
        return verdict

    async def _until_nothing_waits(self) -> None:
        """Spare the looks that cannot find it at rest; of a long book each is busy work.

        Calls on the wire pile up meanwhile, so there must be none. It is asked twice, as a message
        may go from one state into another between the two questions that are asked each time.
        """
        port, give_up_at = self._doors[0].port, time.monotonic() + self._run.calm_seconds
        quiet_looks = 0
        while time.monotonic() < give_up_at:
            quiet_looks = 0 if await reading.is_under_way(port) else quiet_looks + 1
            if quiet_looks > 1 and not (await reading.arrived(self._simulator.port)).waiting:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _compare(self) -> tuple[Verdict, int]:
        before = await reading.arrived(self._simulator.port)
        stored = await reading.stored(self._doors[0].port)
        after = await reading.arrived(self._simulator.port)
        rules = Rules(
            resends=self._run.on_unknown == "retry",
            marks=self._run.carrier is not Carrier.ROUTE_MOBILE,
            on_the_wire=self._result.kills.total() * MAX_CALLS * self._run.senders
            + self._proxy.broken,
        )
        verdict = compare(self._callers.asked(), stored, after.told_by(before), rules)
        return verdict, after.waiting

    async def _kill_inside(self, gateway: Program, point: str, nth: int) -> None:
        await gateway.stop()
        await self._start_all(but=gateway)
        self._callers.call()
        if await gateway.start(replace(self._harm(), point=point, nth=nth)):
            is_met = await gateway.dies_within(_MET_SECONDS)
            if not is_met:
                await self._kill(gateway, ELSEWHERE)
                return
        self._result.kills[point] += 1

    async def _kill_on_the_wire(self, gateway: Program, trouble: KilledOnTheWire) -> None:
        await self._start_all()
        self._proxy.trap = Trap(trouble.moment, trouble.nth, gateway.strike)
        self._callers.call()
        if await gateway.dies_within(_MET_SECONDS):
            self._result.kills[str(trouble.moment)] += 1
        else:
            self._proxy.trap = None
            await self._kill(gateway, ELSEWHERE)

    async def _kill_starting(self, gateway: Program, seconds: float) -> None:
        await gateway.stop()
        self._callers.call()
        starting = asyncio.ensure_future(gateway.start(self._harm()))
        await asyncio.wait([starting], timeout=seconds)
        gateway.strike()
        if await starting:
            await gateway.kill()
        self._result.kills["starting"] += 1

    async def _kill(self, gateway: Program, where: str) -> None:
        await gateway.kill()
        self._result.kills[where] += 1

    async def _load(self, seconds: float) -> None:
        """So long under load; it goes on while others start, as long as one process runs."""
        is_on, began = bool(_up(self._doors)), time.monotonic()
        await self._start_all()
        self._callers.call()
        already = time.monotonic() - began if is_on else 0.0
        await asyncio.sleep(max(0.0, seconds - already))
        for gateway in self._gateways:
            gateway.check_alive()

    async def _start_all(self, *, but: Program | None = None, calmly: bool = False) -> None:
        """Have every process run that does not; `calmly`: with nothing wrong but its bug."""
        starts = [
            self._start(gateway, Harm(bug=self._run.bug) if calmly else self._harm())
            for gateway in self._gateways
            if gateway is not but and not gateway.runs
        ]
        await _all(starts)

    async def _start(self, gateway: Program, harm: Harm) -> None:
        if not await gateway.start(harm):
            raise BenchFailed(gateway.story("was killed, and nobody did it"))

    def _harm(self) -> Harm:
        clock = self._chance.getrandbits(32) if self._run.clock else None
        return Harm(clock=clock, bug=self._run.bug)
