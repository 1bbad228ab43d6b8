"""The bench's own load generator: a process that reads a job from stdin and prints what came of it.

Two kinds of load. *Closed*: every connection asks again as soon as it has its answer, until time
or count is over, and every request is answered before it ends. *Open*: requests leave at a fixed,
even rate whatever the answers do; one that finds no free connection waits, and its time counts.

A hand-written protocol on uvloop, and still a Python program: what part of its core it used is
in the result, so that nobody takes its limit for the server's.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, cast

import httptools
import uvloop

#: How long the last answers may take once no new request is made.
LAST_ANSWERS_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to send where.

    Attributes:
        bodies: sent in turn, over and over.
        seconds: how long new requests are made.
        count: make so many requests at most.
        rate: requests a second of an open load; none for a closed one.
    """

    port: int
    path: str
    headers: dict[str, str]
    bodies: list[str]
    connections: int
    seconds: float
    count: int | None = None
    rate: float | None = None

    def requests(self) -> list[bytes]:
        """The bodies as whole requests, ready for the wire."""
        head = f"POST {self.path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
        head += "content-type: application/json\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        encoded = [body.encode() for body in self.bodies]
        return [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in encoded]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a job.

    Attributes:
        statuses: how many answers had which HTTP status.
        lost: requests that got no answer.
        began_at: on the machine's monotonic clock, which all processes share.
        seconds: from the first request to the last answer.
        latencies_ms: quantiles by name: p50, p99, max.
        late_ms: quantiles of how much later than due requests left; open load only.
        cpu_seconds: of this process, in the same time.
    """

    statuses: dict[str, int]
    lost: int
    began_at: float
    seconds: float
    latencies_ms: dict[str, float]
    late_ms: dict[str, float]
    cpu_seconds: float


@dataclass(slots=True)
class Tally:
    """Everything that is noted while a load runs."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)


class Load(Protocol):
    """Decides what a connection does after an answer."""

    tally: Tally

    @property
    def lost(self) -> int:
        """Requests that were offered and got no answer."""
        ...

    def free(self, connection: Connection) -> None:
        """The connection has nothing to do."""
        ...

    def broken(self, *, unanswered: bool) -> None:
        """A connection is gone, perhaps with a request that was on its way."""
        ...


class Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request on its way."""

    _transport: asyncio.Transport

    def __init__(self, load: Load) -> None:
        self._load = load
        self._parser = httptools.HttpResponseParser(self)
        self._began: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def send(self, request: bytes, began: float) -> None:
        self._began = began
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        tally = self._load.tally
        tally.statuses[self._parser.get_status_code()] += 1
        if self._began is not None:
            tally.latencies.append(time.monotonic() - self._began)
        self._began = None
        self._load.free(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - why is all one
        self._load.broken(unanswered=self._began is not None)


class ClosedLoad:
    """Every connection asks again at once."""

    def __init__(self, requests: Sequence[bytes], *, seconds: float, count: int | None) -> None:
        self.tally = Tally()
        self.done = asyncio.Event()
        self.lost = 0
        self._requests = requests
        self._left = math.inf if count is None else count
        self._end = time.monotonic() + seconds
        self._next = 0
        self._open = 0

    def start(self, connections: Sequence[Connection]) -> None:
        self._open = len(connections)
        for connection in connections:
            self.free(connection)

    def free(self, connection: Connection) -> None:
        now = time.monotonic()
        if self._left <= 0 or now >= self._end:
            connection.close()
            return
        self._left -= 1
        self._next = (self._next + 1) % len(self._requests)
        connection.send(self._requests[self._next], now)

    def broken(self, *, unanswered: bool) -> None:
        self.lost += unanswered
        self._open -= 1
        if self._open == 0:
            self.done.set()


class OpenLoad:
    """Requests leave evenly, whatever the answers do."""

    def __init__(self, requests: Sequence[bytes], *, seconds: float, rate: float) -> None:
        self.tally = Tally()
        self.done = asyncio.Event()
        self._requests = requests
        self._total = round(seconds * rate)
        self._rate = rate
        self._idle: deque[Connection] = deque()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self.lost = self._total

    async def run(self, connections: Sequence[Connection]) -> None:
        self._idle.extend(connections)
        start = time.monotonic()
        for number in range(self._total):
            due = start + number / self._rate
            # uvloop counts in whole milliseconds; how late that makes us is noted, and the
            # request's own time counts from when it was really offered.
            await asyncio.sleep(due - time.monotonic())
            now = time.monotonic()
            self.tally.late.append(now - due)
            self._waiting.append((self._requests[number % len(self._requests)], now))
            self._pair()

    def free(self, connection: Connection) -> None:
        self.lost -= 1
        self._idle.append(connection)
        self._pair()
        if self.lost == 0:
            self.done.set()

    def broken(self, *, unanswered: bool) -> None:  # noqa: ARG002 - all that got no answer count
        self.done.set()

    def _pair(self) -> None:
        while self._waiting and self._idle:
            self._idle.popleft().send(*self._waiting.popleft())


async def perform(job: Job) -> Report:
    """Do a job.

    Raises:
        OSError: no connection could be made.
        TimeoutError: answers were still missing long after the last request.
    """
    requests = job.requests()
    load: ClosedLoad | OpenLoad
    if job.rate is None:
        load = ClosedLoad(requests, seconds=job.seconds, count=job.count)
    else:
        load = OpenLoad(requests, seconds=job.seconds, rate=job.rate)
    connections = [await _connect(load, job.port) for _ in range(job.connections)]
    began_at, cpu = time.monotonic(), time.process_time()
    async with asyncio.timeout(job.seconds + LAST_ANSWERS_SECONDS):
        if isinstance(load, OpenLoad):
            await load.run(connections)
        else:
            load.start(connections)
        await load.done.wait()
    for connection in connections:
        connection.close()
    return Report(
        statuses={str(status): number for status, number in load.tally.statuses.items()},
        lost=load.lost,
        began_at=began_at,
        seconds=time.monotonic() - began_at,
        latencies_ms=quantiles_ms(load.tally.latencies),
        late_ms=quantiles_ms(load.tally.late),
        cpu_seconds=time.process_time() - cpu,
    )


async def _connect(load: Load, port: int) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(load), "127.0.0.1", port
    )
    return connection


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and the largest, in milliseconds; of nothing, nothing.

    >>> quantiles_ms([0.001, 0.002, 0.003])
    {'p50': 2.0, 'p99': 3.0, 'max': 3.0}
    """
    ranked = sorted(seconds)
    if not ranked:
        return {}
    last = len(ranked) - 1
    ranks = {"p50": round(0.50 * last), "p99": math.ceil(0.99 * last), "max": last}
    return {name: round(ranked[rank] * 1000, 3) for name, rank in ranks.items()}


def main() -> Any:
    job = Job(**json.load(sys.stdin))
    json.dump(asdict(uvloop.run(perform(job))), sys.stdout)


if __name__ == "__main__":
    main()
