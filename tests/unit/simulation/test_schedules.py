"""Schedules: some hundred in which every promise is kept, and planted bugs that break some."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from simulation.bugs import BUGS, planted
from simulation.disk import Platter, folder
from simulation.plan import draw
from simulation.schedule import run

ROOT = Path(__file__).resolve().parents[3]
SCHEDULES = 200
PORTIONS = 4


@pytest.fixture(scope="module")
def platter() -> Iterator[Platter]:
    with folder() as place, Platter(Path(place) / "alir.db") as platter:
        yield platter


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_no_promise_is_broken(platter: Platter, portion: int) -> None:
    for seed in range(portion, SCHEDULES, PORTIONS):
        outcome = run(seed, platter)

        assert outcome.broken == (), f'make simulate ARGS="--replay {seed}"'


def test_schedules_have_messages_faults_and_processes_that_take_over(platter: Platter) -> None:
    plans = [draw(Random(seed)) for seed in range(50)]
    assert all(len(plan.requests) >= 5 and len(plan.faults) >= 2 for plan in plans)

    outcomes = [run(seed, platter) for seed in range(20)]
    assert sum(outcome.figures["processes"] for outcome in outcomes) > 30
    assert sum(outcome.figures["calls"] for outcome in outcomes) > 50


def test_the_same_seed_gives_the_same_trace_and_another_one_another(platter: Platter) -> None:
    first, again, other = (run(seed, platter).trace.digest() for seed in (7, 7, 8))

    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("bug", "within", "breaks"),
    [
        ("answered_without_storing", 5, "lost"),
        ("begin_after_sending", 5, "sent before it was begun on disk"),
        ("begun_again_after_a_restart", 20, "doubled"),
        ("key_outside_the_transaction", 20, "doubled: 2 messages of the one request"),
        ("receipt_moves_backwards", 20, "moved from"),
    ],
)
def test_a_planted_bug_is_found(platter: Platter, bug: str, within: int, breaks: str) -> None:
    broken = (one for seed in range(within) for one in run(seed, platter, bug=bug).broken)

    assert any(one.startswith(breaks) for one in broken)


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_planted_only_for_a_while(bug: str) -> None:
    healthy = [getattr(whose, name) for whose, name, _ in BUGS[bug].places]
    with planted(BUGS[bug]):
        assert all(getattr(whose, name) is by for whose, name, by in BUGS[bug].places)
    assert [getattr(whose, name) for whose, name, _ in BUGS[bug].places] == healthy


def test_a_failure_is_printed_with_the_command_that_replays_it() -> None:
    command = [sys.executable, "-m", "simulation"]
    bug = ["--bug", "begin_after_sending"]

    many = _ran([*command, "--schedules", "2", "--jobs", "1", *bug])
    assert many.returncode == 1
    assert 'again: make simulate ARGS="--replay 0 --bug begin_after_sending"' in many.stdout

    replays = [_ran([*command, "--replay", "0", *bug]) for _ in range(2)]
    assert replays[0].returncode == 1
    assert "broken: sent before it was begun on disk" in replays[0].stdout
    assert replays[0].stdout == replays[1].stdout


def _ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
