"""The command line of the simulation: how many schedules, which seed, which planted bug."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from simulation.bugs import BUGS
from simulation.disk import Platter, folder
from simulation.many import Tally, find, run_all
from simulation.schedule import run

#: A planted bug has to be found within so many schedules (issue on faults, point 7).
FOUND_WITHIN: Final = 10_000
_TOLD_EVERY: Final = 5_000

_DESCRIPTION = """\
Runs alir's core on a virtual clock, in worlds that seeds make, and checks after each schedule that
no promise was broken. The same seed gives the same schedule, step by step.
"""
_EXAMPLES = """\
examples:
  python -m simulation                        1,000 schedules
  python -m simulation --schedules 100000     many
  python -m simulation --replay 4711          one of them, with all that happens in it
  python -m simulation --bugs                 plants each bug in turn, and says when it was found
  python -m simulation --replay 3 --bug busy_on_a_lost_answer

The exit code is 1 where a promise was broken, and with --bugs where a bug was not found.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulation; the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of a set of texts is drawn anew in each Python; a schedule must not be.
        again = [sys.executable, "-m", "simulation", *given]
        os.execve(sys.executable, again, os.environ | {"PYTHONHASHSEED": "0"})  # noqa: S606 - this program again
    options = _options(given)
    # SIGTERM unwinds as Ctrl-C does, so that the folder in memory is gone afterwards.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if options.replay is not None:
            return _replay(options.replay, options.bug)
        if options.bugs:
            return _find_all(options.jobs)
        return _run(options)
    except KeyboardInterrupt:
        print("simulation: stopped", file=sys.stderr)
        return 130


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _options(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m simulation",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--schedules", type=int, default=1000, help="how many (1000)")
    add("--first", type=int, default=0, metavar="SEED", help="the first one's seed (0)")
    add("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes (one a core)")
    add("--replay", type=int, metavar="SEED", help="one schedule, and print what happens in it")
    add("--bug", choices=sorted(BUGS), metavar="BUG", help="plant one of: " + ", ".join(BUGS))
    add("--bugs", action="store_true", help="plant each bug in turn, until it is found")
    options = parser.parse_args(given)
    if options.schedules < 1 or options.jobs < 1:
        parser.error("--schedules and --jobs must be at least 1")
    return options


def _run(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    tally = Tally()
    for one in run_all(options.first, options.schedules, jobs=options.jobs, bug=options.bug):
        tally += one
        for seed, broken in one.broken.items():
            bug = "" if options.bug is None else f" --bug {options.bug}"
            print(f"seed {seed}: {'; '.join(broken)}")
            print(f'  again: make simulate ARGS="--replay {seed}{bug}"', flush=True)
        if tally.schedules % _TOLD_EVERY == 0:
            print(f"{tally.schedules:,} schedules", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - began
    rate = tally.schedules / seconds
    print(
        f"{tally.schedules:,} schedules in {seconds:,.1f} s "
        f"({rate:,.0f} a second, {options.jobs} at once): {len(tally.broken):,} broke a promise"
    )
    print("in them: " + ", ".join(f"{count:,} {name}" for name, count in tally.figures.items()))
    least = tally.least
    print(f"in each: {least['messages']} messages or more, {least['faults']} faults or more")
    return 1 if tally.broken else 0


def _replay(seed: int, bug: str | None) -> int:
    with folder() as place, Platter(Path(place) / "alir.db") as platter:
        outcome = run(seed, platter, bug=bug)
    print(outcome.plan)
    for line in outcome.trace:
        print(line)
    for broken in outcome.broken:
        print(f"broken: {broken}")
    print(f"trace {outcome.trace.digest()[:16]}, {outcome.seconds:.0f} s of virtual time")
    return 1 if outcome.broken else 0


def _find_all(jobs: int) -> int:
    missed = 0
    for bug, found in find(list(BUGS), most=FOUND_WITHIN, jobs=jobs):
        if found is None:
            missed += 1
            print(f"{bug:30} not found in {FOUND_WITHIN:,}", flush=True)
        else:
            print(f"{bug:30} {found.seed + 1:6,}  {found.broken}", flush=True)
    return 1 if missed else 0
