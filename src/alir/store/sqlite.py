"""SQLite as alir uses it: how it is opened, locked, written and read, and what its errors mean."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Self, TypeVar
from uuid import uuid4

from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError

from alir.errors import DatabaseInUse, SettingsInvalid, StoreUnavailable
from alir.store import tables
from alir.store.counts import recount
from alir.store.group import Bulk, Work
from alir.store.migrations import HEAD
from alir.store.sql import run
from alir.store.writer import PATIENCE_SECONDS, GroupWriter, Observe

I = TypeVar("I")  # noqa: E741 - an item
T = TypeVar("T")

SQLITE_PREFIX = "sqlite:///"
#: How long SQLite waits for another process's write (`alir token` beside a gateway).
BUSY_TIMEOUT_MS = 5_000
#: Pages in the write-ahead log before a checkpoint. Halves the p99 of commits against SQLAlchemy's
#: and SQLite's larger settings (reference measurements of this project's design, section 8).
WAL_AUTOCHECKPOINT_PAGES = 1_000
#: What a connection keeps of the file in memory. With SQLite's own 2 MiB, every second message of
#: a store of some 10,000 made it read a page again.
CACHE_KIB = 8 * 1024
READERS = 2


class SQLiteDatabase:
    """One open file; see `Database`. Writes are grouped (`GroupWriter`), reads run beside them."""

    def __init__(self, path: Path, *, lock: int | None, observe: Observe | None) -> None:
        self.path = path
        self._lock = lock
        link = SQLiteLink(lambda: connect(path, busy_timeout_ms=0))
        self._writer = GroupWriter(link, name=f"writer-{uuid4().hex}", observe=observe)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="alir-read")
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    @classmethod
    def open(cls, url: str, *, exclusive: bool = True, observe: Observe | None = None) -> Self:
        """Open `sqlite:///path`, bring its tables up to date, and own it where `exclusive`.

        Raises:
            SettingsInvalid: the URL is of no kind that alir can open.
            DatabaseInUse: another gateway owns the file, and this is to own it or to change its
                tables.
            StoreUnavailable: the file cannot be opened or written.
        """
        path = path_of(url)
        require_folder(path)
        lock = None
        try:
            with ExitStack() as on_failure:
                if exclusive:
                    lock = take_lock(path)
                    on_failure.callback(os.close, lock)
                bring_up_to_date(path, owned=exclusive)
                if exclusive:
                    _take_over(path)
                on_failure.pop_all()
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            raise StoreUnavailable(f"cannot open the database {path}: {error}") from error
        return cls(path, lock=lock, observe=observe)

    async def own(self) -> None:
        """See `Database.own`: the lock has been taken."""

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
        at_once: bool = False,  # noqa: ARG002 - no peers
        is_long: bool = False,  # noqa: ARG002 - none waits so long that it would be told
    ) -> T:
        """See `Database.read`."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, self._on_reader, work)
        except sqlite3.DatabaseError as error:
            if not is_trouble(error):
                raise
            raise StoreUnavailable(f"the database cannot be read: {error}") from error

    def _on_reader(self, work: Work[T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self.path)
            connection.execute("PRAGMA query_only = 1")
            self._local.connection = connection
            self._opened.append(connection)
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            connection.rollback()

    async def close(self, patience: float = PATIENCE_SECONDS) -> None:
        """See `Database.close`."""
        await self._writer.close(patience)
        for connection in self._opened:
            connection.interrupt()
        self._readers.shutdown(wait=True, cancel_futures=True)
        for connection in self._opened:
            # The last one to close empties the write-ahead log, which one that only reads cannot.
            connection.execute("PRAGMA query_only = 0")
            connection.close()
        if self._lock is not None:
            os.close(self._lock)


class SQLiteLink:
    """The connection that a file is written on; see `Link`.

    Only the commit runs in another thread. Were the statements run there too, the threads would
    hand the interpreter's lock to and fro at each of them, which was measured to double the cost of
    a message.

    Args:
        connect: opens a connection that does not wait for a lock that another process holds.
    """

    begin = "BEGIN IMMEDIATE"
    shows_early = False

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._commits: SimpleQueue[_Commit | None] = SimpleQueue()
        self._committer: threading.Thread | None = None

    async def run(self, work: Work[T]) -> T:
        """See `Link.run`."""
        return work(self._open())

    async def commit(self) -> None:
        """See `Link.commit`."""
        if self._committer is None:
            self._committer = threading.Thread(
                target=_commit_for_ever, args=(self._commits,), name="alir-commit", daemon=True
            )
            self._committer.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._commits.put(_Commit(self._open(), done, loop))
        await done

    async def disconnect(self) -> None:
        """See `Link.disconnect`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def end(self) -> None:
        """See `Link.end`."""
        if self._committer is not None:
            self._commits.put(None)
            self._committer.join()
        await self.disconnect()

    def is_trouble(self, error: Exception) -> bool:
        """See `Link.is_trouble`."""
        return is_trouble(error)

    def is_lost(self, _error: Exception) -> bool:
        """See `Link.is_lost`: a file does not go away."""
        return False

    def is_passing(self, _error: Exception) -> bool:
        """See `Link.is_passing`: a file has one writer at a time."""
        return False

    def is_collision(self, _error: Exception) -> bool:
        """See `Link.is_collision`: as above, so that it has been there all along."""
        return False

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection


@dataclass(slots=True, frozen=True)
class _Commit:
    connection: sqlite3.Connection
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


def _commit_for_ever(commits: SimpleQueue[_Commit | None]) -> None:
    """The committing thread: nothing but this waits for the disk."""
    while (commit := commits.get()) is not None:
        error: BaseException | None = None
        try:
            commit.connection.execute("COMMIT")
        except BaseException as raised:
            # This thread must outlive everything: without it no write would ever end.
            error = raised
        try:
            commit.loop.call_soon_threadsafe(_end, commit.done, error)
        except RuntimeError:
            # The loop is closed: its process is on its way out, and nobody waits any more.
            return


def _end(done: asyncio.Future[None], error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def is_trouble(error: Exception) -> bool:
    """Whether it is the database's (locked, full, damaged, no database), not a fault of alir's."""
    # A damaged file is told as DatabaseError itself.
    is_ours = isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError)
    return isinstance(error, sqlite3.DatabaseError) and not is_ours


def path_of(url: str) -> Path:
    """The file that `sqlite:///path` names.

    Raises:
        SettingsInvalid: it is no such URL.
    """
    if not url.startswith(SQLITE_PREFIX) or url == SQLITE_PREFIX:
        raise SettingsInvalid(
            [f"database: expected sqlite:///PATH, such as sqlite:///alir.db, not {url!r}"]
        )
    return Path(url.removeprefix(SQLITE_PREFIX))


def require_folder(path: Path) -> None:
    """See that there is a folder for this file.

    Raises:
        StoreUnavailable: there is none.
    """
    if not path.parent.is_dir():
        raise StoreUnavailable(
            f"cannot open the database {path}: there is no folder {path.parent}. "
            "Make it first, or name another database."
        )


def connect(path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> sqlite3.Connection:
    """A connection on which a commit that returned is on disk.

    A file that is not there yet is made, for its owner alone: it is to hold people's numbers.
    """
    with suppress(OSError):  # it is there, or SQLite says why it cannot be
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_AUTOCHECKPOINT_PAGES}")
        # What is removed of a person is written over. Debian's SQLite does so anyway.
        connection.execute("PRAGMA secure_delete = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def lock_beside(path: Path) -> Path:
    """The file whose lock says that a gateway runs on this database."""
    real = path.resolve()  # whatever links lead to it, it is one database
    return real.with_name(f"{real.name}.lock")


def take_lock(path: Path) -> int:
    """Own the database: the file descriptor of the lock beside it, held while it is open.

    The lock is the sender lease of SQLite: its holder owns every sender at once.

    Raises:
        DatabaseInUse: another gateway holds it.
    """
    lock = _try_lock(path)
    if isinstance(lock, str):
        raise DatabaseInUse(
            f"another gateway (process {lock}) runs on {path}. "
            "Stop it first, or give this one its own --database."
        )
    return lock


def _try_lock(path: Path) -> int | str:
    """The lock; the process that holds it, where another one does."""
    descriptor = os.open(lock_beside(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        return holder
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def bring_up_to_date(path: Path, *, owned: bool) -> str | None:
    """Make the tables those of this alir; the version that they were of, none: there were none.

    Args:
        owned: whether the caller holds the lock.

    Raises:
        DatabaseInUse: they have to change, and a gateway runs on them.
        StoreUnavailable: they are of a newer alir.
    """
    connection = connect(path)
    try:
        version = version_of(connection)
    finally:
        connection.close()
    if version is not None and version > HEAD:
        raise StoreUnavailable(
            f"the database {path} was used by a newer alir: its tables are of version "
            f"{version}, and this one knows {HEAD}"
        )
    if version == HEAD:
        return version
    from alir.store.migrations.run import upgrade_sqlite  # alembic is slow to import

    with ExitStack() as meanwhile:
        if version is not None and not owned:
            lock = _try_lock(path)
            if isinstance(lock, str):
                raise DatabaseInUse(
                    f"a gateway (process {lock}) runs on {path}, whose tables are of version "
                    f"{version} and have to be of {HEAD} for this alir. Stop it first."
                )
            meanwhile.callback(os.close, lock)
        upgrade_sqlite(path)
    return version


def version_of(connection: sqlite3.Connection) -> str | None:
    """The version that the tables are of; none: there are none of alir's."""
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None  # a new file, without the table
    return None if row is None else str(row[0])


def _take_over(path: Path) -> None:
    """Forget the last groups of writers before this one, and count anew what they counted."""
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        # One row each; they ask no more. As every group has left one, this commit also puts on disk
        # what a killed gateway had written to the log and not waited for.
        run(connection, delete(tables.commit_group))
        recount(connection)
        connection.execute("COMMIT")
    finally:
        connection.close()
