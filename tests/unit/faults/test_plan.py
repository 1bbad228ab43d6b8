"""The whole plan: enough kills, everywhere, and the same ones for the same seed."""

from __future__ import annotations

import inspect
from random import Random

import pytest
from faults.cli import main
from faults.plan import (
    RUNS,
    Carrier,
    Kept,
    KilledInside,
    KilledOnTheWire,
    KilledStarting,
    KilledUnderLoad,
    Run,
)
from faults.points import INSIDE, NAMES

KILLS = (KilledInside, KilledOnTheWire, KilledStarting, KilledUnderLoad)
#: The issue's own figure.
FEWEST_KILLS = 300


def kills(run: Run, seed: int = 1) -> list[object]:
    return [trouble for trouble in run.troubles(Random(seed)) if isinstance(trouble, KILLS)]


def test_there_are_300_kills_and_more_under_both_decisions_on_every_database_and_provider() -> None:
    assert sum(len(kills(run)) for run in RUNS.values()) >= FEWEST_KILLS
    assert {(run.kept, run.carrier, run.on_unknown) for run in RUNS.values() if kills(run)} >= {
        (kept, carrier, on_unknown)
        for kept in (Kept.SQLITE, Kept.POSTGRESQL)
        for carrier in Carrier
        for on_unknown in ("hold", "retry")
    }


def test_each_database_with_each_provider_is_killed_at_every_named_point() -> None:
    for kept in (Kept.SQLITE, Kept.POSTGRESQL):
        for carrier in Carrier:
            met = {
                kill.point if isinstance(kill, KilledInside) else kill.moment
                for kill in kills(RUNS[f"{kept}-{carrier}-hold"])
                if isinstance(kill, KilledInside | KilledOnTheWire)
            }
            assert met == set(NAMES)


def test_a_seed_gives_the_same_troubles_and_another_one_others() -> None:
    for run in RUNS.values():
        assert run.troubles(Random(7)) == run.troubles(Random(7))
    drawn = [run for run in RUNS.values() if run.name != "three-processes"]
    assert all(run.troubles(Random(7)) != run.troubles(Random(8)) for run in drawn)


def test_every_point_is_an_asynchronous_method_that_its_class_has() -> None:
    for point in INSIDE.values():
        for whose, name in point.places:
            assert inspect.iscoroutinefunction(getattr(whose, name))


def test_a_run_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "disk-empty"])

    assert "no such run: disk-empty; see --list" in capsys.readouterr().err
