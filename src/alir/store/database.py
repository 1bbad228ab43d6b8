"""SQLite as alir uses it: how it is opened, locked, written and read.

Everything that depends on the database stands here: the dialect that statements are compiled for,
the pragmas, the lock, and what its errors mean.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

from sqlalchemy import ClauseElement, Column, ColumnElement, Table, bindparam, delete, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError

from alir.errors import DatabaseInUse, SettingsInvalid, StoreUnavailable
from alir.store import tables
from alir.store.migrations import HEAD
from alir.store.writer import PATIENCE_SECONDS, Bulk, GroupWriter, Observe, Work, is_trouble

I = TypeVar("I")  # noqa: E741 - an item
T = TypeVar("T")

#: A connection of the driver, on which statements run.
Connection = sqlite3.Connection

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

_DIALECT = sqlite.dialect(paramstyle="qmark")


class Statement:
    """One statement of the hot path, compiled once from the tables and run on the driver."""

    __slots__ = ("_pick", "sql")

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        names: tuple[str, ...] = tuple(getattr(compiled, "positiontup", None) or ())
        constants = {name: compiled.params[name] for name in names}
        self._pick = _picker(names, {k: v for k, v in constants.items() if v is not None})

    def run(self, connection: Connection, values: Mapping[str, Any]) -> sqlite3.Cursor:
        """Run it with these values, by name."""
        return connection.execute(self.sql, self._pick(values))

    def run_many(self, connection: Connection, values: Iterable[Mapping[str, Any]]) -> int:
        """Run it once for each of them; how many rows it changed in all."""
        return connection.executemany(self.sql, map(self._pick, values)).rowcount


class RowStatement:
    """Writes rows that leave out what is null in them. One `Statement` for each set of columns.

    Most columns of a message are null in most rows, and to bind a null costs Python's driver three
    times as much as a text: it looks for an adapter of each. So nulls stand in the statement.

    Args:
        of: the statement for rows that have values under these names; all else it makes null.
    """

    def __init__(self, of: Callable[[Sequence[str]], ClauseElement]) -> None:
        self._of = of
        self._statements: dict[tuple[str, ...], Statement] = {}

    def run(self, connection: Connection, row: Mapping[str, Any]) -> sqlite3.Cursor:
        """Write one row."""
        return self._for(tuple(row)).run(connection, row)

    def run_many(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> int:
        """Write rows in their order; how many that changed."""
        return sum(
            self._for(names).run_many(connection, some) for names, some in groupby(rows, tuple)
        )

    def run_for_all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Write every row; False, and nothing changed, where one of them changes none."""
        connection.execute("SAVEPOINT all_of_them")
        is_whole = self.run_many(connection, rows) == len(rows)
        if not is_whole:
            connection.execute("ROLLBACK TO all_of_them")
        connection.execute("RELEASE all_of_them")
        return is_whole

    def _for(self, names: tuple[str, ...]) -> Statement:
        statement = self._statements.get(names)
        if statement is None:
            statement = self._statements[names] = Statement(self._of(names))
        return statement


def _picker(
    names: tuple[str, ...], constants: Mapping[str, Any]
) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """Picks the values of a statement in the order in which the driver wants them."""
    if len(names) < 2 or constants:  # noqa: PLR2004 - itemgetter answers with a tuple from two on
        return lambda values: [constants[n] if n in constants else values[n] for n in names]
    return itemgetter(*names)


def insert_or_ignore(table: Table) -> ClauseElement:
    """Insert a row, its values by the names of the columns; nothing where its like is there."""
    return sqlite.insert(table).values(by_name(table)).on_conflict_do_nothing()


def upsert(
    table: Table, *, replaced: Sequence[str] = (), raised: Sequence[str] = ()
) -> ClauseElement:
    """Insert a row, its values by the names of the columns, or change the one with its key.

    Args:
        replaced: columns that take the new value then.
        raised: columns that keep the greater of both.
    """
    statement = sqlite.insert(table).values(by_name(table))
    old, new = table.c, statement.excluded
    changes: dict[str, Any] = {name: new[name] for name in replaced}
    changes |= {name: func.max(old[name], new[name]) for name in raised}
    return statement.on_conflict_do_update(index_elements=[*table.primary_key], set_=changes)


def is_among(column: Column[Any], name: str) -> ColumnElement[bool]:
    """Whether `column` is one of a list of any length: the value `name` is its JSON text."""
    each = func.json_each(bindparam(name)).table_valued("value")
    return column.in_(select(each.c.value))


def by_name(table: Table) -> dict[str, Any]:
    """A value for each column but the one that the database counts up."""
    return {c.name: bindparam(c.name) for c in table.c if c.autoincrement is not True}


def run(connection: Connection, statement: ClauseElement) -> sqlite3.Cursor:
    """Compile and run an ordinary statement, whose values it holds itself."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    names = getattr(compiled, "positiontup", None) or ()
    return connection.execute(str(compiled), [compiled.params[name] for name in names])


class Database:
    """One open database. Writes are grouped (see `GroupWriter`); reads run beside them."""

    def __init__(self, path: Path, *, lock: int | None, observe: Observe | None) -> None:
        self.path = path
        self._lock = lock
        self._writer = GroupWriter(
            lambda: connect(path, busy_timeout_ms=0), name=f"writer-{uuid4().hex}", observe=observe
        )
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="alir-read")
        self._local = threading.local()
        self._opened: list[Connection] = []

    @classmethod
    def open(cls, url: str, *, exclusive: bool = True, observe: Observe | None = None) -> Self:
        """Open `sqlite:///path`, bring its tables up to date, and own it where `exclusive`.

        Raises:
            SettingsInvalid: the URL is of no kind that alir can open.
            DatabaseInUse: another gateway owns the file.
            StoreUnavailable: the file cannot be opened or written.
        """
        path = path_of(url)
        lock = None
        try:
            with ExitStack() as on_failure:
                if exclusive:
                    lock = take_lock(path)
                    on_failure.callback(os.close, lock)
                _bring_up_to_date(path)
                if exclusive:
                    _forget_other_writers(path)
                on_failure.pop_all()
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            raise StoreUnavailable(f"cannot open the database {path}: {error}") from error
        return cls(path, lock=lock, observe=observe)

    def write(self, work: Work[T]) -> Awaitable[T]:
        """Run `work` on the writing connection, in the next group's transaction.

        Returns once the group is on disk. `work` may be run more than once; only one run is kept.

        Raises:
            StoreUnavailable: nothing was stored, or (`in_doubt`) nobody can say.
        """
        return self._writer.write(work)

    def write_among(self, bulk: Bulk[I, T], item: I) -> Awaitable[T]:
        """Have `bulk` write `item`, together with whatever else it has to in the next group.

        Raises:
            As `write`.
        """
        return self._writer.write_among(bulk, item)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a reading connection, which sees everything committed so far.

        All that it reads is as of one moment, whatever is written meanwhile.

        Raises:
            StoreUnavailable: it cannot be read now.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, self._on_reader, work)
        except sqlite3.DatabaseError as error:
            if not is_trouble(error):
                raise
            raise StoreUnavailable(f"the database cannot be read: {error}") from error

    def _on_reader(self, work: Callable[[Connection], T]) -> T:
        connection: Connection | None = getattr(self._local, "connection", None)
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
        """Finish what was handed in, close every connection, and release the lock.

        What is not written after `patience` seconds (another process holds the database, the disk
        does not answer) fails; what is still being read is broken off.
        """
        await self._writer.close(patience)
        for connection in self._opened:
            connection.interrupt()
        self._readers.shutdown(wait=True, cancel_futures=True)
        for connection in self._opened:
            connection.close()
        if self._lock is not None:
            os.close(self._lock)


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


def connect(path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Connection:
    """A connection on which a commit that returned is on disk."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_AUTOCHECKPOINT_PAGES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def take_lock(path: Path) -> int:
    """Own the database: the file descriptor of the lock beside it, held while it is open.

    The lock is the sender lease of SQLite: its holder owns every sender at once.

    Raises:
        DatabaseInUse: another gateway holds it.
    """
    real = path.resolve()  # whatever links lead to it, it is one database
    beside = real.with_name(f"{real.name}.lock")
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise DatabaseInUse(
            f"another gateway (process {holder}) runs on {path}. "
            "Stop it first, or give this one its own --database."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _bring_up_to_date(path: Path) -> None:
    connection = connect(path)
    try:
        version = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        version = None  # a new file, without the table
    finally:
        connection.close()
    if version is not None and version[0] > HEAD:
        raise StoreUnavailable(
            f"the database {path} was used by a newer alir: its tables are of version "
            f"{version[0]}, and this one knows {HEAD}"
        )
    if version is None or version[0] != HEAD:
        from alir.store.migrations.run import upgrade  # alembic is slow to import

        upgrade(path)


def _forget_other_writers(path: Path) -> None:
    """Forget the last groups of writers before this one, one row each; they ask no more."""
    connection = connect(path)
    try:
        run(connection, delete(tables.commit_group))
    finally:
        connection.close()
