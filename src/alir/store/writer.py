"""The grouped writer: whatever arrived while the last commit ran goes into the next one.

No timer: a lone write is committed at once, and under load groups grow by themselves.

Statements run on the event loop's own thread, a few microseconds each; only what waits for the
disk or for another machine does so elsewhere (see `Link`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import bindparam, select

from alir.errors import StoreUnavailable
from alir.store import tables
from alir.store.group import (
    Bulk,
    Job,
    Portion,
    Work,
    deliver,
    fail,
    next_group,
    no_work,
    portions,
    run_some,
)
from alir.store.sql import Connection, Statement, upsert

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item
#: Lets no other writer change the messages of any of these ids until the transaction ends.
Lock = Callable[[Connection, Sequence[str]], None]

#: How long a write that could not be begun or committed is repeated before its caller is told: as
#: long as another process (`alir token`) may hold the database, and a little more. It counts from
#: when the write was handed in: what waited behind a group that failed fails soon after it, so
#: that no more can wait than comes in this time.
PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.02
#: Where writes wait longer, no more is taken from outside, so that what alir itself has to write is
#: still in time behind them: half of the 5 s for which what was begun may be sent, and less than
#: the half of a lease (design 5.4, 5.7).
LONGEST_WAIT_SECONDS = 2.5
#: What the last try of a closing writer may take beyond its patience.
_CLOSING_GRACE_SECONDS = 0.25

_group = tables.commit_group.c
_NUMBERED = Statement(upsert(tables.commit_group, replaced=["number"]))
# Where databases have more than one writer, it waits for one that is still under way.
_NUMBER_OF = Statement(
    select(_group.number).where(_group.writer == bindparam("writer")).with_for_update()
)


class Observe(Protocol):
    """Told of each group that was committed; not of one that changed nothing."""

    def committed(self, size: int, seconds: float) -> None: ...


class Link(Protocol):
    """The one connection of a database that is written on; opened when it is needed.

    Attributes:
        begin: the statement that begins a transaction.
        shows_early: others may see a commit before it is as safe as it will be. Then what only
            read is committed, too, which waits for what it saw.
    """

    begin: str
    shows_early: bool

    async def run(self, work: Work[T]) -> T:
        """Run `work` on the connection; one is opened where there is none."""
        ...

    async def commit(self) -> None:
        """End the transaction; it is on disk once this returns."""
        ...

    async def disconnect(self) -> None:
        """Close the connection, in whatever state it is; the next `run` opens another."""
        ...

    async def end(self) -> None:
        """Close the connection for good."""
        ...

    def is_trouble(self, error: Exception) -> bool:
        """Whether it is the database's (locked, full, not there), not a fault of alir's."""
        ...

    def is_lost(self, error: Exception, /) -> bool:
        """Whether the connection is gone, and with it what its transaction did."""
        ...

    def is_passing(self, error: Exception, /) -> bool:
        """Whether the database took this transaction back for another's sake, as in a deadlock."""
        ...

    def is_collision(self, error: Exception, /) -> bool:
        """Whether something is there already that may be there once; as of a moment ago, maybe."""
        ...


class _AgainError(Exception):
    """A piece of work was taken back for another writer's sake: it is to be done again."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _Transaction(Enum):
    """What became of one."""

    #: More is to be run in it, or it is to be committed.
    OPEN = auto()
    #: It was ended, as nothing was changed in it.
    EMPTY = auto()
    #: Something that was to be run in it failed.
    TAKEN_BACK = auto()


class GroupWriter:
    """Runs pieces of work on one connection, many to a transaction. Belongs to one event loop.

    A commit in doubt (its answer was an error) is cleared up by the row in `commit_group` that
    went with it: there, everything is stored; not there, the group is repeated. A group that only
    read has no such row, and nothing to commit, where the database shows others a commit only once
    it is on disk: then what it saw is.

    Two writers that change the same messages in another order would each wait for the other, until
    after a second the database takes back what one of them did. So each first locks those of a
    group, in an order that all keep.

    Args:
        name: of this writer, unlike any other's.
        lock: keeps to that order; none: the database has one writer at a time.
    """

    def __init__(
        self, link: Link, *, name: str, observe: Observe | None = None, lock: Lock | None = None
    ) -> None:
        self._link = link
        self._lock = lock
        self._name = name
        self._observe = observe
        self._number = 0
        # The last one that is known to be on disk.
        self._stored = 0
        # How many changes the connection had counted when the transaction began.
        self._changes_before = 0
        self._waiting: deque[Job] = deque()
        self._running: asyncio.Task[None] | None = None
        self._closing = False
        self._close_by = math.inf

    def write(
        self, work: Work[T], *, weight: int = 1, about: Sequence[str] = ()
    ) -> asyncio.Future[T]:
        """What `work` returned, once what its group changed is on disk.

        Args:
            weight: how many single pieces of work it is worth.
            about: ids of the messages that it changes, alir's or a provider's, as far as known.

        Raises:
            StoreUnavailable: nothing was stored, or (`in_doubt`) nobody can say.
            Exception: whatever `work` raised; nothing of it was stored.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._hand_in(Job(work, future, loop.time(), weight=weight, about=about))
        return future

    def write_among(
        self, bulk: Bulk[I, T], item: I, *, about: Sequence[str] = ()
    ) -> asyncio.Future[T]:
        """What `bulk` returned for `item`, once what its group changed is on disk.

        All items of a group that were handed in for the same `bulk` are written by one call of
        it, before the single pieces of work: a statement for many rows costs half of what many
        statements do.

        Args:
            about: as of `write`.

        Raises:
            As `write`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._hand_in(Job(no_work, future, loop.time(), bulk, item, 1, about))
        return future

    def try_out(self) -> asyncio.Future[None]:
        """Done once a row is on disk that tells nothing new.

        Raises:
            StoreUnavailable: the database takes no writes.
        """
        return self.write(self._put_number)

    def require_room(self) -> None:
        """See that what is handed in now is likely to be written soon.

        Raises:
            StoreUnavailable: so much waits for a slow or silent database that more would wait long.
        """
        if self._waiting:
            waits = _now() - self._waiting[0].handed_in_at
            if waits > LONGEST_WAIT_SECONDS:
                raise StoreUnavailable(f"the database is slow: writes wait for {waits:.1f} s")

    def _hand_in(self, job: Job) -> None:
        if self._closing:
            raise StoreUnavailable("the gateway is stopping")
        self._waiting.append(job)
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def close(self, patience: float = PATIENCE_SECONDS) -> None:
        """Write what was handed in, then stop; who still waits after `patience` seconds is told so.

        Where not even the disk answers by then, the commit under way is left to itself.
        """
        self._closing = True
        self._close_by = _now() + patience
        if self._running is not None:
            await asyncio.wait([self._running], timeout=patience + _CLOSING_GRACE_SECONDS)
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
            return  # the commit under way uses the connection
        await self._link.end()

    async def _run(self) -> None:
        """Write groups until nothing waits any more."""
        jobs: list[Job] = []
        try:
            while self._waiting:
                jobs = next_group(self._waiting)
                await self._write_group(jobs)
                deliver(jobs)
                if self._waiting and self._stored != self._number:
                    await asyncio.sleep(0)  # nobody else had a turn, as in a commit
        except Exception as fault:
            # A fault of alir's own. Who waits must hear of it, and whoever comes next must get on.
            for job in jobs:
                job.error = fault
            deliver(jobs)
        except asyncio.CancelledError:
            silence = TimeoutError("it does not answer")
            fail(jobs, silence, in_doubt=True)
            fail(self._waiting, silence, in_doubt=False)
            deliver((*jobs, *self._waiting))
            self._waiting.clear()
            raise
        finally:
            self._running = None

    async def _write_group(self, jobs: list[Job]) -> None:
        """Write `jobs` in one transaction; where that cannot be, each in its own."""
        begun = time.perf_counter()
        is_done = await self._commit(jobs)
        if self._stored == self._number:
            if self._observe is not None:
                size = sum(job.weight for job in jobs)
                self._observe.committed(size, time.perf_counter() - begun)
        elif not is_done and len(jobs) > 1:
            for job in jobs:
                await self._write_group([job])
                await asyncio.sleep(0)  # where none is committed nobody else had a turn

    async def _commit(self, jobs: list[Job]) -> bool:
        """Whether all of them are done with. Where one of a group failed, or stood in a deadlock
        with another writer's, none is.

        `_stored` is `_number` afterwards where something was committed.
        """
        give_up_at = max(job.handed_in_at for job in jobs) + PATIENCE_SECONDS
        self._number += 1
        while True:
            in_doubt = False
            try:
                became = await self._run_all(jobs)
                if became is not _Transaction.OPEN:
                    return became is _Transaction.EMPTY
                in_doubt = True
                await self._link.commit()
                self._stored = self._number
            except _AgainError as again:
                if len(jobs) > 1:
                    # As a whole it would meet the other again, in step: one by one, each holds
                    # too little for a circle.
                    return False
                if _now() >= min(give_up_at, self._close_by):
                    fail(jobs, again.error, in_doubt=False)
                    return True
            except Exception as error:
                # Whatever it is (a lack of memory too), a commit that it befell is in doubt.
                await self._link.disconnect()
                stored = await self._ask_whether_stored() if in_doubt else False
                if stored:
                    self._stored = self._number
                    return True
                if stored is None or _now() >= min(give_up_at, self._close_by):
                    fail(jobs, error, in_doubt=stored is None)
                    self._fail_overdue(error)
                    return True  # repeating them one by one would change nothing
            else:
                return True
            await asyncio.sleep(_PAUSE_SECONDS)

    def _fail_overdue(self, error: Exception) -> None:
        """Tell those who waited behind a group that failed for as long as they may.

        A database that is silent takes seconds for each try: were each group of them tried once,
        they would wait for minutes.
        """
        overdue: list[Job] = []
        while self._waiting and self._waiting[0].handed_in_at + PATIENCE_SECONDS <= _now():
            overdue.append(self._waiting.popleft())
        fail(overdue, error, in_doubt=False)
        deliver(overdue)

    async def _run_all(self, jobs: list[Job]) -> _Transaction:
        """Begin a transaction and run `jobs` in it.

        Of a heavy group, the event loop gets to do other things between two portions.
        """
        about = [id_ for job in jobs for id_ in job.about] if self._lock is not None else ()
        for portion in portions(jobs):
            if not portion.is_first:
                await asyncio.sleep(0)
            became = await self._link.run(partial(self._run_portion, portion, about))
            if became is not _Transaction.OPEN:
                return became
        return _Transaction.OPEN

    def _run_portion(
        self, portion: Portion, about: Sequence[str], connection: Connection
    ) -> _Transaction:
        if portion.is_first:
            connection.execute(self._link.begin)
            self._changes_before = connection.total_changes
            # One alone is locked as it is changed.
            if self._lock is not None and len(about) > 1:
                try:
                    self._lock(connection, about)
                except Exception as error:  # as of a piece of work: whose it is shows one by one
                    jobs = [job for some in portion.jobs for job in some]
                    self._take_back(connection, error, jobs)
                    return _Transaction.TAKEN_BACK
        elif not connection.in_transaction:
            raise ConnectionError("it was lost between two portions of a transaction")
        for some in portion.jobs:
            try:
                run_some(some, connection)
            except Exception as error:  # whatever a piece of work raises is for who asked for it
                self._take_back(connection, error, some)
                return _Transaction.TAKEN_BACK
        if portion.is_last:
            has_changed = connection.total_changes != self._changes_before
            if not (has_changed or self._link.shows_early):
                # No COMMIT: on PostgreSQL that waits for the disk where rows were locked, too.
                connection.execute("ROLLBACK")
                return _Transaction.EMPTY
            self._put_number(connection)
        return _Transaction.OPEN

    def _put_number(self, connection: Connection) -> None:
        _NUMBERED.run(connection, {"writer": self._name, "number": self._number})

    def _take_back(self, connection: Connection, error: Exception, jobs: Sequence[Job]) -> None:
        """Roll the transaction back, and hand what befell them to whoever asked for these jobs.

        The others are repeated without them.

        Raises:
            _AgainError: they are to be done again, too.
            Exception: what it was, where with the session all of the transaction is gone.
        """
        if self._link.is_lost(error):
            raise error
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if self._link.is_passing(error) or self._is_new_collision(error, jobs):
            raise _AgainError(error) from error
        for job in jobs:
            job.error = self._as_unavailable(error)

    def _is_new_collision(self, error: Exception, jobs: Sequence[Job]) -> bool:
        """Whether what was decided may be another now, because another process was quicker.

        A key that it was to write was not there when it looked; done again, it finds it. What
        writes many keys may collide once for each.
        """
        if jobs[0].collisions >= jobs[0].weight or not self._link.is_collision(error):
            return False
        if len(jobs) == 1:  # of several, one of them did: each gets its own tries
            jobs[0].collisions += 1
        return True

    def _as_unavailable(self, error: Exception) -> Exception:
        if not self._link.is_trouble(error):
            return error
        unavailable = StoreUnavailable(f"the database cannot be written: {error}")
        unavailable.__cause__ = error
        return unavailable

    async def _ask_whether_stored(self) -> bool | None:
        """Whether the group is on disk, asked on a new connection; None: nobody can say.

        Until that is known nothing may be repeated: it would be done twice.
        """
        give_up_at = _now() + PATIENCE_SECONDS
        while True:
            try:
                number = await self._link.run(partial(number_stored, writer=self._name))
            except Exception:  # whatever it is: it says nothing of the commit, so ask again
                await self._link.disconnect()
            else:
                # Less than what was stored: whoever started as if alone has forgotten the number.
                return number == self._number if (number or 0) >= self._stored else None
            if _now() >= min(give_up_at, self._close_by):
                return None
            await asyncio.sleep(_PAUSE_SECONDS)


def number_stored(connection: Connection, *, writer: str) -> int | None:
    """The number of the last group of this writer that is on disk; none: there is none."""
    row = _NUMBER_OF.run(connection, {"writer": writer}).fetchone()
    return None if row is None else row[0]


def _now() -> float:
    """Seconds on the clock that the loop's own timers go by."""
    return asyncio.get_running_loop().time()
