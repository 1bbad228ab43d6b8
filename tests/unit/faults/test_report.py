"""What the fault bench prints."""

from __future__ import annotations

from collections import Counter

from faults import report
from faults.books import Verdict
from faults.plan import RUNS
from faults.stage import Result

RUN = RUNS["sqlite-cloud-hold"]


def result(*lost: str, **more: object) -> Result:
    verdict = Verdict(accepted=1234, unknown=5, resent=0, lost=lost, doubled=(), stuck=())
    made = Result(RUN, 4711, 61.4, Counter({"stored": 1, "elsewhere": 2}), verdict=verdict)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_each_figure_stands_below_its_name() -> None:
    names, line = report.head().split(), report.line(result("one", "two")).split()

    assert dict(zip(names, line, strict=True)) == {
        "run": "sqlite-cloud-hold",
        "seed": "4711",
        "kills": "3",
        "accepted": "1,234",
        "lost": "2",
        "doubled": "0",
        "unknown": "5",
        "resent": "0",
        "stuck": "0",
        "seconds": "61",
    }


def test_nothing_is_told_of_a_run_in_which_nothing_is_wrong() -> None:
    assert report.broken(result(), "/somewhere") == []


def test_what_is_wrong_is_told_with_the_command_that_plays_it_again() -> None:
    said = report.broken(result("msg_1 is gone", faults=("logged: settle_broke",)), "/somewhere")

    assert said == [
        "sqlite-cloud-hold: lost: msg_1 is gone",
        "  logged: settle_broke",
        '  again: make faults ARGS="--only sqlite-cloud-hold --seed 4711"',
        "  its logs and database: /somewhere",
    ]


def test_a_run_that_could_not_be_judged_is_wrong() -> None:
    failed = result(verdict=None, failure="a gateway ended by itself with 1")

    assert report.line(failed).endswith("not judged")
    assert "ended by itself" in report.broken(failed, "/somewhere")[0]


def test_kills_are_counted_by_their_points_those_that_were_never_met_too() -> None:
    said = report.kills([result(), result()])

    assert "stored 2" in said
    assert "elsewhere 4" in said
    assert "taken 0" in said
