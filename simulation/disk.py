"""The disk: the real store on SQLite in memory, whose commits and reads do what a seed says."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Awaitable, Sequence
from contextlib import closing
from contextvars import Context
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from sqlalchemy import create_engine

from alir.errors import StoreUnavailable
from alir.store import tables
from alir.store.group import Bulk, Work
from alir.store.sqlite import SQLiteLink, is_trouble
from alir.store.writer import PATIENCE_SECONDS, GroupWriter
from simulation.happened import Trace
from simulation.plan import DiskTemper

I = TypeVar("I")  # noqa: E741 - an item
T = TypeVar("T")

#: Notes of each attempt, in the transaction that begins it, who begins it, and who then holds the
#: sender; alir knows nothing of that.
_NOTES: Final = """
CREATE TABLE begun_by (message_id, number, writer, holder, fence);
CREATE TRIGGER note_begun AFTER INSERT ON attempt BEGIN
    INSERT INTO begun_by SELECT new.message_id, new.number, writer(), l.holder, l.fence
    FROM message m LEFT JOIN sender_lease l ON l.sender = m.sender WHERE m.id = new.message_id;
END;
"""
#: Memory that looks like a disk.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder inside has a name of its own
#: SQLite's own access to files, but that connections lock each other out in this process's memory
#: and not in the file, which no other process opens: to ask the kernel took 6 % of a schedule.
_ALONE: Final = "unix-excl"
#: A quarter of SQLite's own: what is written is a page at least, and schedules write little.
_PAGE_BYTES: Final = 1024
#: How many reads take any time, and how long at most.
_SLOW_READS: Final = 0.25
_READ_SECONDS: Final = 0.001
#: How long who wants to write waits for another one, before it is told that it cannot.
_BUSY_SECONDS: Final = 1.0
#: A disk that is gone takes up to so long to say so.
_ERROR_SECONDS: Final = 0.5
_HALF: Final = 0.5


class _Pooled(sqlite3.Connection):
    """A connection that is used again after it was closed: opening one takes longer."""

    pool: list[_Pooled]
    #: The process that writes on it.
    writer: str | None = None

    def close(self) -> None:
        if self.in_transaction:
            self.execute("ROLLBACK")
        if self not in self.pool:
            self.pool.append(self)


def folder() -> tempfile.TemporaryDirectory[str]:
    """A new folder, in memory where there is a place for it; a context manager."""
    place = _MEMORY if _MEMORY.is_dir() else None
    return tempfile.TemporaryDirectory(prefix="alir-simulation-", dir=place)


class Platter:
    """One database file, emptied for each schedule. A context manager.

    Args:
        path: where it is to lie.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool: list[_Pooled] = []
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")  # stores the size with it
        engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(self._path))
        tables.metadata.create_all(engine)
        engine.dispose()
        with closing(sqlite3.connect(self._path)) as connection:
            connection.executescript(_NOTES)
        #: What everybody reads with: it sees what is committed. That cannot change while somebody
        #: reads, as all of a schedule runs in one thread; so nobody needs a transaction for it.
        self.reader = self.connect()
        self.reader.execute("PRAGMA query_only = 1")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for connection in (self.reader, *self._pool):
            sqlite3.Connection.close(connection)

    def connect(self, writer: str | None = None) -> sqlite3.Connection:
        """A connection as the gateway opens one, but that nothing waits for a real disk."""
        connection = self._pool.pop() if self._pool else self._open()
        connection.writer = writer
        return connection

    def _open(self) -> _Pooled:
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?vfs={_ALONE}",
            uri=True,
            isolation_level=None,
            cached_statements=512,
            factory=_Pooled,
        )
        connection.pool = self._pool
        connection.create_function("writer", 0, lambda: connection.writer)
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def empty(self) -> None:
        """Forget everything."""
        connection = self.connect()
        connection.execute("BEGIN")
        for table in tables.metadata.sorted_tables:
            connection.execute(f"DELETE FROM {table.name}")  # noqa: S608 - its own names
        connection.execute("DELETE FROM begun_by")
        connection.execute("COMMIT")
        connection.close()


class Disk:
    """The disk of one schedule, which outlives the processes.

    Attributes:
        stalled_until: commits take until then, in the loop's time.
        breaks_for: seconds for which it is gone from its next commit on.
    """

    def __init__(
        self,
        platter: Platter,
        temper: DiskTemper,
        chance: Random,
        loop: asyncio.AbstractEventLoop,
        trace: Trace,
    ) -> None:
        self.platter = platter
        self.chance = chance
        self.trace = trace
        self.temper = temper
        self._loop = loop
        self.stalled_until = 0.0
        self.breaks_for = 0.0
        self._broken_until = 0.0
        self._locker: sqlite3.Connection | None = None
        self._writing: SimulatedLink | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def look(self, sql: str, *parameters: Any) -> list[Any]:
        """What is committed."""
        return self.platter.reader.execute(sql, parameters).fetchall()

    def finds(self, sql: str) -> bool:
        """Whether what is committed is so."""
        [[is_so]] = self.look(sql)
        return bool(is_so)

    def lock(self) -> bool:
        """Have another process (`alir token`) hold the database; False: somebody else does."""
        locker = self.platter.connect()
        try:
            locker.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            locker.close()
            return False
        self._locker = locker
        return True

    def unlock(self) -> None:
        """It is done."""
        if self._locker is not None:
            self._locker.close()
            self._locker = None

    def be_calm(self) -> None:
        """Nothing goes wrong from here on."""
        self.temper = DiskTemper()
        self.stalled_until = self.breaks_for = self._broken_until = 0.0
        self.unlock()

    async def turn(self, link: SimulatedLink) -> None:
        """Return once no other process writes, or after a while, as SQLite does (`busy_timeout`).

        Whoever is told first that it is free need not be who writes next: it may stand still.
        """
        give_up_at = self._loop.time() + _BUSY_SECONDS
        while self._writing not in {None, link} and self._loop.time() < give_up_at:
            free: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(free)
            timer = self._loop.call_at(give_up_at, _set, free)
            await free
            timer.cancel()

    def writes(self, link: SimulatedLink, *, now: bool) -> None:
        """Whether a process has a transaction open from here on."""
        if now:
            self._writing = link
        elif self._writing is link:
            self._writing = None
            waiting, self._waiting = self._waiting, []
            for free in waiting:
                _set(free)

    @property
    def is_broken(self) -> bool:
        return self._loop.time() < self._broken_until

    def break_if_due(self) -> None:
        """A commit is at the disk: this is the moment to break in."""
        if self.breaks_for:
            self._broken_until = self._loop.time() + self.breaks_for
            self.breaks_for = 0.0

    def commit_takes(self) -> float:
        """Seconds until the next commit is on disk."""
        seconds = self.chance.uniform(0.0, self.temper.slow)
        return max(seconds, self.stalled_until - self._loop.time())


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class SimulatedLink:
    """The connection that a process writes on; see `Link`. Its commits do what a seed says.

    A commit that was asked for is the disk's to end, also where its process stands still or dies.
    """

    begin = SQLiteLink.begin
    shows_early = SQLiteLink.shows_early

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk = disk
        self._name = name
        self._connection: sqlite3.Connection | None = None
        self._committing: asyncio.Future[None] | None = None
        self._world = Context()

    async def run(self, work: Work[T]) -> T:
        """See `Link.run`."""
        if self._disk.is_broken:
            await asyncio.sleep(self._disk.chance.uniform(0.0, _ERROR_SECONDS))
            raise sqlite3.OperationalError("disk I/O error")
        await self._disk.turn(self)
        connection = self._open()
        try:
            return work(connection)
        finally:
            self._disk.writes(self, now=connection.in_transaction)

    async def commit(self) -> None:
        """See `Link.commit`."""
        self._open()
        loop = asyncio.get_running_loop()
        self._committing = done = loop.create_future()
        loop.call_later(self._disk.commit_takes(), self._end_commit, done, context=self._world)
        await done

    async def disconnect(self) -> None:
        """See `Link.disconnect`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._disk.writes(self, now=False)

    async def end(self) -> None:
        """See `Link.end`."""
        await self.disconnect()

    def is_trouble(self, error: Exception) -> bool:
        """See `Link.is_trouble`."""
        return is_trouble(error)

    def is_lost(self, _error: Exception, /) -> bool:
        """See `Link.is_lost`."""
        return False

    def is_passing(self, _error: Exception, /) -> bool:
        """See `Link.is_passing`."""
        return False

    def is_collision(self, _error: Exception, /) -> bool:
        """See `Link`: a file has one writer at a time."""
        return False

    def die(self) -> None:
        """The process is gone: a commit under way is stored or is not, and all else is not."""
        if self._connection is None:
            return
        if self._committing is not None and self._disk.chance.random() < _HALF:
            self._connection.execute("COMMIT")
            self._disk.trace.add("disk", "stored", of=self._name, after="its end")
        self._connection.close()
        self._connection = self._committing = None
        self._disk.writes(self, now=False)

    def _end_commit(self, done: asyncio.Future[None]) -> None:
        disk, connection = self._disk, self._connection
        if connection is None or done is not self._committing:
            return  # its process died first
        self._committing = None
        disk.break_if_due()
        is_broken, fate = disk.is_broken, disk.chance.random()
        is_lost = (is_broken and disk.chance.random() < _HALF) or fate < disk.temper.lost
        connection.execute("ROLLBACK" if is_lost else "COMMIT")
        disk.writes(self, now=False)
        has_failed = is_lost or is_broken or fate < disk.temper.lost + disk.temper.doubtful
        if has_failed:
            disk.trace.add("disk", "failed", of=self._name, stored=not is_lost)
        if done.done():
            return  # nobody waits for it any more
        if has_failed:
            done.set_exception(sqlite3.OperationalError("disk I/O error"))
        else:
            done.set_result(None)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._disk.platter.connect(self._name)
        return self._connection


class SimulatedDatabase:
    """One process's database; see `Database`: the real grouped writer over a disk of a seed's."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk = disk
        self._link = SimulatedLink(disk, name)
        self._writer = GroupWriter(self._link, name=name)

    async def own(self) -> None:
        """See `Database.own`: all of a world share it."""

    def write(self, work: Work[T], *, weight: int = 1, about: Sequence[str] = ()) -> Awaitable[T]:
        """See `Database.write`."""
        return self._writer.write(work, weight=weight, about=about)

    def write_among(self, bulk: Bulk[I, T], item: I, *, about: Sequence[str] = ()) -> Awaitable[T]:
        """See `Database.write_among`."""
        return self._writer.write_among(bulk, item, about=about)

    def require_room(self) -> None:
        """See `Database.require_room`."""
        self._writer.require_room()

    async def try_out(self) -> None:
        """See `Database.try_out`."""
        await self._writer.try_out()

    async def read(
        self,
        work: Work[T],
        *,
        at_once: bool = False,  # noqa: ARG002 - here no read waits for another
        is_long: bool = False,  # noqa: ARG002 - here none takes long
    ) -> T:
        """See `Database.read`."""
        disk = self._disk
        if disk.chance.random() < _SLOW_READS:  # else nothing else happens meanwhile
            await asyncio.sleep(disk.chance.uniform(0.0, _READ_SECONDS))
        if disk.is_broken:
            raise StoreUnavailable("the database cannot be read: disk I/O error")
        return work(disk.platter.reader)

    async def close(self, patience: float = PATIENCE_SECONDS) -> None:
        """See `Database.close`."""
        await self._writer.close(patience)
        self.die()

    def die(self) -> None:
        """The process is gone, and with it its connections."""
        self._link.die()
