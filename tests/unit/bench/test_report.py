"""What the bench concludes from its rounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.pacing import Pacing, in_process
from bench.report import ON_POSTGRESQL, Results, Row, as_text
from bench.rounds import Round, Single


def one_round(
    contender: str,
    per_second: float,
    *,
    server: float = 1.0,
    others: float = 0.2,
    problem: str = "",
) -> Round:
    return Round(
        contender=contender,
        generator="own",
        messages=1000,
        per_second=per_second,
        per_cpu_second=per_second,
        server_share=server,
        others_share=others,
        latencies_ms={"p50": 1.0, "p99": 2.0, "max": 3.0},
        problems=[problem] if problem else [],
    )


def pacing(*, us: float = 5.0, problem: str = "") -> Pacing:
    return Pacing(
        pieces={"pairs": us, "table": 2.0},
        runs=[us + 2.0],
        unpaced=[one_round("unpaced", rate) for rate in (1000, 2000, 1000)],
        paced=[one_round("paced", rate, problem=problem) for rate in (800, 2000, 500)],
    )


def results(
    *rows: Row,
    latency: Single | None = None,
    pacing: Pacing | None = None,
    batch: Single | None = None,
) -> Results:
    settings = {"quick": False, "rounds": 3, "seconds": 1, "connections": 64}
    return Results(
        when="2026-01-01T00:00:00+00:00",
        settings=settings | {"body_bytes": 521, "recipients": 1},
        machine={},
        cores="",
        rows=list(rows),
        latency=latency,
        pacing=pacing,
        batch=batch,
    )


def test_a_row_has_the_median_and_not_the_mean_of_its_rounds() -> None:
    row = Row.of("accept", [one_round("alir", rate) for rate in (100, 5000, 90)])

    assert row.per_second == 100


def test_a_target_is_missed_met_or_not_measured() -> None:
    found = results(
        Row.of("accept", [one_round("alir", 4000)]),
        Row.of("accept", [one_round("plain", 399)]),
        Row.of("accept", [one_round("prototype", 10_001)]),
    )

    verdicts = [target.verdict for target in found.targets()]

    assert verdicts == ["FAIL", "not measured", "PASS"] + ["not measured"] * 7


def test_on_postgresql_alir_is_put_beside_itself_on_sqlite() -> None:
    found = results(
        Row.of("accept", [one_round("alir", 1000)]),
        Row.of("accept", [one_round(ON_POSTGRESQL, 690)]),
    )

    [accepted, _] = [target for target in found.targets() if "PostgreSQL" in target.name]

    assert accepted.measured == pytest.approx(69)
    assert accepted.passed is False
    assert "69%" in as_text(found)


def test_a_batch_is_put_beside_the_same_messages_one_by_one() -> None:
    figures = {"messages": 2000.0, "batch_ms": 100.0, "one_by_one_ms": 400.0, "times": 4.0}
    one = Single(figures=figures | {"others_waited_ms": 7.0}, problems=["one was lost"])
    found = results(batch=Single.of([one]))

    [target] = [target for target in found.targets() if "batch" in target.name]
    assert target.passed is False
    assert found.failures() == ["batch: one was lost"]
    assert "100 ms beside 400 ms: 4 times" in as_text(found)


def test_a_latency_at_its_bound_is_too_long() -> None:
    found = results(latency=Single(figures={"p99_ms": 25.0}, problems=[]))

    [p99] = [target for target in found.targets() if "p99" in target.name]
    assert p99.passed is False


def test_the_latency_of_a_run_is_the_median_of_its_rounds() -> None:
    rounds = [
        Single(figures={"messages": 100, "p99_ms": p99}, problems=[]) for p99 in (3.0, 90.0, 4.0)
    ]

    found = Single.of(rounds)

    assert found.figures == {"messages": 300, "p99_ms": 4.0}
    assert [one["p99_ms"] for one in found.rounds] == [3.0, 90.0, 4.0]


def test_the_generator_is_called_the_limit_only_where_the_server_had_time_left() -> None:
    starved = Row.of("accept", [one_round("alir", 1, server=0.5, others=0.99)])
    busy = Row.of("accept", [one_round("alir", 1, server=0.99, others=0.99)])

    assert starved.others_were_the_limit
    assert "THE LIMIT" in as_text(results(starved))
    assert not busy.others_were_the_limit


def test_a_problem_in_any_round_is_a_failure_that_says_where_it_was() -> None:
    good, bad = one_round("plain", 1), one_round("plain", 1, problem="2 sent more than once")
    found = results(Row.of("carry-0", [good, bad]))

    assert found.failures() == ["carry-0, plain, round 2: 2 sent more than once"]
    assert found.failures()[0] in as_text(found)


def test_pacing_is_judged_by_the_sum_of_its_pieces_in_the_process() -> None:
    cheap, dear = results(pacing=pacing(us=17.9)), results(pacing=pacing(us=18.0))

    verdicts = [
        target.verdict
        for found in (cheap, dear)
        for target in found.targets()
        if "pacing" in target.name
    ]
    assert verdicts == ["PASS", "FAIL"]


def test_a_paced_round_is_compared_with_the_one_beside_it() -> None:
    assert pacing().differences_us == pytest.approx([250.0, 0.0, 1000.0])
    assert "+250.0 a message" in as_text(results(pacing=pacing()))


def test_a_problem_of_a_paced_round_is_a_failure() -> None:
    found = results(pacing=pacing(problem="1 sent more than once"))

    assert found.failures()[0] == "pacing, paced, round 1: 1 sent more than once"


def test_each_piece_of_pacing_takes_some_time(tmp_path: Path) -> None:
    pieces, runs = in_process(tmp_path, messages=200, runs=2)

    assert list(pieces) == ["pauses and pairs", "24-hour window", "error table"]
    assert all(us > 0 for us in pieces.values())
    assert len(runs) == 2
    assert not any(tmp_path.iterdir())
