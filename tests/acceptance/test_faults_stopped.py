"""The fault bench, stopped half way: nothing that it began may be left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Neither a start nor an end tells when it comes.
LOOK_SECONDS = 0.05


def processes_in(folder: Path) -> Iterator[str]:
    """The command lines of processes that run in it, or did before it was removed."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it is gone by now
            if os.readlink(process / "cwd").startswith(str(folder)):
                yield (process / "cmdline").read_text().replace("\0", " ")


def is_serving(folder: Path) -> bool:
    return any(" serve " in command for command in processes_in(folder))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
def test_a_bench_that_is_told_to_stop_again_and_again_leaves_no_process_and_no_folder(
    tmp_path: Path, signal_: signal.Signals
) -> None:
    command = [sys.executable, "-m", "faults", "--only", "sqlite-cloud-hold", "--seed", "1"]
    bench = subprocess.Popen(
        [*command, "--folder", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while bench.poll() is None and not is_serving(tmp_path):
        time.sleep(LOOK_SECONDS)
    while bench.poll() is None:
        bench.send_signal(signal_)
        time.sleep(LOOK_SECONDS)
    _, said = bench.communicate()

    assert list(processes_in(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []
    assert (bench.returncode, said) == (130, "faults: stopped\n")
