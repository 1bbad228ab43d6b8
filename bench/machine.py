"""What this machine is, and what a process on it has used. Linux only: it reads /proc."""

from __future__ import annotations

import os
import platform
import socket
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles

#: Fields of /proc/PID/stat, counted after the name in brackets: proc_pid_stat(5).
_PARENT, _CPU_FIRST, _CPU_AFTER = 1, 11, 15  # ppid; utime, stime, cutime, cstime
_COMMITS, _COMMIT_BYTES = 300, 4096
_PACKAGES = ("uvicorn", "uvloop", "httptools", "pydantic", "pyreqwest", "fastapi", "sqlalchemy")


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core each process is held to; none where this machine can't hold or has only one.

    Attributes:
        server: for the gateway that is measured.
        others: for the load generator, the provider and the bench itself.
    """

    server: int | None
    others: int | None

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The first two cores that this process may use."""
        if not hasattr(os, "sched_setaffinity"):
            return cls(None, None)
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[1]) if len(usable) > 1 else cls(None, None)

    def __str__(self) -> str:
        if self.server is None:
            return "nothing is held to a core: server, generator and provider share what there is"
        return f"server on core {self.server}; load generator and provider on core {self.others}"


def hold(pid: int, core: int | None) -> None:
    """Keep a process, 0 for this one, and whatever it starts from now on, on one core."""
    if core is not None:
        os.sched_setaffinity(pid, {core})


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process, its threads and its children have used so far."""
    ticks = sum(sum(map(int, fields[_CPU_FIRST:_CPU_AFTER])) for fields in _family(pid))
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Memory that a process and its children hold in RAM now."""
    return sum(_status_kib(int(fields[-1]), "VmRSS") for fields in _family(pid)) * 1024


def peak_resident_bytes(pid: int) -> int:
    """The most memory that a process and each of its children ever held in RAM."""
    return sum(_status_kib(int(fields[-1]), "VmHWM") for fields in _family(pid)) * 1024


def free_port() -> int:
    """A TCP port of the loopback address on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def facts(folder: Path) -> dict[str, str]:
    """What a reader must know to compare figures: machine, versions, and the store's disk."""
    known = {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "busy before": f"{os.getloadavg()[0]:.1f} cores",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "store on": _filesystem(folder),
        "a write and fdatasync there": _commit_text(folder),
    }
    return known | {package: version(package) for package in _PACKAGES}


def _family(pid: int) -> Iterator[list[str]]:
    """The stat fields of a process and all below it, from the state on, the pid put last."""
    below: dict[int, list[list[str]]] = defaultdict(list)
    found: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        fields = [*text.rpartition(")")[2].split(), entry.name]
        found[int(entry.name)] = fields
        below[int(fields[_PARENT])].append(fields)
    queue = [found[pid]] if pid in found else []
    while queue:
        fields = queue.pop()
        yield fields
        queue.extend(below[int(fields[-1])])


def _status_kib(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0])
    return 0


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _commit_text(folder: Path) -> str:
    """How long the disk takes for the least that a commit needs: below it no latency can be."""
    took = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(_COMMITS):
            began = time.perf_counter()
            file.write(bytes(_COMMIT_BYTES))
            os.fdatasync(file.fileno())
            took.append(1000 * (time.perf_counter() - began))
    centiles = quantiles(took, n=100, method="inclusive")
    return f"p50 {centiles[49]:.2f} ms, p99 {centiles[98]:.2f} ms"


def _filesystem(folder: Path) -> str:
    """The type of the file system under a folder: on tmpfs a commit costs nothing."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, this_kind, *_ = line.split()
        if folder.resolve().is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, this_kind
    return kind
