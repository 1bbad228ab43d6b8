"""Many schedules, in as many processes as there are cores."""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.pool
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from simulation.disk import Platter, folder
from simulation.schedule import Outcome, run

#: Schedules that a process runs at a time; after them it clears its memory up.
_AT_A_TIME: Final = 50


@dataclass(slots=True)
class Tally:
    """What some schedules came to.

    Attributes:
        broken: the promises that were broken, by seed.
        figures: of all together.
        least: of the schedule that had the fewest.
    """

    schedules: int = 0
    broken: dict[int, tuple[str, ...]] = field(default_factory=dict)
    figures: Counter[str] = field(default_factory=Counter)
    least: dict[str, int] = field(default_factory=dict)

    def note(self, outcome: Outcome) -> None:
        """Count one more schedule."""
        self.schedules += 1
        if outcome.broken:
            self.broken[outcome.seed] = outcome.broken
        self._add(outcome.figures, outcome.figures)

    def __iadd__(self, other: Tally) -> Tally:
        self.schedules += other.schedules
        self.broken |= other.broken
        self._add(other.figures, other.least)
        return self

    def _add(self, figures: Mapping[str, int], least: Mapping[str, int]) -> None:
        self.figures.update(figures)
        for name, count in least.items():
            self.least[name] = min(count, self.least.get(name, count))


class Found(NamedTuple):
    """A planted bug was found: with which seed, and what it broke."""

    seed: int
    broken: str


def run_all(first: int, count: int, *, jobs: int, bug: str | None = None) -> Iterator[Tally]:
    """Run the schedules of `count` seeds from `first`, and tell of them as they come."""
    portions = [
        range(at, min(at + _AT_A_TIME, first + count))
        for at in range(first, first + count, _AT_A_TIME)
    ]
    with folder() as place, _pool(min(jobs, len(portions)), place) as pool:
        yield from pool.imap_unordered(partial(_run_some, bug=bug), portions)


def find(bugs: Sequence[str], *, most: int, jobs: int) -> Iterator[tuple[str, Found | None]]:
    """Plant each bug, and run schedules from seed 0 until one breaks a promise."""
    with folder() as place, _pool(min(jobs, len(bugs)), place) as pool:
        yield from zip(bugs, pool.imap(partial(_find, most=most), bugs), strict=True)


def _pool(jobs: int, place: str) -> multiprocessing.pool.Pool:
    # Not forked: a process begins with nothing of this one in it.
    return multiprocessing.get_context("spawn").Pool(jobs, _begin, (place,))


#: This process's.
_platters: list[Platter] = []


def _begin(place: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who began this one ends it
    gc.disable()  # schedules leave much behind, and it is quicker to clear up after many
    _platters.append(Platter(Path(place) / f"{os.getpid()}.db"))


def _run_some(seeds: Sequence[int], *, bug: str | None) -> Tally:
    [platter] = _platters
    tally = Tally()
    for seed in seeds:
        tally.note(run(seed, platter, bug=bug))
        gc.collect(0)  # while what it left is still near the CPU
    gc.collect()
    gc.freeze()  # what is there still stays, and need not be looked at again
    return tally


def _find(bug: str, *, most: int) -> Found | None:
    [platter] = _platters
    for seed in range(most):
        outcome = run(seed, platter, bug=bug)
        if outcome.broken:
            return Found(seed, outcome.broken[0])
        if seed % _AT_A_TIME == 0:
            gc.collect()
    return None
