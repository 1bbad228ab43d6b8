"""The command line of the bench: what to measure, for how long, and where to put it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from bench import machine
from bench.batches import in_batches
from bench.bodies import bodies
from bench.contenders import Alir, Contender, Plain, prototype
from bench.fill import SHAPES, Shape
from bench.measure import CONNECTIONS, Bench
from bench.pacing import PAIR_SECONDS, RECIPIENTS, Pacing, in_process
from bench.postgres import databases
from bench.processes import BenchFailed
from bench.report import ON_POSTGRESQL, Results, Row, as_text
from bench.rounds import Round, Single
from bench.waiting import Full, Waiting

MEASURES = ("accept", "carry", "latency", "memory", "pacing", "batch")
#: Only where it is asked for: it takes 20 minutes by itself.
BY_NAME = ("waiting",)
DELAYS_MS = (0, 100)
LATENCY_RATE = 200.0
_NAMES = (*MEASURES, *BY_NAME)
#: Of options that were not given, in a run and in a quick one.
_DEFAULTS: dict[str, tuple[Any, Any]] = {
    "only": (MEASURES, _NAMES),
    "rounds": (5, 1),
    "seconds": (3.0, 1.0),
    "latency_seconds": (25.0, 2.0),
    "memory_messages": (100_000, 2_000),
    "pacing_messages": (20_000, 2_000),
    "waiting_messages": (1_000_000, 20_000),
    "waiting_piece": (15_000, 500),
    "shapes": (SHAPES, SHAPES[1:2]),
}
#: Ctrl-C, and what `kill` and `timeout` send.
_ENDING = (signal.SIGINT, signal.SIGTERM)
_RESULTS = Path(__file__).resolve().parent / "results"

_DESCRIPTION = """\
Measures alir on this machine, beside a plain design and, where ALIR_BENCH_PROTOTYPE names its
folder, beside a bare prototype. Prints a table and writes JSON. A whole run takes about 9 minutes;
`waiting`, a million messages waiting, is only measured where it is named.
"""
_EXAMPLES = """\
examples:
  python -m bench                                   everything, medians of 5 rounds
  python -m bench --only accept --rounds 9          one measure, more carefully
  python -m bench --only waiting --rounds 3         a million messages waiting
  python -m bench --quick                           does the bench itself work?
  ALIR_BENCH_PROTOTYPE=../speed python -m bench     the prototypes too

The exit code is 1 where a figure could not be taken or does not count, for instance because an
answer was an error or a message was lost or doubled. A target that was missed is not an error.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; the exit code."""
    options = _options(arguments)
    for one in _ENDING:
        signal.signal(one, _interrupt)
    try:
        with ExitStack() as during:
            results = _run(options, during)
    except BenchFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        return 130
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results.as_json(), indent=1) + "\n")
    print(as_text(results))
    print(f"\nall of it as JSON: {options.json}")
    return 1 if results.failures() else 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Unwind, so that every process and folder is gone afterwards.

    Once: `timeout` sends its signal twice, and the second must not break off the clearing up.
    """
    for one in _ENDING:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", type=_measures, help="some of " + ",".join(_NAMES))
    add("--rounds", type=int, help="rounds for each figure (5)")
    add("--seconds", type=float, help="seconds of load a round (3)")
    add("--latency-seconds", type=float, help="seconds of the latency rounds together (25)")
    add("--memory-messages", type=int, help="messages before memory is read (100000)")
    add("--pacing-messages", type=int, help="messages a run of pacing in the process (20000)")
    add("--waiting-messages", type=int, help="messages that wait (1000000)")
    add("--waiting-piece", type=int, help="messages of a line that are carried in a round (15000)")
    add("--shapes", type=_shapes, help="some of " + ",".join(one.name for one in SHAPES))
    add("--recipients", type=int, default=1, help="different recipients to accept and carry (1)")
    add("--quick", action="store_true", help="a smoke run: 1 round of 1 s, little of the rest")
    add("--json", type=Path, default=_RESULTS / "latest.json", help="where the JSON goes")
    add("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the stores live")
    # Beside the interpreter without following its link: that is the environment's own folder.
    command = Path(sys.executable).with_name("alir")
    add("--alir", type=Path, default=command, help="the alir command to measure")
    options = parser.parse_args(arguments)
    for name, (default, quick) in _DEFAULTS.items():
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else default)
    return options


def _measures(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := set(chosen) - set(_NAMES):
        raise argparse.ArgumentTypeError(f"no such measure: {', '.join(sorted(unknown))}")
    return chosen


def _shapes(text: str) -> tuple[Shape, ...]:
    by_name = {one.name: one for one in SHAPES}
    try:
        return tuple(by_name[name] for name in text.split(","))
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"no such shape: {error.args[0]}") from error


def _run(options: argparse.Namespace, during: ExitStack) -> Results:
    if not Path("/proc/self/stat").exists():
        raise BenchFailed("this reads what a process used from /proc, which only Linux has")
    alir = Alir(options.alir.absolute())
    bare = prototype()
    contenders: list[Contender] = [alir, Plain(), *([bare] if bare else [])]
    on_postgresql = alir
    if {"accept", "carry", "waiting"}.intersection(options.only):
        on = during.enter_context(databases())
        on_postgresql = replace(alir, name=ON_POSTGRESQL, on=on)
        contenders.insert(1, on_postgresql)
    cores = machine.Cores.of_this_machine()
    results = Results(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=_settings(options),
        machine=machine.facts(options.folder),
        cores=str(cores),
    )
    with Bench.opened(cores=cores, folder=options.folder, recipients=options.recipients) as bench:
        if "accept" in options.only:
            results.rows += _rounds(
                "accept",
                contenders,
                options.rounds,
                partial(bench.accept, seconds=options.seconds),
            )
        for delay in DELAYS_MS if "carry" in options.only else ():
            results.rows += _rounds(
                f"carry-{delay}",
                contenders,
                options.rounds,
                partial(bench.carry, seconds=options.seconds, delay_ms=delay),
            )
        if "latency" in options.only:
            results.latency = _latency(bench, alir, options)
        if "memory" in options.only:
            _progress("memory")
            results.memory = bench.memory(alir, messages=options.memory_messages)
        if "batch" in options.only:
            results.batch = _batch(bench, alir, options)
        if "pacing" in options.only:
            results.pacing = _pacing(bench, alir, options)
        if "waiting" in options.only:
            # The same steps twice would show no more of the bench in a quick run.
            both = [on_postgresql] if options.quick else [alir, on_postgresql]
            results.waiting = _waiting(bench, both, options)
    return results


def _rounds(
    measure: str,
    contenders: Sequence[Contender],
    rounds: int,
    take: Callable[[Contender], Round],
) -> list[Row]:
    """The contenders in turns, so that a neighbour's load falls on all alike."""
    taken: dict[str, list[Round]] = {contender.name: [] for contender in contenders}
    for number in range(1, rounds + 1):
        for contender in contenders:
            one = take(contender)
            taken[contender.name].append(one)
            figures = f"{one.per_second:,.0f}/s, {one.per_cpu_second:,.0f} per CPU-s"
            _progress(f"{measure} {number}/{rounds} {contender.name}: {figures}")
    return [Row.of(measure, of_one) for of_one in taken.values()]


def _latency(bench: Bench, alir: Contender, options: argparse.Namespace) -> Single:
    seconds = options.latency_seconds / options.rounds
    taken = []
    for number in range(1, options.rounds + 1):
        one = bench.latency(alir, rate=LATENCY_RATE, seconds=seconds)
        taken.append(one)
        figures = "p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms".format_map(one.figures)
        _progress(f"latency {number}/{options.rounds} {alir.name}: {figures}")
    return Single.of(taken)


def _batch(bench: Bench, alir: Contender, options: argparse.Namespace) -> Single:
    taken = []
    for number in range(1, options.rounds + 1):
        with bench.holding(alir) as port:
            one = in_batches(port, alir.posting())
        taken.append(one)
        figures = "{batch_ms:.0f} ms, one by one {one_by_one_ms:.0f} ms".format_map(one.figures)
        _progress(f"batch {number}/{options.rounds} {alir.name}: {figures}")
    return Single.of(taken)


def _pacing(bench: Bench, alir: Alir, options: argparse.Namespace) -> Pacing:
    pieces, runs = in_process(options.folder, messages=options.pacing_messages, runs=options.rounds)
    _progress("pacing, in the process: " + ", ".join(f"{one:.1f} us" for one in runs))
    contenders = [replace(alir, name="unpaced")]
    contenders += [replace(alir, name="paced", pair_seconds=PAIR_SECONDS)]
    take = partial(bench.carry, seconds=options.seconds, delay_ms=0, recipients=RECIPIENTS)
    rows: list[Row] = []
    for _ in range(options.rounds):
        rows += _rounds("pacing", contenders, 1, take)
        contenders.reverse()  # so that neither is always the first of a pair
    unpaced, paced = (
        [row.rounds[0] for row in rows if row.contender == name] for name in ("unpaced", "paced")
    )
    return Pacing(pieces=pieces, runs=runs, unpaced=unpaced, paced=paced)


def _waiting(
    bench: Bench, contenders: Sequence[Alir], options: argparse.Namespace
) -> list[Waiting]:
    found = []
    for contender in contenders:
        alir = replace(contender, has_slow=True)
        for shape in options.shapes:
            _progress(f"waiting, {shape.name}, {alir.name}: {options.waiting_messages:,} messages")
            with Full.opened(
                bench,
                alir,
                shape,
                messages=options.waiting_messages,
                piece=options.waiting_piece,
                seconds=options.seconds,
            ) as full:
                found.append(full.measure(options.rounds, _progress))
    return found


def _settings(options: argparse.Namespace) -> dict[str, object]:
    return {
        "quick": options.quick,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "connections": CONNECTIONS,
        "recipients": options.recipients,
        "waiting_messages": options.waiting_messages,
        "body_bytes": len(bodies()[0].encode()),
    }


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
