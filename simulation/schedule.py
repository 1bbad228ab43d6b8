"""One schedule: what a seed makes happen, and whether every promise was kept."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from random import Random
from typing import Any

import structlog

from simulation.bugs import BUGS, planted
from simulation.disk import Platter
from simulation.happened import Trace
from simulation.loop import VirtualLoop
from simulation.plan import Plan, draw
from simulation.promises import broken_by
from simulation.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a schedule came to.

    Attributes:
        broken: the promises that were broken, in words; none: all were kept.
        seconds: of virtual time.
    """

    seed: int
    plan: Plan
    broken: tuple[str, ...]
    seconds: float
    trace: Trace
    figures: Counter[str]


def run(seed: int, platter: Platter, *, bug: str | None = None) -> Outcome:
    """Run the schedule of `seed`, with a bug planted where one is named.

    The same seed, bug and version of alir give the same trace.
    """
    chance = Random(seed)  # noqa: S311 - no secret
    plan = draw(chance)
    platter.empty()
    loop = VirtualLoop(chance.shuffle)
    trace = Trace(loop.time)
    faults: list[str] = []
    loop.set_exception_handler(lambda _, context: faults.append(_fault_of(context)))
    world = World(platter, plan, chance, loop, trace)
    with nullcontext() if bug is None else planted(BUGS[bug]), _listening(trace, faults):
        try:
            loop.run_until_complete(loop.create_task(world.run()))
            broken = (*world.broken, *broken_by(world), *faults)
        except Exception as error:  # whatever it is, its seed must be told
            broken = (f"broke: {type(error).__name__}: {error}", *world.broken, *faults)
        finally:
            for process in world.processes:
                process.kill()
            loop.bury()
            world.disk.unlock()
            loop.close()
    return Outcome(
        seed=seed,
        plan=plan,
        broken=tuple(dict.fromkeys(broken)),
        seconds=loop.time(),
        trace=trace,
        figures=Counter(
            messages=world.stored,
            faults=world.befallen,
            processes=len(world.processes),
            calls=len(world.network.departures),
        ),
    )


class _listening:  # noqa: N801 - read as a word of the sentence
    """Puts what alir logs into the trace; an error of alir's own is a broken promise."""

    def __init__(self, trace: Trace, faults: list[str]) -> None:
        self._trace = trace
        self._faults = faults
        self._before: dict[str, Any] = {}

    def __enter__(self) -> None:
        self._before = structlog.get_config()
        structlog.configure(
            processors=[self._note],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            cache_logger_on_first_use=False,
        )

    def __exit__(self, *_: object) -> None:
        structlog.configure(**self._before)

    def _note(self, _logger: object, method: str, event: Any) -> Any:
        what = event.pop("event")
        self._trace.add("log", what, **event)
        if method == "error":
            self._faults.append(f"alir broke: {what} {event}")
        raise structlog.DropEvent


def _fault_of(context: dict[str, Any]) -> str:
    """What the loop complains of."""
    return f"alir broke: {context.get('message')} {context.get('exception')!r}"
