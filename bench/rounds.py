"""What one round of a measure came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.generators import Load

#: A core that is used more than this has nothing left to give.
FULL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One figure of one contender, once.

    Attributes:
        messages: on disk, or recorded as accepted: what the server itself has kept.
        per_second: answers a second, or messages carried a second.
        per_cpu_second: messages for each CPU second of the server.
        server_share: how much of a core the server used, 1 being all of it.
        others_share: the same of the generator and the provider together.
        latencies_ms: of the answers: p50, p99, max.
        problems: what should not have happened.
    """

    contender: str
    generator: str
    messages: int
    per_second: float
    per_cpu_second: float
    server_share: float
    others_share: float
    latencies_ms: dict[str, float]
    problems: list[str] = field(default_factory=list)

    @classmethod
    def carried(
        cls,
        contender: str,
        *,
        messages: int,
        seconds: float,
        cpu: float,
        others: float,
        problems: list[str],
        load: Load | None = None,
    ) -> Round:
        """A round in which so many messages were carried.

        Args:
            cpu: seconds of it that the server used.
            others: the same of the generator and the provider.
            load: what was sent meanwhile, if anything.
        """
        return cls(
            contender=contender,
            generator=load.generator if load else "none",
            messages=messages,
            per_second=messages / seconds,
            per_cpu_second=messages / cpu,
            server_share=cpu / seconds,
            others_share=others / seconds,
            latencies_ms=load.latencies_ms if load else {},
            problems=problems,
        )

    @property
    def others_were_the_limit(self) -> bool:
        """True where the generator and the provider held the server back."""
        return self.others_share >= FULL and self.server_share < FULL


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """Figures of alir alone, by name, with what should not have happened.

    Attributes:
        rounds: the figures of each round, where `figures` are their medians.
    """

    figures: dict[str, float]
    problems: list[str]
    rounds: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def of(cls, rounds: Sequence[Single]) -> Single:
        """The medians of several rounds; `messages` is what they had together."""
        names = rounds[0].figures
        figures = {name: median(one.figures[name] for one in rounds) for name in names}
        figures["messages"] = sum(one.figures["messages"] for one in rounds)
        return cls(
            figures=figures,
            problems=[problem for one in rounds for problem in one.problems],
            rounds=[one.figures for one in rounds],
        )
