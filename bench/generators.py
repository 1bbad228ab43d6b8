"""Runs a load generator against a server and says what came of it, whichever generator it was."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.load import LAST_ANSWERS_SECONDS, Job, Report
from bench.processes import BenchFailed

OWN = "own"
WRK = "wrk"
_SPARE_SECONDS = 15.0  # for a generator to start and to end
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a load came to.

    Attributes:
        generator: `own` or `wrk`.
        answered: answers with a status of 200 to 299.
        statuses: how often each came; wrk only tells `2xx` from `4xx or 5xx`.
        lost: requests without an answer.
        began_at: on the monotonic clock; wrk's is when it was started.
        seconds: how long it ran.
        latencies_ms: p50, p99, max.
        late_ms: how late an open load's requests left: p50, p99, max.
        cpu_seconds: what the generator used.
    """

    generator: str
    answered: int
    statuses: dict[str, int]
    lost: int
    began_at: float
    seconds: float
    latencies_ms: dict[str, float]
    late_ms: dict[str, float]
    cpu_seconds: float

    def problems(self) -> list[str]:
        """What should not have happened, for people."""
        bad = {key: number for key, number in self.statuses.items() if not _is_good(key)}
        found = [f"{number} answers with status {status}" for status, number in bad.items()]
        return found + ([f"{self.lost} requests without an answer"] if self.lost else [])


def strongest() -> str:
    """The generator that takes least of its core: wrk where it is installed."""
    return WRK if shutil.which(WRK) else OWN


def run(job: Job, *, generator: str) -> Load:
    """Let a generator do a job.

    wrk knows neither counts nor rates, and drops what is on its way when its time is over.

    Raises:
        BenchFailed: the generator itself failed.
    """
    return _run_wrk(job) if generator == WRK else _run_own(job)


def _run_own(job: Job) -> Load:
    limit = job.seconds + LAST_ANSWERS_SECONDS + _SPARE_SECONDS
    command = [sys.executable, "-m", "bench.load"]
    output = _output(command, limit, stdin=json.dumps(asdict(job)), cwd=_ROOT)
    report = Report(**json.loads(output))
    return Load(
        generator=OWN,
        answered=sum(number for key, number in report.statuses.items() if _is_good(key)),
        statuses=report.statuses,
        lost=report.lost,
        began_at=report.began_at,
        seconds=report.seconds,
        latencies_ms=report.latencies_ms,
        late_ms=report.late_ms,
        cpu_seconds=report.cpu_seconds,
    )


def _run_wrk(job: Job) -> Load:
    command = [WRK, "--threads", "1", "--connections", str(job.connections)]
    command += ["--duration", f"{max(1, round(job.seconds))}s", "--timeout", "30s"]
    command += ["--script", str(_ROOT / "bench" / "post.lua")]
    command += [f"http://127.0.0.1:{job.port}{job.path}"]
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as bodies:
        bodies.write("\n".join(job.bodies))
        bodies.flush()
        headers = "\n".join(f"{name}: {value}" for name, value in job.headers.items())
        variables = {"BENCH_BODIES": bodies.name, "BENCH_HEADERS": headers}
        before, began_at = _children_cpu(), time.monotonic()
        output = _output(command, job.seconds + _SPARE_SECONDS, variables=variables)
        cpu = _children_cpu() - before
    told = json.loads(output.splitlines()[-1])
    good = told["answers"] - told["refused"]
    refused = {"4xx or 5xx": told["refused"]} if told["refused"] else {}
    return Load(
        generator=WRK,
        answered=good,
        statuses={"2xx": good} | refused,
        lost=told["lost"],
        began_at=began_at,
        seconds=told["seconds"],
        latencies_ms={name: told[name] for name in ("p50", "p99", "max")},
        late_ms={},
        cpu_seconds=cpu,
    )


def _is_good(status: str) -> bool:
    return status.startswith("2")


def _output(
    command: list[str],
    limit: float,
    *,
    stdin: str = "",
    variables: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=limit,
            check=True,
            cwd=cwd,
            env=os.environ | (variables or {}),
        )
    except subprocess.TimeoutExpired as error:
        raise BenchFailed(f"{command[0]} took more than {limit:.0f} s") from error
    except subprocess.CalledProcessError as error:
        raise BenchFailed(f"{' '.join(command)} failed:\n{error.stderr[-2000:]}") from error
    return done.stdout


def _children_cpu() -> float:
    """CPU seconds of all children that have ended: read around one, it is that one's."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
