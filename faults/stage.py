"""One run, from the first process to the verdict."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from faults import reading, stores
from faults.books import Rules, Verdict, compare
from faults.callers import Callers
from faults.door import Door
from faults.plan import (
    Carrier,
    DiskFull,
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
from faults.proxy import Proxy, Trap
from faults.settings import CALL_SECONDS, MAX_CALLS, UNKNOWN_SECONDS, callbacks, config
from faults.start import Harm
from faults.stores import Store

#: A point that is not met by then is not met; the process is killed where it is.
_MET_SECONDS: Final = 5.0
#: All must be at rest so long after the last fault: a guess takes 35 s, a callback that was not
#: taken for a while is told again within a minute, and what is parked is tried once a minute.
_CALM_SECONDS: Final = 150.0
_LOOK_SECONDS: Final = 1.0
#: Once all is at rest, nothing may happen any more for so long.
_STILL_SECONDS: Final = UNKNOWN_SECONDS + 2.0
#: Callers get the answers that they still want within this.
_ANSWERS_SECONDS: Final = 60.0
#: What is counted in place of a point that was not met.
ELSEWHERE: Final = "elsewhere"


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to.

    Attributes:
        kills: how often processes were killed, by where.
        faults: errors that alir logged: faults of its own.
        failure: why it could not be judged, if it could not.
    """

    run: Run
    seed: int
    seconds: float
    kills: Counter[str] = field(default_factory=Counter)
    verdict: Verdict | None = None
    faults: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def broken(self) -> tuple[str, ...]:
        """All that is wrong, in words."""
        found = () if self.verdict is None else self.verdict.broken
        failed = () if self.failure is None else (self.failure,)
        return (*found, *(f"logged: {fault}" for fault in self.faults), *failed)


async def play(run: Run, seed: int, folder: Path, *, server: str | None) -> Result:
    """Play a run in an empty folder.

    Args:
        server: a PostgreSQL in which databases may be made, for who has none of its own.
    """
    began = time.monotonic()
    stage: _Stage | None = None
    verdict, failure = None, None
    chance = Random(f"{run.name} {seed}")
    troubles = run.troubles(chance)
    try:
        async with _set_up(run, folder, server, chance) as stage:
            for trouble in troubles:
                await stage.bring(trouble)
            verdict = await stage.calm_down()
    except BenchFailed as error:
        failure = str(error)
    seconds = time.monotonic() - began
    kills = Counter[str]() if stage is None else stage.kills
    faults = () if stage is None else stage.faults()
    return Result(run, seed, seconds, kills, verdict, faults, failure)


@asynccontextmanager
async def _set_up(
    run: Run, folder: Path, server: str | None, chance: Random
) -> AsyncIterator[_Stage]:
    async with AsyncExitStack() as during:
        store = await during.enter_async_context(_store(run, folder, server))
        gateways: list[Program] = []
        door = await during.enter_async_context(Door(lambda: _up(gateways)))
        simulator = Program(folder, "simulator", ["simulator", *callbacks(run, door=door.port)])
        during.push_async_callback(simulator.stop)
        await simulator.start()
        await reading.behave(simulator.port, {**run.behaviour, "seed": chance.getrandbits(32)})
        proxy = Proxy(
            upstream=simulator.port,
            chance=Random(chance.random()),
            weather=run.weather,
            late_seconds=CALL_SECONDS + 1.0,
        )
        await during.enter_async_context(proxy)
        (folder / "alir.toml").write_text(config(run, provider=proxy.port, database=store.url))
        for number, arguments in enumerate(run.processes):
            gateway = Program(folder, f"gateway-{number}", ["serve", *arguments])
            during.push_async_callback(gateway.stop)
            gateways.append(gateway)
        callers = Callers(lambda: _up(gateways), Random(chance.random()))
        during.push_async_callback(callers.leave)
        callers.start()
        yield _Stage(run, chance, _Parts(store, gateways, simulator, proxy, callers))


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


class _Parts(NamedTuple):
    store: Store
    gateways: Sequence[Program]
    simulator: Program
    proxy: Proxy
    callers: Callers


class _Stage:
    """The processes of a run, and what is done to them."""

    def __init__(self, run: Run, chance: Random, parts: _Parts) -> None:
        self.kills: Counter[str] = Counter()
        self._run = run
        self._chance = chance
        self._store = parts.store
        self._gateways = parts.gateways
        self._simulator = parts.simulator
        self._proxy = parts.proxy
        self._callers = parts.callers

    def faults(self) -> tuple[str, ...]:
        """What the gateways logged as errors."""
        return tuple(fault for gateway in self._gateways for fault in gateway.faults())

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

    async def calm_down(self) -> Verdict:
        """Let everything come to rest, and compare the books."""
        self._proxy.calm()
        self._callers.pause()
        if self._run.clock:
            await asyncio.gather(*(gateway.stop() for gateway in self._gateways))
        await self._start_all(calmly=True)
        await self._callers.finish(_ANSWERS_SECONDS)
        give_up_at = time.monotonic() + _CALM_SECONDS
        while True:
            verdict, waiting = await self._compare()
            if not (verdict.stuck or waiting):
                await asyncio.sleep(_STILL_SECONDS)
                verdict, waiting = await self._compare()
            if not (verdict.stuck or waiting) or time.monotonic() > give_up_at:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        if waiting:
            stuck = (*verdict.stuck, f"{waiting} receipts that nobody takes")
            return replace(verdict, stuck=stuck)
        return verdict

    async def _compare(self) -> tuple[Verdict, int]:
        # In this order: what was told before the store is read must be in it.
        arrived, waiting = await reading.arrived(self._simulator.port)
        stored = await reading.stored(self._gateways[0].port)
        rules = Rules(
            resends=self._run.on_unknown == "retry",
            marks=self._run.carrier is not Carrier.ROUTE_MOBILE,
            on_the_wire=self.kills.total() * MAX_CALLS + self._proxy.broken,
        )
        return compare(self._callers.asked(), stored, arrived, rules), waiting

    async def _kill_inside(self, gateway: Program, point: str, nth: int) -> None:
        await gateway.stop()
        await self._start_all(but=gateway)
        self._callers.call()
        if await gateway.start(replace(self._harm(), point=point, nth=nth)):
            is_met = await gateway.dies_within(_MET_SECONDS)
            if not is_met:
                await self._kill(gateway, ELSEWHERE)
                return
        self.kills[point] += 1

    async def _kill_on_the_wire(self, gateway: Program, trouble: KilledOnTheWire) -> None:
        await self._start_all()
        self._proxy.trap = Trap(trouble.moment, trouble.nth, gateway.strike)
        self._callers.call()
        if await gateway.dies_within(_MET_SECONDS):
            self.kills[str(trouble.moment)] += 1
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
        self.kills["starting"] += 1

    async def _kill(self, gateway: Program, where: str) -> None:
        await gateway.kill()
        self.kills[where] += 1

    async def _load(self, seconds: float) -> None:
        await self._start_all()
        self._callers.call()
        await asyncio.sleep(seconds)
        for gateway in self._gateways:
            gateway.check_alive()

    async def _start_all(self, *, but: Program | None = None, calmly: bool = False) -> None:
        """Have every process run that does not; `calmly`: with nothing wrong but its bug."""
        for gateway in self._gateways:
            if gateway is but or gateway.runs:
                continue
            harm = Harm(bug=self._run.bug) if calmly else self._harm()
            if not await gateway.start(harm):
                raise BenchFailed(gateway.story("was killed, and nobody did it"))

    def _harm(self) -> Harm:
        clock = self._chance.getrandbits(32) if self._run.clock else None
        return Harm(clock=clock, bug=self._run.bug)
