"""The command line of the fault bench: which runs, and from which seed."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

from simulation.bugs import BUGS
from tests.postgres import real_server

from faults import report
from faults.plan import RUNS, Kept, Run
from faults.stage import Result, play

#: Ctrl-C, and what `kill` and `timeout` send.
_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
_DESCRIPTION = """\
Breaks real gateways: kills them at every point of a message's way, cuts their network and their
database, sets their clock; then compares what callers were answered, what is stored, and what the
provider got. A whole run takes some twenty minutes on two cores.
"""
_EXAMPLES = """\
examples:
  python -m faults                                      every run
  python -m faults --list                               their names
  python -m faults --only sqlite-cloud-hold --seed 4711  one of them, again
  python -m faults --only disk-full,sessions-cut        some
  python -m faults --only sqlite-cloud-hold --bug begun_again_after_a_restart

The exit code is 1 where something was lost, doubled without being allowed to, or got stuck.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; the exit code."""
    options = _options(arguments)
    if options.list:
        print("\n".join(RUNS))
        return 0
    # All calls pass through this process. A look through all of its objects takes 100 ms and more,
    # in which they would pile up, and then come to the provider faster than alir sent them.
    gc.disable()
    try:
        return asyncio.run(_run(options))
    except asyncio.CancelledError:
        print("faults: stopped", file=sys.stderr)
        return 130


def _end_on_signals() -> None:
    """Ctrl-C and SIGTERM cancel this task, so that every process and folder is gone afterwards.

    Once: `timeout` sends its signal twice, and the second must not break off the clearing up.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def end() -> None:
        for one in _ENDING:
            loop.remove_signal_handler(one)
            signal.signal(one, signal.SIG_IGN)
        task.cancel()

    for one in _ENDING:
        loop.add_signal_handler(one, end)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m faults",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", type=_runs, default=list(RUNS.values()), metavar="NAMES", help="some of them")
    add("--seed", type=int, default=Random().randrange(1_000_000), help="of chance (another each)")
    at_once = 2 * len(os.sched_getaffinity(0))  # most of a run is waiting
    add("--jobs", type=int, default=at_once, help="runs at once (two a core)")
    add("--bug", choices=sorted(BUGS), metavar="BUG", help="plant one of: " + ", ".join(BUGS))
    add("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the stores live")
    add("--list", action="store_true", help="print the names of the runs")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error("--jobs must be at least 1")
    return options


def _runs(text: str) -> list[Run]:
    names = text.split(",")
    if unknown := set(names) - set(RUNS):
        raise argparse.ArgumentTypeError(f"no such run: {', '.join(sorted(unknown))}; see --list")
    return [RUNS[name] for name in names]


async def _run(options: argparse.Namespace) -> int:
    _end_on_signals()
    began = time.monotonic()
    runs = [replace(run, bug=options.bug) for run in options.only]
    with ExitStack() as during:
        server = None
        if any(run.kept is Kept.POSTGRESQL for run in runs):
            server = during.enter_context(real_server())
        print(report.head(), flush=True)
        results = await _play_all(runs, options, server)
    print(report.total(results))
    print(report.kills(results))
    print("\n".join(report.seen(results)))
    print(f"{len(runs)} runs in {time.monotonic() - began:,.0f} s, {options.jobs} at once")
    return 1 if any(result.broken for result in results) else 0


async def _play_all(
    runs: Sequence[Run], options: argparse.Namespace, server: str | None
) -> list[Result]:
    room = asyncio.Semaphore(options.jobs)

    async def play_one(run: Run) -> Result:
        async with room:
            folder = Path(tempfile.mkdtemp(prefix=f"alir-{run.name}-", dir=options.folder))
            is_wanted = False
            try:
                result = await play(run, options.seed, folder, server=server)
                is_wanted = bool(result.broken)
            finally:
                if not is_wanted:
                    shutil.rmtree(folder, ignore_errors=True)
            print(report.line(result), flush=True)
            for said in report.broken(result, str(folder)):
                print(said, flush=True)
            return result

    # Unlike `gather`, a group that is cancelled waits until each run has cleared up.
    async with asyncio.TaskGroup() as group:
        played = [group.create_task(play_one(run)) for run in runs]
    return [one.result() for one in played]
