"""What a seed makes of a schedule: the load, the weather, and what goes wrong when."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

#: Faults come before this, in seconds; from then on, or from the last of them on where that finds
#: nothing to befall until later, the world is calm, and all must come to rest.
CALM_AT: Final = 6.0
#: A schedule has no fewer messages and faults. Source: issue on faults, point 7.
LEAST_MESSAGES: Final = 5
LEAST_FAULTS: Final = 2
#: How long the world is watched after that before what has not come to rest counts as stuck:
#: longer than every pause and sweep that a schedule may set going.
PATIENCE: Final = 900.0
#: How long a message waits for evidence before `on_unknown` decides; a setting of the gateway.
UNKNOWN_AFTER: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How likely it is that a call meets each of these.

    Attributes:
        unreachable: no connection is made.
        lost: the request never arrives, and no answer comes.
        unanswered: it arrives, and the answer is lost.
        garbled: it arrives, and something else answers in the provider's place.
        late: it arrives after its caller has heard that nothing will come.
        slow: seconds that an answer takes at most, else.
    """

    unreachable: float = 0.0
    lost: float = 0.0
    unanswered: float = 0.0
    garbled: float = 0.0
    late: float = 0.0
    slow: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Temper:
    """How likely the provider does each of these with a message.

    Attributes:
        refuses, busy: by its answer.
        fails: by a receipt, after it took it.
        marks: it gives alir's mark back.
        eager: a receipt overtakes the answer.
        repeats: a receipt comes twice.
        bundles: a receipt comes with the one before it, in one callback.
        silent: no receipt comes at all.
    """

    refuses: float = 0.0
    busy: float = 0.0
    fails: float = 0.0
    marks: bool = True
    eager: float = 0.0
    repeats: float = 0.0
    bundles: float = 0.0
    silent: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskTemper:
    """How likely a commit meets each of these, at any time before the calm.

    Attributes:
        lost, doubtful: its answer is an error; it is stored only where doubtful.
        slow: seconds that it takes at most.
    """

    lost: float = 0.0
    doubtful: float = 0.0
    slow: float = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Rumours:
    """What becomes of what processes tell each other.

    Attributes:
        lost: how likely one of them does not hear it.
        late: seconds until it hears it, at most.
    """

    lost: float = 0.0
    late: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong at a moment.

    Attributes:
        kind: `kill` a process after `steps` more steps, or after a while, or `suspend` it then for
            `seconds`; `stop` it cleanly, set its `clock` by `seconds`; `lock` the database, make
            the disk `stall` or `break` it, or `cut` the network, for `seconds`.
        then: after how many steps of its own the process dies that starts after a kill; none: not.
    """

    at: float
    kind: str
    seconds: float = 0.0
    steps: int = 0
    then: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message that a caller asks for.

    Attributes:
        token: its flow token, like no other's.
        key: its Idempotency-Key; with one, the caller repeats what was not answered.
        wait: seconds that it wants to wait for the answer.
        send_in, expires_in: seconds from `at`.
    """

    at: float
    token: str
    to: str
    sender: str
    flow: str
    on_unknown: str
    key: str | None = None
    wait: float = 5.0
    send_in: float | None = None
    expires_in: float | None = None
    has_fallback: bool = False
    twice: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What somebody does.

    Attributes:
        kind: an operator's `cancel` or `retry` of a message, or `pause` of a sender until the
            calm; a person's `write` to a sender.
    """

    at: float
    kind: str
    target: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a seed says before anything has happened.

    Attributes:
        joins_at: when the second process is started.
    """

    requests: tuple[Request, ...]
    deeds: tuple[Deed, ...]
    faults: tuple[Fault, ...]
    weather: Weather
    temper: Temper
    disk: DiskTemper
    rumours: Rumours
    joins_at: float
    per_second: float
    pair_seconds: float
    pair_burst: int
    max_calls: int


SENDERS: Final = ("main", "other")
PEOPLE: Final = tuple(f"+1212555010{n}" for n in range(4))
_FLOWS: Final = ("1001", "1002")
_KINDS: Final = (
    "kill",
    "kill",
    "kill",
    "stop",
    "stop",
    "suspend",
    "suspend",
    "clock",
    "lock",
    "stall",
    "break",
    "cut",
)


#: How many schedules have more messages than they must, and how many more faults: one in ten. Many
#: small ones find more than a few large ones in the same time.
_MORE: Final = (*(0,) * 9, 1)


def draw(chance: Random) -> Plan:
    """A plan: at least 5 messages, and 2 faults besides what weather and disk bring."""
    spread = chance.choice((0.0, 1.0, 4.0))
    messages = LEAST_MESSAGES + chance.choice(_MORE) * 3
    requests = tuple(
        sorted(
            (_request(chance, number, spread) for number in range(messages)),
            key=lambda request: request.at,
        )
    )
    count = LEAST_FAULTS + chance.choice(_MORE) * 2
    faults = tuple(sorted((_fault(chance) for _ in range(count)), key=lambda f: f.at))
    deeds = tuple(
        sorted((_deed(chance) for _ in range(chance.choice((0, 0, 1, 3)))), key=lambda d: d.at)
    )
    return Plan(
        requests=requests,
        deeds=deeds,
        faults=faults,
        weather=_weather(chance),
        temper=_temper(chance),
        disk=_disk(chance),
        rumours=Rumours(
            lost=chance.choice((0.0, 0.3, 1.0)), late=chance.choice((0.001, 0.05, 1.0))
        ),
        joins_at=chance.choice((0.0, 0.0, 1.0, 3.0)),
        per_second=chance.choice((0.0, 1.0, 5.0, 50.0)),
        pair_seconds=chance.choice((0.0, 0.0, 0.5, 2.0)),
        pair_burst=chance.choice((1, 3)),
        max_calls=chance.choice((1, 3, 500)),
    )


def spare(token: str, sender: str) -> Request:
    """A request beyond those of the plan."""
    return Request(
        at=0.0,
        token=token,
        to=PEOPLE[0],
        sender=sender,
        flow=_FLOWS[0],
        on_unknown="hold",
        key=token,
    )


def _request(chance: Random, number: int, spread: float) -> Request:
    is_keyed = chance.random() < 0.6
    return Request(
        at=round(chance.uniform(0.0, spread), 3),
        token=f"visit-{number}",
        to=chance.choice(PEOPLE[: chance.choice((1, 4))]),
        sender=chance.choice(SENDERS),
        flow=chance.choice(_FLOWS),
        on_unknown=chance.choice(("hold", "hold", "retry")),
        key=f"key-{number}" if is_keyed else None,
        wait=chance.choice((0.0, 1.0, 5.0)),
        send_in=chance.uniform(0.5, 6.0) if chance.random() < 0.2 else None,
        expires_in=chance.uniform(0.5, 20.0) if chance.random() < 0.15 else None,
        has_fallback=chance.random() < 0.1,
        twice=is_keyed and chance.random() < 0.2,
    )


def _fault(chance: Random) -> Fault:
    kind = chance.choice(_KINDS)
    at = round(chance.uniform(0.0, CALM_AT - 2.0) ** chance.choice((0.5, 1.0)), 3)
    if kind == "kill":
        then = chance.randint(1, 80) if chance.random() < 0.3 else None
        return Fault(at=at, kind=kind, steps=chance.choice((1, 10, 50, 200)), then=then)
    if kind == "clock":
        return Fault(at=at, kind=kind, seconds=chance.choice((-16.0, -3.0, 3.0, 16.0)))
    if kind == "suspend":
        seconds = chance.choice((0.1, 1.0, 4.0, 9.0, 10.0, 14.0))
        return Fault(at=at, kind=kind, seconds=seconds, steps=chance.choice((1, 10, 50, 200)))
    return Fault(at=at, kind=kind, seconds=chance.choice((0.1, 1.0, 6.0)))


def _deed(chance: Random) -> Deed:
    kind = chance.choice(("cancel", "cancel", "retry", "retry", "pause", "write"))
    return Deed(at=round(chance.uniform(0.0, CALM_AT), 3), kind=kind, target=chance.randrange(10))


def _weather(chance: Random) -> Weather:
    return Weather(
        unreachable=chance.choice((0.0, 0.0, 0.2)),
        lost=chance.choice((0.0, 0.0, 0.1, 0.4)),
        unanswered=chance.choice((0.0, 0.0, 0.1, 0.4)),
        garbled=chance.choice((0.0, 0.0, 0.1)),
        late=chance.choice((0.0, 0.0, 0.1)),
        slow=chance.choice((0.05, 0.5, 4.0)),
    )


def _temper(chance: Random) -> Temper:
    return Temper(
        refuses=chance.choice((0.0, 0.1)),
        busy=chance.choice((0.0, 0.0, 0.2, 0.5)),
        fails=chance.choice((0.0, 0.0, 0.2)),
        marks=chance.random() < 0.8,
        eager=chance.choice((0.0, 0.3)),
        repeats=chance.choice((0.0, 0.0, 0.3)),
        silent=chance.choice((0.0, 0.0, 0.3)),
        bundles=chance.choice((0.0, 0.3, 0.7)),
    )


def _disk(chance: Random) -> DiskTemper:
    return DiskTemper(
        lost=chance.choice((0.0, 0.0, 0.03)),
        doubtful=chance.choice((0.0, 0.0, 0.03, 0.1)),
        slow=chance.choice((0.002, 0.02, 0.3)),
    )
