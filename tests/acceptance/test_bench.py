"""The bench on the real gateway, as short as it goes: its figures mean nothing, its failures do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(600)
def test_a_smoke_run_of_the_bench_takes_every_figure_and_loses_nothing(tmp_path: Path) -> None:
    found = tmp_path / "bench.json"
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(found)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ALIR_")}

    run = subprocess.run(
        [*command, "--folder", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    results = json.loads(found.read_text())
    assert results["failures"] == []
    assert {(row["measure"], row["contender"]) for row in results["rows"]} == {
        (measure, contender)
        for measure in ("accept", "carry-0", "carry-100")
        for contender in ("alir", "alir on pg", "plain")
    }
    assert all(row["per_second"] > 0 and row["per_cpu_second"] > 0 for row in results["rows"])
    assert results["latency"]["figures"]["p99_ms"] > 0
    assert results["memory"]["figures"]["messages"] == 2000
    assert len(results["pacing"]["pieces"]) == 3
    assert results["pacing"]["paced"][0]["messages"] > 0
    assert results["batch"]["figures"]["times"] > 0
    assert {one["contender"] for one in results["waiting"]} == {"alir on pg"}
    for one in results["waiting"]:
        assert set(one["pairs"]) == {"taken", "carried", "of the line"}
        assert min(one["pieces"]) > 0
        assert len(one["ready_s"]) == 3
    assert len(results["targets"]) == 14
    assert [left.name for left in tmp_path.iterdir()] == ["bench.json"]
