"""The runs: which processes on which database, with which provider, and what befalls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import Any, Final

from alir.role import Role
from faults.points import INSIDE, MOST_CALLS, Moment
from faults.proxy import Fate


class Kept(StrEnum):
    """Where messages are kept."""

    SQLITE = "sqlite"
    SMALL_DISK = "small_disk"  #: SQLite, on a disk that can be filled.
    POSTGRESQL = "postgresql"
    OWN_POSTGRESQL = "own_postgresql"  #: A server of the run's own, which can be stopped.


class Carrier(StrEnum):
    """Who carries messages, and whether its receipts name the attempt."""

    CLOUD = "cloud"
    ROUTE_MOBILE = "routemobile"  #: As it is documented: they do not.
    WITH_EXTRA = "routemobile-extra"  #: They do.


@dataclass(frozen=True, slots=True)
class KilledInside:
    """A process kills itself at a point, the nth time that it comes there.

    Attributes:
        which: of the run's processes.
    """

    point: str
    nth: int
    which: int = 0


@dataclass(frozen=True, slots=True)
class KilledOnTheWire:
    """A process is killed at a moment of the nth call that comes to it."""

    moment: Moment
    nth: int
    which: int = 0


@dataclass(frozen=True, slots=True)
class KilledUnderLoad:
    """A process is killed after so long under load, whatever it does."""

    seconds: float
    which: int = 0


@dataclass(frozen=True, slots=True)
class KilledStarting:
    """A process is killed so long after it was started, whether it is ready or not."""

    seconds: float
    which: int = 0


@dataclass(frozen=True, slots=True)
class Gone:
    """Processes go at once after so long under load, and are away for a while.

    Attributes:
        killed: which of the run's processes are killed,
        stopped: and which are told to stop, as `kill` does.
    """

    after: float
    seconds: float
    killed: Sequence[int]
    stopped: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """Callers ask, and nothing happens but what the network does."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SessionsCut:
    """The database ends every session of the gateways, under load."""

    after: float


@dataclass(frozen=True, slots=True)
class ServerStopped:
    """The database's server crashes under load, and is started again."""

    after: float
    seconds: float


@dataclass(frozen=True, slots=True)
class DiskFull:
    """The disk is full for a while, under load."""

    after: float
    seconds: float


Trouble = (
    KilledInside
    | KilledOnTheWire
    | KilledUnderLoad
    | KilledStarting
    | Gone
    | Load
    | SessionsCut
    | ServerStopped
    | DiskFull
)

#: Receipts that come soon, so that there are callbacks whenever a process is killed.
SOON: Final[Mapping[str, Any]] = {
    "delays_ms": {"sent": 5, "delivered": 20, "read": 50, "failed": 5},
    "jitter_ms": 20,
}
#: Callbacks as bad as they come.
TANGLED: Final[Mapping[str, Any]] = {
    "delays_ms": {"sent": 5, "delivered": 20, "read": 50, "failed": 5},
    "jitter_ms": 200,
    "repeat": {"probability": 0.3, "times": 3},
    "reorder": 0.5,
    "batch": {"size": 1000, "window_ms": 150},
    "drop": 0.05,
    "before_answer": ["sent", "delivered"],
}
#: One call in seven meets something; of five in a row without an answer there are a few.
STORMY: Final[Mapping[Fate, float]] = dict.fromkeys(
    (fate for fate in Fate if fate is not Fate.PASSED), 0.014
)


#: How long a store is gone, in seconds: alir repeats a write for 5 s before it answers 503.
_OUTAGES: Final = ((0.2, 1.0), (1.0, 4.0), (6.0, 9.0), (6.0, 9.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the provider takes, and the gateways keep to; one more is refused, and counted.

    Attributes:
        per_second: messages of one sender in any second.
        pair_seconds: one person gets a message of a sender in so many seconds,
        pair_burst: and so many at once on credit.
        people: to so many persons callers write, over and over.
    """

    per_second: int
    pair_seconds: int
    pair_burst: int
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run.

    Attributes:
        senders: how many; several only at the Cloud API.
        callers: how many ask at once.
        per_second: how many requests they make in a second; none: as many as they get answers for.
        hurried: so many of their requests want no wait.
        limits: none: the provider takes whatever comes, and nobody gets two messages.
        processes: what each of its processes does.
        troubles: what befalls it, drawn from the seed.
        behaviour: the simulator's.
        weather: the network's, as the probability of each fate.
        clock: whether the wall clock is set back and forth.
        bug: what is planted in the gateways, one of `simulation.bugs.BUGS`.
        calm_seconds: after the faults, what is not at rest is stuck once nothing has come to rest
            for so long. A guess takes 35 s, a callback that was not taken is told again within a
            minute, and what is parked is tried once a minute.
    """

    name: str
    kept: Kept
    carrier: Carrier
    on_unknown: str
    troubles: Callable[[Random], Sequence[Trouble]]
    processes: Sequence[Role] = (Role.ALL,)
    senders: int = 1
    callers: int = 12
    per_second: float | None = None
    hurried: float = 0.3
    limits: Limits | None = None
    behaviour: Mapping[str, Any] = field(default_factory=lambda: SOON)
    weather: Mapping[Fate, float] = field(default_factory=dict)
    clock: bool = False
    bug: str | None = None
    calm_seconds: float = 150.0


def inside(chance: Random, *, points: Sequence[str] = tuple(INSIDE)) -> list[Trouble]:
    """Each of these points once."""
    return [KilledInside(name, chance.randint(1, INSIDE[name].most)) for name in points]


def on_the_wire(chance: Random, *, times: int = 1) -> list[Trouble]:
    """Each moment on the wire so often."""
    return [KilledOnTheWire(m, chance.randint(1, MOST_CALLS)) for m in Moment for _ in range(times)]


def at_random(chance: Random, *, times: int) -> list[Trouble]:
    """Kills under load, at any moment."""
    return [KilledUnderLoad(chance.uniform(0.05, 0.6)) for _ in range(times)]


def _every_point(chance: Random) -> list[Trouble]:
    troubles = [*inside(chance), *on_the_wire(chance, times=2), *at_random(chance, times=5)]
    troubles += [KilledStarting(chance.uniform(0.3, 1.5)) for _ in range(2)]
    return _shuffled(chance, troubles)


def _stormy(chance: Random) -> list[Trouble]:
    return _shuffled(chance, [*at_random(chance, times=4), *[Load(2.0)] * 4])


def _callbacks(chance: Random) -> list[Trouble]:
    points = [name for name in INSIDE if name.startswith("callback")]
    kills = inside(chance, points=points) + at_random(chance, times=2)
    return _shuffled(chance, [*kills, *[Load(1.5)] * 2])


def _clocks(chance: Random) -> list[Trouble]:
    kills = [*on_the_wire(chance), *at_random(chance, times=2)]
    return _shuffled(chance, [*kills, *[Load(3.0)] * 3])


def _sessions(chance: Random) -> list[Trouble]:
    cuts = [SessionsCut(chance.uniform(0.1, 0.8)) for _ in range(10)]
    return _shuffled(chance, [*cuts, *at_random(chance, times=2)])


def _server(chance: Random) -> list[Trouble]:
    lengths = [chance.uniform(*outage) for outage in _OUTAGES]
    stops = [ServerStopped(chance.uniform(0.3, 1.0), seconds) for seconds in lengths]
    return _shuffled(chance, [*stops, *at_random(chance, times=2)])


def _disk(chance: Random) -> list[Trouble]:
    lengths = [chance.uniform(*outage) for outage in _OUTAGES]
    full = [DiskFull(chance.uniform(0.3, 1.0), seconds) for seconds in lengths]
    return _shuffled(chance, [*full, *at_random(chance, times=2)])


def _paced(chance: Random) -> list[Trouble]:
    return _shuffled(chance, [*at_random(chance, times=6), *[Load(2.0)] * 4])


def _in_turns(_chance: Random) -> list[Trouble]:
    """Three minutes in which one process after the other is killed, one each ten seconds."""
    return [KilledUnderLoad(10.0, number % 3) for number in range(18)]


#: One gateway, split: what each of its processes does.
_SPLIT: Final = (Role.API, Role.API, Role.DISPATCH, Role.DISPATCH, Role.RELAY, Role.RELAY)
#: Where processes of each role are killed that do nothing else.
_POINTS_OF: Final[Mapping[Role, Sequence[str]]] = {
    Role.API: ("stored", "callback_kept"),
    Role.DISPATCH: ("begun", "answer_read", "settled"),
    Role.RELAY: ("callback_applying", "callback_applied"),
}


def gone(chance: Random, which: Sequence[int]) -> Gone:
    """These processes, each killed or told to stop."""
    killed = [one for one in which if chance.random() < 0.5]
    stopped = [one for one in which if one not in killed]
    return Gone(chance.uniform(0.5, 3.0), chance.uniform(0.0, 4.0), killed, stopped)


def _by_role(chance: Random) -> list[Trouble]:
    """Points of each role, all processes of a role at once, and any of them."""
    troubles: list[Trouble] = []
    for role, points in _POINTS_OF.items():
        ours = [number for number, one in enumerate(_SPLIT) if one is role]
        for name in points:
            nth = chance.randint(1, INSIDE[name].most)
            troubles.append(KilledInside(name, nth, chance.choice(ours)))
        troubles.append(gone(chance, ours))
    some = [chance.sample(range(len(_SPLIT)), chance.randint(1, 3)) for _ in range(8)]
    return _shuffled(chance, [*troubles, *(gone(chance, which) for which in some)])


def _shuffled(chance: Random, troubles: list[Trouble]) -> list[Trouble]:
    chance.shuffle(troubles)
    return troubles


def _kills() -> list[Run]:
    return [
        Run(
            name=f"{kept}-{carrier}-{on_unknown}",
            kept=kept,
            carrier=carrier,
            on_unknown=on_unknown,
            troubles=_every_point,
        )
        for kept in (Kept.SQLITE, Kept.POSTGRESQL)
        for carrier in Carrier
        for on_unknown in ("hold", "retry")
    ]


def _others() -> list[Run]:
    cloud, lite, server = Carrier.CLOUD, Kept.SQLITE, Kept.POSTGRESQL
    route_mobile, with_extra = Carrier.ROUTE_MOBILE, Carrier.WITH_EXTRA

    def run(name: str, kept: Kept, carrier: Carrier, on_unknown: str, **more: Any) -> Run:
        return Run(name=name, kept=kept, carrier=carrier, on_unknown=on_unknown, **more)

    stormy: dict[str, Any] = {"troubles": _stormy, "weather": STORMY}
    tangled: dict[str, Any] = {"troubles": _callbacks, "behaviour": TANGLED}
    clocks: dict[str, Any] = {"troubles": _clocks, "clock": True}
    # 300 a second of 320. A person gets one of each sender in 13 s, and some get them sooner.
    many = Limits(per_second=80, pair_seconds=6, pair_burst=3, people=1000)
    three: dict[str, Any] = {"processes": [Role.ALL] * 3, "senders": 4, "limits": many}
    # Enough for this rate while a sender has no process: then one in ten waits for a second.
    three |= {"callers": 64, "per_second": 300.0, "hurried": 0.7}
    split: dict[str, Any] = {"processes": _SPLIT, "troubles": _by_role}
    few = Limits(per_second=25, pair_seconds=6, pair_burst=3, people=100)
    paced: dict[str, Any] = {"troubles": _paced, "senders": 3, "limits": few}
    return [
        run("network-cloud-hold", lite, cloud, "hold", **stormy),
        run("network-cloud-retry", server, cloud, "retry", **stormy),
        run("network-routemobile-hold", server, route_mobile, "hold", **stormy),
        run("network-routemobile-extra-retry", lite, with_extra, "retry", **stormy),
        run("callbacks-cloud-hold", lite, cloud, "hold", **tangled),
        run("callbacks-routemobile-extra-retry", server, with_extra, "retry", **tangled),
        run("clock-sqlite", lite, cloud, "hold", **clocks),
        run("clock-postgresql", server, with_extra, "retry", **clocks),
        run("pace-sqlite", lite, cloud, "hold", **paced),
        run("pace-postgresql", server, cloud, "hold", **paced),
        run("three-processes", server, cloud, "hold", troubles=_in_turns, **three),
        run("roles-cloud-hold", server, cloud, "hold", senders=4, **split),
        run("roles-cloud-retry", server, cloud, "retry", senders=4, behaviour=TANGLED, **split),
        run("roles-routemobile-hold", server, route_mobile, "hold", **split),
        run("sessions-cut", server, cloud, "hold", troubles=_sessions),
        run("server-stopped", Kept.OWN_POSTGRESQL, cloud, "hold", troubles=_server),
        run("disk-full", Kept.SMALL_DISK, cloud, "hold", troubles=_disk),
    ]


#: What `make faults` runs, by name.
RUNS: Final[Mapping[str, Run]] = MappingProxyType(
    {run.name: run for run in [*_kills(), *_others()]}
)
