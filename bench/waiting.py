"""A million messages waiting: how fast alir takes and carries others past them, and them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from statistics import median

from bench.contenders import Alir, Spot
from bench.fill import Shape, fill
from bench.measure import Bench, Kept
from bench.processes import BenchFailed, Server, call
from bench.rounds import Round

#: So many pieces of the long line in one go, to see whether it gets slower on its way.
PIECES = 7
#: Carried of a line before anything is measured.
_WARM = 500
RECIPIENTS = 10_000
_GIVE_UP_SECONDS = 300.0
#: Between two looks at another process, which tells nobody how far it is.
_LOOK_SECONDS = 0.02
# Whether any of those that came waits; to count them all, many times a second, would hold up alir.
_LINE = (
    "SELECT count(*) FROM (SELECT 1 FROM message WHERE status = 'queued' AND parked IS NULL"
    " AND sender = 'bench' AND queue_class = 'single' LIMIT 1) AS first"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One measure on an empty store and on a full one, in turns."""

    empty: list[Round]
    full: list[Round]

    def percent(self, figure: str) -> float:
        """What the full store's median is of the empty one's."""
        empty, full = self.medians(figure)
        return 100 * full / empty

    def medians(self, figure: str) -> tuple[float, float]:
        """Of the rounds on the empty store, and of those on the full one."""
        empty, full = ([getattr(o, figure) for o in some] for some in (self.empty, self.full))
        return median(empty), median(full)

    def problems(self) -> list[str]:
        return [problem for one in (*self.empty, *self.full) for problem in one.problems]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What was found out with many messages of one shape waiting in one database.

    Attributes:
        pairs: by measure: taken, carried, and carried of the line itself where they are due.
        pieces: of the line, carried on and on: messages a second of each piece.
        ready_s: until it was ready and had taken a message, of each start; the last one after a
            crash under load.
        waiting_mb, after_mb: in RAM once it was ready, and after each load.
    """

    contender: str
    shape: str
    title: str
    pairs: dict[str, Pair]
    pieces: list[float]
    ready_s: list[float]
    waiting_mb: list[float]
    after_mb: list[float]

    def problems(self) -> list[str]:
        return [f"{self.shape}: {problem}" for p in self.pairs.values() for problem in p.problems()]


class Full:
    """A store full of messages that wait, and measures on it and on empty ones. Use `opened`."""

    def __init__(
        self, bench: Bench, alir: Alir, shape: Shape, kept: Kept, *, piece: int, seconds: float
    ) -> None:
        self._bench = bench
        self._alir = alir
        self._shape = shape
        self._piece = piece
        self._seconds = seconds
        self.kept = kept

    @classmethod
    @contextmanager
    def opened(
        cls, bench: Bench, alir: Alir, shape: Shape, *, messages: int, piece: int, seconds: float
    ) -> Iterator[Full]:
        """Such a store, gone afterwards.

        Args:
            messages: how many wait.
            piece: how many of a line are carried in a round.
        """
        with _filled(bench, alir, shape, messages) as kept:
            yield cls(bench, alir, shape, kept, piece=piece, seconds=seconds)

    def measure(self, rounds: int, progress: Callable[[str], None]) -> Waiting:
        """Everything about it."""
        # What was only taken stays in the full store. Past a line the next measure carries it and
        # counts it; elsewhere it would be carried with the messages that are counted.
        measures = {"carried": self._carried, "taken": self._taken}
        if self._shape.is_line:
            measures = {
                "taken": self._taken,
                "carried": self._carried,
                "of the line": self._carried_of_line,
            }
        pairs = {}
        for name, take in measures.items():
            pair = pairs[name] = Pair(empty=[], full=[])
            for number in range(1, rounds + 1):
                for which, rounds_of, kept in (
                    ("empty", pair.empty, None),
                    ("full", pair.full, self.kept),
                ):
                    one = take(kept)
                    rounds_of.append(one)
                    figures = f"{one.per_second:,.0f}/s, {one.per_cpu_second:,.0f} per CPU-s"
                    label = f"{self._shape.name} {name} {number}/{rounds} {self._alir.name}"
                    progress(f"{label}, {which}: {figures}")
        pieces = self._carried_on() if self._shape.is_line else []
        self._crash()
        return Waiting(
            contender=self._alir.name,
            shape=self._shape.name,
            title=self._shape.title,
            pairs=pairs,
            pieces=pieces,
            ready_s=self.kept.ready_s,
            waiting_mb=self.kept.at_start_mb,
            after_mb=self.kept.resident_mb,
        )

    def _taken(self, kept: Kept | None) -> Round:
        return self._bench.accept(
            self._alir, seconds=self._seconds, recipients=RECIPIENTS, kept=kept
        )

    def _carried(self, kept: Kept | None) -> Round:
        if kept and self._shape.is_line:
            return self._carried_past_line(kept)
        return self._bench.carry(
            self._alir, seconds=self._seconds, delay_ms=0, recipients=RECIPIENTS, kept=kept
        )

    def _carried_past_line(self, kept: Kept) -> Round:
        """What is carried while others come, of these and of the line: until none of these wait."""
        alir, bench = self._alir, self._bench
        with bench.running(alir, kept=kept) as (server, spot):
            bench.warm_up(alir, server, RECIPIENTS, kept=kept)
            before, clock = _all_recorded(alir, spot), bench.clock(server)
            load = bench.load(alir, server, seconds=self._seconds, recipients=RECIPIENTS)
            _await(server, lambda: alir.count(spot, _LINE) == 0)
            took = time.monotonic() - load.began_at
            cpu, others = clock.server_cpu(), clock.provider_cpu() + load.cpu_seconds
            messages = _all_recorded(alir, spot) - before
            problems = load.problems() + _doubled(bench)
        return Round.carried(
            alir.name,
            messages=messages,
            seconds=took,
            cpu=cpu,
            others=others,
            problems=problems,
            load=load,
        )

    def _carried_of_line(self, kept: Kept | None) -> Round:
        """What is carried of a line alone; of a full store's, or of one that is not long."""
        if kept:
            return self._carry_line(kept, 1)[0]
        # A little longer than need be: its end is not what is measured.
        with _filled(self._bench, self._alir, self._shape, 2 * _WARM + self._piece) as short:
            return self._carry_line(short, 1)[0]

    def _carried_on(self) -> list[float]:
        return [one.per_second for one in self._carry_line(self.kept, PIECES)]

    def _carry_line(self, kept: Kept, pieces: int) -> list[Round]:
        """Let the line go; piece after piece of it."""
        alir, bench = self._alir, self._bench
        rounds = []
        with bench.running(alir, kept=kept) as (server, _):
            _await(server, lambda: _carried(bench) >= _WARM)
            for _ in range(pieces):
                began_at, clock, before = time.monotonic(), bench.clock(server), _carried(bench)
                upto = before + self._piece
                _await(server, lambda: _carried(bench) >= upto)  # noqa: B023 - it ends in here
                took, messages = time.monotonic() - began_at, _carried(bench) - before
                cpu, others = clock.server_cpu(), clock.provider_cpu()
                rounds.append(
                    Round.carried(
                        alir.name,
                        messages=messages,
                        seconds=took,
                        cpu=cpu,
                        others=others,
                        problems=_doubled(bench),
                    )
                )
        return rounds

    def _crash(self) -> None:
        """Start once more after a `kill -9` in the midst of a load."""
        alir, bench = self._alir, self._bench
        with bench.running(alir, kept=Kept(self.kept.folder)) as (server, _):
            bench.load(alir, server, seconds=1, recipients=RECIPIENTS)
            server.kill()
        with bench.running(alir, kept=self.kept) as (server, _):
            bench.warm_up(alir, server, RECIPIENTS, kept=self.kept)


@contextmanager
def _filled(bench: Bench, alir: Alir, shape: Shape, messages: int) -> Iterator[Kept]:
    """A store in which so many messages wait, one of them stored by alir, the rest multiplied."""
    with bench.folder(alir) as folder:
        kept = Kept(folder)
        try:
            with bench.running(alir, sending=False, kept=Kept(folder)) as (server, _):
                posting = alir.posting(recipients=1)
                body = json.loads(posting.bodies[0]) | {"from": shape.sender} | dict(shape.asks)
                headers = posting.headers | {"Content-Type": "application/json"}
                content = json.dumps(body).encode()
                status, said = call(server.port, "POST", posting.path, content, headers)
                if status != HTTPStatus.ACCEPTED:
                    raise BenchFailed(server.story(f"answered {status}: {said.decode()}"))
            fill(alir, folder, shape, messages)
            yield kept
        finally:
            if alir.on:
                alir.on.drop(folder)


def _carried(bench: Bench) -> int:
    return bench.counts()["messages"]


def _doubled(bench: Bench) -> list[str]:
    counts = bench.counts()
    doubled = counts["requests"] - counts["messages"]
    return [f"{doubled} sent more than once"] if doubled else []


def _all_recorded(alir: Alir, spot: Spot) -> int:
    return alir.recorded(spot) + alir.recorded_of_filled(spot)


def _await(server: Server, is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + _GIVE_UP_SECONDS
    while not is_so():
        server.check_alive()
        if time.monotonic() > give_up_at:
            raise BenchFailed(server.story(f"did not get there in {_GIVE_UP_SECONDS:.0f} s"))
        time.sleep(_LOOK_SECONDS)
