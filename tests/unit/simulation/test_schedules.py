"""Schedules: some hundred in which every promise is kept, and planted bugs that break some."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from simulation.bugs import BUGS, planted
from simulation.disk import Platter, folder
from simulation.happened import Trace
from simulation.many import Tally
from simulation.plan import draw
from simulation.schedule import Outcome, run

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
        assert outcome.figures["messages"] >= 5
        assert outcome.figures["faults"] >= 2


def test_plans_have_five_messages_and_two_faults_at_least() -> None:
    plans = [draw(Random(seed)) for seed in range(500)]

    assert min(len(plan.requests) for plan in plans) == 5
    assert min(len(plan.faults) for plan in plans) == 2


def test_all_that_is_planned_comes_about(platter: Platter) -> None:
    for seed in range(40):
        outcome = run(seed, platter)

        assert outcome.figures["messages"] >= 5
        assert outcome.figures["faults"] == len(outcome.plan.faults)
        kills = sum(fault.kind == "kill" for fault in outcome.plan.faults)
        killed = sum(line.endswith("is killed") for line in outcome.trace)
        assert killed > kills  # the last one goes with its world
        assert outcome.figures["processes"] > kills + 1  # two at a time


def test_what_some_schedules_came_to_is_told_of_all_and_of_the_least() -> None:
    outcomes = [
        Outcome(
            seed=seed,
            plan=draw(Random(seed)),
            broken=broken,
            seconds=30.0,
            trace=Trace(lambda: 0.0),
            figures=Counter(messages=messages, faults=2),
        )
        for seed, messages, broken in ((1, 7, ()), (2, 5, ("lost",)), (3, 6, ()))
    ]
    total, other = Tally(), Tally()
    for outcome in outcomes[:2]:
        total.note(outcome)
    other.note(outcomes[2])
    total += other

    assert total.schedules == 3
    assert total.broken == {2: ("lost",)}
    assert total.figures == {"messages": 18, "faults": 6}
    assert total.least == {"messages": 5, "faults": 2}


def test_the_same_seed_gives_the_same_trace_and_another_one_another(platter: Platter) -> None:
    first, again, other = (run(seed, platter).trace.digest() for seed in (7, 7, 8))

    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("bug", "within", "breaks"),
    [
        ("answered_without_storing", 5, "lost"),
        ("begin_after_sending", 5, "sent before it was begun on disk"),
        ("begun_again_after_a_restart", 60, "doubled"),
        ("key_outside_the_transaction", 20, "doubled: 2 messages of the one request"),
        ("receipt_moves_backwards", 20, "moved from"),
        ("lease_not_renewed", 20, "sent after the lease was over"),
        ("left_begun_not_taken_over", 40, "left begun by a process that died"),
        ("new_owner_sends_at_once", 250, "main sent more than 1 within"),
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


def test_the_closing_lines_tell_how_quick_it_was_and_what_was_in_the_schedules() -> None:
    done = _ran([sys.executable, "-m", "simulation", "--schedules", "6", "--jobs", "1"])

    assert done.returncode == 0
    [speed, total, least] = done.stdout.splitlines()
    assert re.fullmatch(
        r"6 schedules in [\d.]+ s \(\d+ a second, 1 at once\): 0 broke a promise", speed
    )
    assert re.fullmatch(r"in them: \d+ messages, \d+ faults, \d+ processes, \d+ calls", total)
    assert re.fullmatch(r"in each: [5-8] messages or more, [2-4] faults or more", least)


def _ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
