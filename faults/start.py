"""Starts alir in this process, so that it kills itself at a point: `python -m faults.start`.

Nothing of this is in alir, and nothing in alir knows of it: methods are wrapped from here, by
name, before the command line begins. The first argument is JSON, the others are alir's:

    python -m faults.start '{"point": "stored", "nth": 3}' serve --port 0
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import wraps
from random import Random
from typing import Any, Final

from alir.cli.main import main as alir
from alir.clock import SystemClock
from faults.points import INSIDE, Point, Side

#: Between two settings of the wall clock.
_CLOCK_STANDS: Final = timedelta(seconds=0.7)
#: How far a clock is off that is being set, in seconds: a little, or a lot.
_OFF_BY: Final = (0.0, -0.5, -2.0, -30.0, -3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """What is to happen to a process, by itself.

    Attributes:
        point: it kills itself there, one of `points.INSIDE`; none: nowhere.
        nth: at which time.
        clock: a seed by which its wall clock is set back and forth; none: it is right.
        bug: one of `simulation.bugs.BUGS` that is planted in it.
    """

    point: str | None = None
    nth: int = 1
    clock: int | None = None
    bug: str | None = None

    def as_text(self) -> str:
        return json.dumps(asdict(self))


def main(arguments: list[str]) -> None:
    """Do as the first argument says to alir, then run it with the others."""
    harm = Harm(**json.loads(arguments[0]))
    if harm.bug is not None:
        from simulation.bugs import BUGS  # most starts plant none, and each is waited for

        for whose, name, by in BUGS[harm.bug].places:
            setattr(whose, name, by)
    if harm.point is not None:
        _kill_at(INSIDE[harm.point], harm.nth)
    if harm.clock is not None:
        _set_back_and_forth(harm.clock)
    sys.argv = ["alir", *arguments[1:]]
    alir()


def _kill_at(point: Point, nth: int) -> None:
    left = nth

    def come() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    for whose, name in point.places:
        setattr(whose, name, _watched(getattr(whose, name), point, come))


def _watched(method: Callable[..., Any], point: Point, come: Callable[[], None]) -> Any:
    @wraps(method)
    async def before(*given: Any, **named: Any) -> Any:
        if point.counts(*given, **named):
            come()
        return await method(*given, **named)

    @wraps(method)
    async def after(*given: Any, **named: Any) -> Any:
        result = await method(*given, **named)
        if point.counts(result, *given, **named):
            come()
        return result

    return before if point.side is Side.BEFORE else after


def _set_back_and_forth(seed: int) -> None:
    """Have the wall clock jump; it is never ahead of the time, so that in the end all comes due."""
    right, chance, stands = SystemClock.now, Random(seed), _CLOCK_STANDS.total_seconds()
    since, off = -stands, timedelta()

    def now(self: SystemClock) -> datetime:
        nonlocal since, off
        if self.elapsed() - since >= stands:
            since, off = self.elapsed(), timedelta(seconds=chance.choice(_OFF_BY))
        return right(self) + off

    setattr(SystemClock, "now", now)  # noqa: B010 - mypy takes no assignment to a method


if __name__ == "__main__":
    main(sys.argv[1:])
