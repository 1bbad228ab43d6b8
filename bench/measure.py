"""Takes the figures: each function runs one server from its start to its end."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from bench import generators, machine
from bench.contenders import Contender, Spot
from bench.generators import Load
from bench.load import Job
from bench.processes import BenchFailed, Launch, Server, call, call_json
from bench.rounds import Round, Single

CONNECTIONS = 64
LATENCY_CONNECTIONS = 32
MANY_RECIPIENTS = 10_000
#: Sent before a round is measured: opens connections, fills caches.
WARM_UP = 128
#: With a slow provider, at most so many messages for each second of load: what calls in flight
#: can carry is bounded, and a longer queue would only make the round longer.
SLOW_PROVIDER_RATE = 3000
#: How long the last messages may take once the generator is done.
CARRY_SECONDS = 120.0
#: Between two looks at another process, which tells nobody how far it is.
_LOOK_SECONDS = 0.02
_TAKEN = range(200, 300)


@dataclass(slots=True)
class Kept:
    """A store that outlives its servers, and what each of them took.

    Attributes:
        folder: where it is.
        ready_s: from its start until it was ready and had taken a message.
        at_start_mb: what it held in RAM then.
        resident_mb: what it held in RAM at its end.
    """

    folder: Path
    ready_s: list[float] = field(default_factory=list)
    at_start_mb: list[float] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Clock:
    """Reads what the server and the provider have used since it was made."""

    server: Server
    provider: Server
    _server_cpu: float = field(init=False)
    _provider_cpu: float = field(init=False)

    def __post_init__(self) -> None:
        self._server_cpu = machine.cpu_seconds(self.server.pid)
        self._provider_cpu = machine.cpu_seconds(self.provider.pid)

    def server_cpu(self) -> float:
        return machine.cpu_seconds(self.server.pid) - self._server_cpu

    def provider_cpu(self) -> float:
        return machine.cpu_seconds(self.provider.pid) - self._provider_cpu


class Bench:
    """The bench's provider, and servers beside it. Use `opened`."""

    def __init__(
        self, provider: Server, *, cores: machine.Cores, folder: Path, recipients: int
    ) -> None:
        self._provider = provider
        self._cores = cores
        self._folder = folder
        self._recipients = recipients

    @classmethod
    @contextmanager
    def opened(cls, *, cores: machine.Cores, folder: Path, recipients: int = 1) -> Iterator[Bench]:
        """A bench with its provider running and a scratch folder, both gone afterwards.

        Args:
            folder: where the scratch folder is made.
            recipients: different ones in `accept` and `carry`.
        """
        machine.hold(0, cores.others)  # generators inherit it
        with tempfile.TemporaryDirectory(prefix="alir-bench-", dir=folder) as scratch:
            port = machine.free_port()
            with Server(
                _provider_launch(port),
                port=port,
                core=cores.others,
                log=Path(scratch, "provider.log"),
            ) as provider:
                yield cls(provider, cores=cores, folder=Path(scratch), recipients=recipients)

    def accept(
        self,
        contender: Contender,
        *,
        seconds: float,
        recipients: int | None = None,
        kept: Kept | None = None,
    ) -> Round:
        """How many messages it takes and keeps while it sends none; in a store of its own."""
        with self.running(contender, sending=False, kept=kept) as (server, spot):
            self.warm_up(contender, server, recipients, kept=kept)
            before, clock = contender.stored(spot), self.clock(server)
            load = self.load(
                contender,
                server,
                seconds=seconds,
                recipients=recipients,
                generator=generators.strongest(),
            )
            messages = _settled_count(contender, spot) - before
            cpu = clock.server_cpu()
        problems = load.problems()
        if messages < load.answered:
            problems.append(f"{load.answered} answered, only {messages} on disk")
        return Round(
            contender=contender.name,
            generator=load.generator,
            messages=messages,
            per_second=load.answered / load.seconds,
            per_cpu_second=messages / cpu,
            server_share=cpu / load.seconds,
            others_share=load.cpu_seconds / load.seconds,
            latencies_ms=load.latencies_ms,
            problems=problems,
        )

    def carry(
        self,
        contender: Contender,
        *,
        seconds: float,
        delay_ms: int,
        recipients: int | None = None,
        kept: Kept | None = None,
    ) -> Round:
        """How many messages it carries, from the first request to the last one recorded."""
        with self.running(contender, delay_ms=delay_ms, kept=kept) as (server, spot):
            # A store that was kept has those of earlier rounds.
            earlier = contender.recorded(spot)
            warm = self.warm_up(contender, server, recipients, kept=kept)
            self._await_carried(contender, server, spot, warm, before=earlier)
            before, clock = contender.recorded(spot), self.clock(server)
            self._reset(delay_ms)
            cap = round(seconds * SLOW_PROVIDER_RATE) if delay_ms else None
            load = self.load(contender, server, seconds=seconds, count=cap, recipients=recipients)
            self._await_carried(contender, server, spot, load.answered, before=before)
            took = time.monotonic() - load.began_at
            cpu, others = clock.server_cpu(), clock.provider_cpu() + load.cpu_seconds
            messages = contender.recorded(spot) - before
            problems = load.problems() + self._carry_problems(load, messages)
        return Round.carried(
            contender.name,
            messages=messages,
            seconds=took,
            cpu=cpu,
            others=others,
            problems=problems,
            load=load,
        )

    def latency(self, contender: Contender, *, rate: float, seconds: float) -> Single:
        """What it adds to a call whose answer waits for the provider, which answers at once."""
        with self.running(contender) as (server, spot):
            self._await_carried(contender, server, spot, self.warm_up(contender, server))
            self._reset(0)
            clock = self.clock(server)
            load = self.load(
                contender,
                server,
                seconds=seconds,
                rate=rate,
                waits=True,
                recipients=MANY_RECIPIENTS,
                connections=LATENCY_CONNECTIONS,
            )
            cpu = clock.server_cpu()
            problems = load.problems() + self._carry_problems(load, load.answered)
        early = load.answered - load.statuses.get("200", 0)
        if early:
            problems.append(f"{early} answers came before the message was settled")
        figures = {"messages": load.answered, "rate": rate, "server_share": cpu / load.seconds}
        figures |= {f"{name}_ms": value for name, value in load.latencies_ms.items()}
        figures |= {f"generator_late_{name}_ms": value for name, value in load.late_ms.items()}
        return Single(figures=figures, problems=problems)

    def memory(self, contender: Contender, *, messages: int) -> Single:
        """What it holds in memory once so many messages were taken and carried."""
        with self.running(contender) as (server, spot):
            figures: dict[str, float] = {"at_start_mb": machine.resident_bytes(server.pid) / 1e6}
            load = self.load(
                contender,
                server,
                seconds=CARRY_SECONDS,
                count=messages,
                recipients=MANY_RECIPIENTS,
            )
            self._await_carried(contender, server, spot, load.answered)
            figures["resident_mb"] = machine.resident_bytes(server.pid) / 1e6
            figures["peak_mb"] = machine.peak_resident_bytes(server.pid) / 1e6
            recorded = contender.recorded(spot)
            problems = load.problems() + self._carry_problems(load, recorded)
        figures["messages"] = recorded
        if load.answered < messages:
            problems.append(f"only {load.answered} of {messages} messages in {CARRY_SECONDS:.0f} s")
        return Single(figures=figures, problems=problems)

    @contextmanager
    def holding(self, contender: Contender) -> Iterator[int]:
        """The port of a fresh server that takes messages, is warm, and sends none."""
        with self.running(contender, sending=False) as (server, _):
            self.warm_up(contender, server)
            yield server.port
            server.check_alive()

    @contextmanager
    def folder(self, contender: Contender) -> Iterator[Path]:
        """A folder for a store, gone afterwards with all that is in it."""
        with tempfile.TemporaryDirectory(prefix=f"{contender.name}-", dir=self._folder) as folder:
            yield Path(folder)

    @contextmanager
    def running(
        self,
        contender: Contender,
        *,
        sending: bool = True,
        delay_ms: int = 0,
        kept: Kept | None = None,
    ) -> Iterator[tuple[Server, Spot]]:
        """A fresh server with an empty store or the one kept, and a provider that knows nothing."""
        self._reset(delay_ms)
        with nullcontext(kept.folder) if kept else self.folder(contender) as folder:
            spot = Spot(
                port=machine.free_port(),
                folder=folder,
                provider_port=self._provider.port,
                delay_ms=delay_ms,
                sending=sending,
            )
            with Server(
                contender.launch(spot),
                port=spot.port,
                core=self._cores.server,
                log=folder / "server.log",
            ) as server:
                yield server, spot
                if kept:
                    kept.resident_mb.append(machine.resident_bytes(server.pid) / 1e6)

    def warm_up(
        self,
        contender: Contender,
        server: Server,
        recipients: int | None = None,
        *,
        kept: Kept | None = None,
    ) -> int:
        """Open connections and fill caches; how many messages that took.

        Raises:
            BenchFailed: a message was not taken; the text has the answer.
        """
        posting = contender.posting()
        headers = posting.headers | {"Content-Type": "application/json"}
        body = posting.bodies[0].encode()
        status, answer = call(server.port, "POST", posting.path, body, headers)
        if status not in _TAKEN:
            text = answer.decode(errors="replace")
            raise BenchFailed(server.story(f"answered its first message with {status}: {text}"))
        if kept:
            kept.ready_s.append(time.monotonic() - server.began_at)
            kept.at_start_mb.append(machine.resident_bytes(server.pid) / 1e6)
        load = self.load(contender, server, count=WARM_UP, recipients=recipients)
        if load.problems():
            raise BenchFailed(server.story(f"when warmed up: {'; '.join(load.problems())}"))
        return load.answered + 1

    def load(
        self,
        contender: Contender,
        server: Server,
        *,
        generator: str = generators.OWN,
        seconds: float = 30.0,
        count: int | None = None,
        rate: float | None = None,
        waits: bool = False,
        recipients: int | None = None,
        connections: int = CONNECTIONS,
    ) -> Load:
        posting = contender.posting(waits=waits, recipients=recipients or self._recipients)
        job = Job(
            port=server.port,
            path=posting.path,
            headers=posting.headers,
            bodies=posting.bodies,
            connections=connections,
            seconds=seconds,
            count=count,
            rate=rate,
        )
        load = generators.run(job, generator=generator)
        server.check_alive()
        if not load.answered:
            raise BenchFailed(server.story(f"took no message: {'; '.join(load.problems())}"))
        return load

    def clock(self, server: Server) -> Clock:
        return Clock(server, self._provider)

    def _reset(self, delay_ms: int) -> None:
        call_json(self._provider.port, "POST", "/bench/reset", {"delay_ms": delay_ms})

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = call_json(self._provider.port, "GET", "/bench/counts")
        return counts

    def _await_carried(
        self, contender: Contender, server: Server, spot: Spot, messages: int, *, before: int = 0
    ) -> None:
        """Wait until all are recorded, or far too long; what is missing then shows in the counts.

        The store is only asked once the provider has them all: asking costs the server nothing,
        but it costs the disk and the other core.
        """
        give_up = time.monotonic() + CARRY_SECONDS
        while self.counts()["messages"] < messages and time.monotonic() < give_up:
            server.check_alive()
            time.sleep(_LOOK_SECONDS)
        while contender.recorded(spot) - before < messages and time.monotonic() < give_up:
            server.check_alive()
            time.sleep(_LOOK_SECONDS)

    def _carry_problems(self, load: Load, recorded: int) -> list[str]:
        counts = self.counts()
        found = []
        if recorded != load.answered:
            found.append(f"{load.answered} messages answered, {recorded} recorded as accepted")
        if counts["messages"] != load.answered:
            found.append(f"{load.answered} messages answered, {counts['messages']} at the provider")
        if counts["requests"] != counts["messages"]:
            found.append(f"{counts['requests'] - counts['messages']} sent more than once")
        return found


def _provider_launch(port: int) -> Launch:
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "bench.provider", "--port", str(port)]
    return Launch(command, root, {}, ready="/bench/counts")


def _settled_count(contender: Contender, spot: Spot) -> int:
    """How many messages are on disk once those that were cut off on their way are there too."""
    last, now = -1, contender.stored(spot)
    while now != last:
        time.sleep(_LOOK_SECONDS * 5)
        last, now = now, contender.stored(spot)
    return now
