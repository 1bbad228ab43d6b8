"""What the runs came to, as a table and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from faults.points import NAMES
from faults.stage import Result

_COLUMNS: Final = ["kills", "accepted", "lost", "doubled", "unknown", "resent", "stuck", "seconds"]
_WIDTH: Final = 32
#: So many of what is wrong are told of each run.
_TOLD: Final = 10


def head() -> str:
    """The first line of the table."""
    return "  ".join([f"{'run':{_WIDTH}}", f"{'seed':>7}", *(f"{name:>8}" for name in _COLUMNS)])


def line(result: Result) -> str:
    """A run's line."""
    return _line(result.run.name, str(result.seed), _figures([result]), is_judged=_is(result))


def total(results: Sequence[Result]) -> str:
    """The line of all of them."""
    return _line("in all", "", _figures(results), is_judged=all(map(_is, results)))


def broken(result: Result, folder: str) -> list[str]:
    """What is wrong with a run, and how it is played again; nothing where nothing is."""
    found = result.broken
    if not found:
        return []
    more = [f"and {len(found) - _TOLD} more"] if len(found) > _TOLD else []
    bug = "" if result.run.bug is None else f" --bug {result.run.bug}"
    again = f'again: make faults ARGS="--only {result.run.name} --seed {result.seed}{bug}"'
    said = [*found[:_TOLD], *more, again, f"its logs and database: {folder}"]
    return [f"{result.run.name}: {said[0]}", *(f"  {one}" for one in said[1:])]


def kills(results: Sequence[Result]) -> str:
    """How often processes were killed where, in all."""
    counted = sum((result.kills for result in results), Counter[str]())
    names = [*NAMES, *sorted(counted.keys() - set(NAMES))]
    return "killed at: " + ", ".join(f"{name} {counted[name]}" for name in names)


def seen(results: Sequence[Result]) -> list[str]:
    """What befell calls on the wire, and what callers were answered, in all."""
    calls = sum((result.calls for result in results), Counter[str]())
    answers = sum((result.answers for result in results), Counter[str]())
    return [
        "calls to the provider: " + ", ".join(f"{n} {what}" for what, n in sorted(calls.items())),
        "answers to callers: " + ", ".join(f"{n} {what}" for what, n in sorted(answers.items())),
    ]


def _is(result: Result) -> bool:
    return result.verdict is not None


def _figures(results: Sequence[Result]) -> list[int]:
    verdicts = [result.verdict for result in results if result.verdict is not None]
    return [
        sum(result.kills.total() for result in results),
        sum(verdict.accepted for verdict in verdicts),
        sum(len(verdict.lost) for verdict in verdicts),
        sum(len(verdict.doubled) for verdict in verdicts),
        sum(verdict.unknown for verdict in verdicts),
        sum(verdict.resent for verdict in verdicts),
        sum(len(verdict.stuck) for verdict in verdicts),
        round(sum(result.seconds for result in results)),
    ]


def _line(name: str, seed: str, figures: Sequence[int], *, is_judged: bool) -> str:
    shown = [f"{figure:>8,}" for figure in figures]
    end = [] if is_judged else ["not judged"]
    return "  ".join([f"{name:{_WIDTH}}", f"{seed:>7}", *shown, *end])
