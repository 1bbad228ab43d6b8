"""From rounds to medians, targets, JSON and the table that is printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from bench.pacing import CONTACTS, PAIR_SECONDS, RECIPIENTS, Pacing
from bench.rounds import Round, Single
from bench.waiting import Pair, Waiting

#: The name of the contender that is alir with its messages in PostgreSQL.
ON_POSTGRESQL = "alir on pg"
#: The measures that are rounds, in the order of the table, with their headings.
HEADINGS = {
    "accept": "taken and on disk, sending held back",
    "carry-0": "carried, from request to recorded as accepted; provider answers at once",
    "carry-100": "carried; provider answers after 100 ms",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The medians of one contender in one measure."""

    measure: str
    contender: str
    generator: str
    per_second: float
    per_cpu_second: float
    p50_ms: float
    p99_ms: float
    server_share: float
    others_share: float
    others_were_the_limit: bool
    rounds: list[Round]

    @classmethod
    def of(cls, measure: str, rounds: Sequence[Round]) -> Row:
        """The row of one contender's rounds; it was held back if most of them were."""
        return cls(
            measure=measure,
            contender=rounds[0].contender,
            generator=rounds[0].generator,
            per_second=median(one.per_second for one in rounds),
            per_cpu_second=median(one.per_cpu_second for one in rounds),
            p50_ms=median(one.latencies_ms["p50"] for one in rounds),
            p99_ms=median(one.latencies_ms["p99"] for one in rounds),
            server_share=median(one.server_share for one in rounds),
            others_share=median(one.others_share for one in rounds),
            others_were_the_limit=2 * sum(one.others_were_the_limit for one in rounds)
            > len(rounds),
            rounds=list(rounds),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What alir is to reach, and what it reached; none where that was not measured."""

    name: str
    bound: float
    unit: str
    at_least: bool
    measured: float | None

    @property
    def passed(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.bound if self.at_least else self.measured < self.bound

    @property
    def verdict(self) -> str:
        return {True: "PASS", False: "FAIL", None: "not measured"}[self.passed]


@dataclass(slots=True, kw_only=True)
class Results:
    """Everything that one run found out."""

    when: str
    settings: Mapping[str, Any]
    machine: Mapping[str, str]
    cores: str
    rows: list[Row] = field(default_factory=list)
    latency: Single | None = None
    memory: Single | None = None
    pacing: Pacing | None = None
    batch: Single | None = None
    waiting: list[Waiting] = field(default_factory=list)

    def targets(self) -> list[Target]:
        """What the gateway is to reach, in the order in which it was agreed."""
        return [
            self._of_prototype(
                "accepted messages per CPU-second, of the prototype's", "accept", 40
            ),
            self._of_prototype(
                "carried messages per CPU-second, of the prototype's", "carry-0", 45
            ),
            self._times_plain("accepted messages/s, times the plain design's", "accept", 10),
            self._times_plain("carried messages/s, times the plain design's", "carry-0", 8),
            self._on_postgresql("accepted", "accept"),
            self._on_postgresql("carried", "carry-0"),
            _below("p99 of the added latency", 25, "ms", self.latency, "p99_ms"),
            _below("resident memory", 150, "MB", self.memory, "resident_mb"),
            Target(
                name="a batch of 1,000, times the same one by one",
                bound=5,
                unit="x",
                at_least=True,
                measured=self.batch.figures["times"] if self.batch else None,
            ),
            Target(
                name="pacing and table, a message",
                bound=20,
                unit="us",
                at_least=False,
                measured=self.pacing.together_us if self.pacing else None,
            ),
            *_with_many_waiting(self.waiting),
        ]

    def failures(self) -> list[str]:
        """Everything that should not have happened, each with where it did."""
        found = [
            f"{row.measure}, {row.contender}, round {number}: {problem}"
            for row in self.rows
            for number, one in enumerate(row.rounds, 1)
            for problem in one.problems
        ]
        for name, single in self._singles().items():
            found += [f"{name}: {problem}" for problem in (single.problems if single else [])]
        paced = self.pacing.problems() if self.pacing else []
        found += [f"pacing, {problem}" for problem in paced]
        waited = [(one.contender, problem) for one in self.waiting for problem in one.problems()]
        return found + [f"waiting, {contender}, {problem}" for contender, problem in waited]

    def _singles(self) -> dict[str, Single | None]:
        return {"latency": self.latency, "memory": self.memory, "batch": self.batch}

    def as_json(self) -> dict[str, Any]:
        return {
            "when": self.when,
            "settings": dict(self.settings),
            "machine": dict(self.machine),
            "cores": self.cores,
            "rows": [asdict(row) for row in self.rows],
            **{name: asdict(one) if one else None for name, one in self._singles().items()},
            "pacing": asdict(self.pacing) if self.pacing else None,
            "waiting": [asdict(one) for one in self.waiting],
            "targets": [asdict(target) | {"verdict": target.verdict} for target in self.targets()],
            "failures": self.failures(),
        }

    def row(self, measure: str, contender: str) -> Row | None:
        found = [row for row in self.rows if (row.measure, row.contender) == (measure, contender)]
        return found[0] if found else None

    def _of_prototype(self, name: str, measure: str, percent: float) -> Target:
        ours, other = self.row(measure, "alir"), self.row(measure, "prototype")
        measured = 100 * ours.per_cpu_second / other.per_cpu_second if ours and other else None
        return Target(name=name, bound=percent, unit="%", at_least=True, measured=measured)

    def _on_postgresql(self, what: str, measure: str) -> Target:
        ours, other = self.row(measure, ON_POSTGRESQL), self.row(measure, "alir")
        measured = 100 * ours.per_cpu_second / other.per_cpu_second if ours and other else None
        name = f"{what} per CPU-second on PostgreSQL, of SQLite's"
        return Target(name=name, bound=70, unit="%", at_least=True, measured=measured)

    def _times_plain(self, name: str, measure: str, times: float) -> Target:
        ours, other = self.row(measure, "alir"), self.row(measure, "plain")
        measured = ours.per_second / other.per_second if ours and other else None
        return Target(name=name, bound=times, unit="x", at_least=True, measured=measured)


def _with_many_waiting(found: Sequence[Waiting]) -> Iterator[Target]:
    """The worst of all shapes counts, in each database that was measured."""
    for contender in dict.fromkeys(one.contender for one in found):
        of_it = [one for one in found if one.contender == contender]
        pairs = [(name, pair) for one in of_it for name, pair in one.pairs.items()]
        for what, names in (("taken", {"taken"}), ("carried", {"carried", "of the line"})):
            yield Target(
                name=f"{what} while many wait, of the rate on an empty store; {contender}",
                bound=90,
                unit="%",
                at_least=True,
                measured=min(pair.percent("per_second") for name, pair in pairs if name in names),
            )
        for name, bound, unit, measured in (
            ("from start to ready", 5, "s", [s for one in of_it for s in one.ready_s]),
            ("resident memory", 400, "MB", [mb for o in of_it for mb in o.waiting_mb + o.after_mb]),
        ):
            yield Target(
                name=f"{name} while many wait; {contender}",
                bound=bound,
                unit=unit,
                at_least=False,
                measured=max(measured),
            )


def _below(name: str, bound: float, unit: str, single: Single | None, figure: str) -> Target:
    measured = single.figures.get(figure) if single else None
    return Target(name=name, bound=bound, unit=unit, at_least=False, measured=measured)


def as_text(results: Results) -> str:
    """The whole report for people, in lines of plain text."""
    parts = [_head(results)]
    for measure, heading in HEADINGS.items():
        if any(row.measure == measure for row in results.rows):
            parts.append(f"{heading}\n{_table(results, measure)}")
    if results.latency:
        parts.append(_latency(results.latency))
    if results.memory:
        parts.append(_memory(results.memory))
    if results.batch:
        parts.append(_batch(results.batch))
    if results.pacing:
        parts.append(_pacing(results.pacing))
    if results.waiting:
        parts.append(_waiting(results))
    parts.append("targets\n" + _aligned([_target_cells(one) for one in results.targets()]))
    failures = results.failures()
    if failures:
        parts.append("\n  ".join(["THESE FIGURES DO NOT COUNT, for this went wrong:", *failures]))
    return "\n\n".join(parts)


def _head(results: Results) -> str:
    settings = results.settings
    about = [
        f"alir bench, {results.when}: medians of {settings['rounds']} rounds of "
        f"{settings['seconds']:g} s, the contenders taking turns, each round on an empty store",
        "  " + ", ".join(f"{name} {value}" for name, value in results.machine.items()),
        f"  {results.cores}; {settings['connections']} connections",
        f"  in the first tables every request is the same {settings['body_bytes']} bytes to "
        f"{settings['recipients']} recipient(s), answered once it is on disk",
    ]
    if settings["quick"]:
        about.append("  QUICK: this only shows that the bench works; the figures mean nothing")
    return "\n".join(about)


def _table(results: Results, measure: str) -> str:
    ours = results.row(measure, "alir")
    head = ["", "messages/s", "alir", "per CPU-s", "alir", "p50 ms", "p99 ms"]
    lines = [[*head, "server", "generator", "runs, per CPU-s"]]
    for row in results.rows:
        if row.measure != measure:
            continue
        runs = " ".join(f"{one.per_cpu_second:,.0f}" for one in row.rounds)
        limit = ", THE LIMIT" if row.others_were_the_limit else ""
        lines.append(
            [
                row.contender,
                f"{row.per_second:,.0f}",
                _beside(ours, row, "per_second"),
                f"{row.per_cpu_second:,.0f}",
                _beside(ours, row, "per_cpu_second"),
                f"{row.p50_ms:.1f}",
                f"{row.p99_ms:.1f}",
                f"{row.server_share:.0%} of core",
                f"{row.generator}, {row.others_share:.0%} of core{limit}",
                runs,
            ]
        )
    return _aligned(lines)


def _beside(ours: Row | None, row: Row, figure: str) -> str:
    """What alir does of another's figure: a percentage of the prototype's, else times."""
    if ours is None or row.contender == ours.contender:
        return ""
    if row.contender == ON_POSTGRESQL:  # there it is the other way round: what that is of SQLite's
        return f"{getattr(row, figure) / getattr(ours, figure):.0%}"
    ratio = getattr(ours, figure) / getattr(row, figure)
    return f"{ratio:.0%}" if row.contender == "prototype" else f"{ratio:.1f}x"


def _latency(single: Single) -> str:
    figures = single.figures
    runs = " ".join(f"{one['p99_ms']:.1f}" for one in single.rounds)
    return (
        f"added latency at {figures['rate']:g} messages/s, answered when the provider has "
        f"(at once) and that is on disk, {figures['messages']:,.0f} messages\n"
        f"  p50 {figures['p50_ms']:.2f} ms, p99 {figures['p99_ms']:.2f} ms (runs {runs}), "
        f"largest {max(one['max_ms'] for one in single.rounds):.1f} ms; "
        f"server {figures['server_share']:.0%} of core; own generator, "
        f"p99 of its own lateness {figures['generator_late_p99_ms']:.2f} ms"
    )


def _memory(single: Single) -> str:
    figures = single.figures
    return (
        f"memory after {figures['messages']:,.0f} messages taken and carried\n"
        f"  resident {figures['resident_mb']:.0f} MB, at most {figures['peak_mb']:.0f} MB, "
        f"{figures['at_start_mb']:.0f} MB at the start"
    )


def _batch(single: Single) -> str:
    figures = single.figures
    runs = " ".join(f"{one['times']:.0f}" for one in single.rounds)
    return (
        f"1,000 messages in a batch, beside the same one by one over one connection\n"
        f"  {figures['batch_ms']:.0f} ms beside {figures['one_by_one_ms']:.0f} ms: "
        f"{figures['times']:.0f} times (runs {runs}); somebody else's request waited at most "
        f"{max(one['others_waited_ms'] for one in single.rounds):.0f} ms"
    )


def _pacing(pacing: Pacing) -> str:
    pieces = ", ".join(f"{name} {us:.1f}" for name, us in pacing.pieces.items())
    runs = " ".join(f"{us:.1f}" for us in pacing.runs)
    paced, unpaced = (
        median(one.per_cpu_second for one in rounds) for rounds in (pacing.paced, pacing.unpaced)
    )
    differences = " ".join(f"{us:+.1f}" for us in pacing.differences_us)
    return (
        f"what pauses, pairs, the window ({CONTACTS:,} contacts) and the error table cost, "
        f"in us of CPU a message\n"
        f"  in the process: {pieces}: {pacing.together_us:.1f} together (runs {runs})\n"
        f"  carried to {RECIPIENTS:,} recipients: {paced:,.0f} per CPU-s with one message each "
        f"{PAIR_SECONDS:g} s to each of them, {unpaced:,.0f} without:\n"
        f"  {median(pacing.differences_us):+.1f} a message (rounds in pairs {differences}); "
        "what is smaller than these differ is noise"
    )


def _waiting(results: Results) -> str:
    head = ["of which there are", "", "", "empty /s", "full /s", "", "empty per CPU-s"]
    lines = [[*head, "full per CPU-s", "", "runs, full of empty"]]
    for one in results.waiting:
        for name, pair in one.pairs.items():
            cells = [one.title, one.contender, name, *_medians(pair, "per_second")]
            lines.append([*cells, *_medians(pair, "per_cpu_second"), _ratios(pair)])
    also = []
    for one in results.waiting:
        ready, last = max(one.ready_s), one.ready_s[-1]
        start, after = max(one.waiting_mb), max(one.after_mb)
        also.append(
            f"  {one.title}, {one.contender}: ready after {ready:.1f} s at most, "
            f"{last:.1f} s after a crash; resident {start:.0f} MB, {after:.0f} MB after a load"
        )
        if one.pieces:
            pieces = " ".join(f"{piece:,.0f}" for piece in one.pieces)
            also.append(f"    carried on and on, messages/s: {pieces}")
    many = results.settings["waiting_messages"]
    return "\n".join([f"{many:,} messages waiting", _aligned(lines), *also])


def _medians(pair: Pair, figure: str) -> list[str]:
    empty, full = pair.medians(figure)
    return [f"{empty:,.0f}", f"{full:,.0f}", f"{pair.percent(figure):.0f}%"]


def _ratios(pair: Pair) -> str:
    both = zip(pair.empty, pair.full, strict=True)
    return " ".join(f"{full.per_second / empty.per_second:.0%}" for empty, full in both)


def _target_cells(target: Target) -> list[str]:
    sign = "at least" if target.at_least else "below"
    measured = "" if target.measured is None else f"{target.measured:.1f} {target.unit}"
    return [target.name, f"{sign} {target.bound:g} {target.unit}", measured, target.verdict]


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Cells under each other: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    done = []
    for cells in lines:
        first, *rest, last = cells
        middle = [cell.rjust(width) for cell, width in zip(rest, widths[1:-1], strict=True)]
        done.append("  ".join(["", first.ljust(widths[0]), *middle, last]).rstrip())
    return "\n".join(done)
