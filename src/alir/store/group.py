"""What goes into one transaction together: pieces of work, and items that one call writes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from alir.errors import StoreUnavailable
from alir.store.sql import Connection

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item
Work = Callable[[Connection], T]
#: Writes many items at once; its answers are in their order.
Bulk = Callable[[Connection, Sequence[I]], Sequence[T]]

#: Bounds how long the event loop is busy with one group, and its callers wait for each other. Of
#: a group with heavier work, so much of it is done in one go.
LARGEST_GROUP = 100
#: Bounds how long who waits for a group has to: a batch of the largest size is one group.
HEAVIEST_GROUP = 1_000


class Job:
    """A piece of work, or an item for a bulk, and who waits for it."""

    __slots__ = (
        *("about", "bulk", "collisions", "error", "future", "handed_in_at"),
        *("item", "result", "weight", "work"),
    )

    # Written out: made for every write, and a dataclass with a factory takes twice as long.
    def __init__(  # noqa: PLR0917 - by name it takes longer
        self,
        work: Work[Any],
        future: asyncio.Future[Any],
        handed_in_at: float,
        bulk: Bulk[Any, Any] | None = None,
        item: Any = None,
        weight: int = 1,
        about: Sequence[str] = (),
    ) -> None:
        self.work = work
        self.about = about
        self.future = future
        self.weight = weight
        self.bulk = bulk
        self.item = item
        self.handed_in_at = handed_in_at
        self.collisions = 0
        self.result: Any = None
        self.error: BaseException | None = None


class Portion(NamedTuple):
    """Some jobs of a group, those of one bulk together, and where in the group they stand."""

    jobs: Sequence[Sequence[Job]]
    is_first: bool
    is_last: bool


def no_work(_connection: Connection) -> None:
    """Stands for the work of a job that is done by a bulk."""
    raise AssertionError("a job of a bulk is run by it")


def next_group(waiting: deque[Job]) -> list[Job]:
    """What goes into the next transaction, of what waits; it waits no more."""
    jobs: list[Job] = []
    weight = 0
    while waiting and len(jobs) < LARGEST_GROUP and weight < HEAVIEST_GROUP:
        jobs.append(waiting.popleft())
        weight += jobs[-1].weight
    return jobs


def portions(jobs: Sequence[Job]) -> list[Portion]:
    """What of a group is run in one go; nearly always all of it."""
    if sum(job.weight for job in jobs) <= LARGEST_GROUP:
        return [Portion(_batched(jobs), is_first=True, is_last=True)]
    parts: list[list[Sequence[Job]]] = [[]]
    weight = 0
    for some in _batched(jobs):
        if weight >= LARGEST_GROUP:
            parts.append([])
            weight = 0
        parts[-1].append(some)
        weight += sum(job.weight for job in some)
    last = len(parts) - 1
    return [Portion(each, at == 0, at == last) for at, each in enumerate(parts)]


def run_some(jobs: Sequence[Job], connection: Connection) -> None:
    """Do one job, or those of one bulk, and keep what came of it with them.

    Raises:
        Exception: whatever the work raised.
    """
    bulk = jobs[0].bulk
    if bulk is None:
        results: Sequence[Any] = [jobs[0].work(connection)]
    else:
        results = bulk(connection, [job.item for job in jobs])
    for job, result in zip(jobs, results, strict=True):
        job.result, job.error = result, None


def fail(jobs: Iterable[Job], error: Exception, *, in_doubt: bool) -> None:
    """Keep with each that nothing of it was stored, or (`in_doubt`) nobody can say."""
    for job in jobs:
        job.error = StoreUnavailable(f"the database cannot be written: {error}", in_doubt=in_doubt)
        job.error.__cause__ = error


def deliver(jobs: Iterable[Job]) -> None:
    """Tell who waits for each what came of it."""
    for job in jobs:
        if job.future.done():
            continue  # its caller was cancelled
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


def _batched(jobs: Sequence[Job]) -> Sequence[Sequence[Job]]:
    """The jobs of each bulk together, then the others one by one."""
    bulks: dict[Bulk[Any, Any], list[Job]] = {}
    single: list[Job] = []
    for job in jobs:
        (single if job.bulk is None else bulks.setdefault(job.bulk, [])).append(job)
    return (*bulks.values(), *([job] for job in single))
