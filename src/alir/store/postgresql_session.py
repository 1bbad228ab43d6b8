"""One session of PostgreSQL's: how it is connected and told to work, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Self

import asyncpg

from alir.errors import DatabaseInUse, StoreUnavailable
from alir.store.bridge import wait_for
from alir.store.unreachable import unreachable

#: How long a statement may take before its connection counts as lost. Migrations have no such end.
STATEMENT_SECONDS: Final = 5.0
#: How much later the server itself ends one. A session that waits for a lock does not look whether
#: anybody is still there, and each that is lost is followed by another: without an end they would
#: use up those of the whole server while a table is locked for minutes.
GRACE_SECONDS: Final = 1.0
#: How many statements a session keeps prepared; those of the hot path are some forty.
MOST_PREPARED: Final = 256
#: How soon the server notices that a gateway is gone without a word, and lets go of its lock.
_KEEPALIVE: Final = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
#: What a process that stands still leaves locked comes free by then.
_IN_TIME: Final = {"idle_in_transaction_session_timeout": f"{STATEMENT_SECONDS:.0f}s"}
#: A session keeps the plan that it made of a statement, and most are made while the tables are new:
#: then reading a table whole looks cheapest, and is still done once it is full. All that is asked
#: of tables that grow has its index, so the server is to look there first.
#: What is discouraged so would set off compiling (`jit`). Set once connected, as poolers take few
#: settings with the connection.
_BY_INDEX: Final = "".join(
    f"SET {name} = off;"
    for name in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
)
#: Classes of SQLSTATE that tell of the server's trouble: connection, rollback (a deadlock), lack of
#: resources, not in the prerequisite state, operator intervention, system, internal error.
#: Source: PostgreSQL 18, appendix A.
_TROUBLE: Final = ("08", "40", "53", "55", "57", "58", "XX")
#: Of these, what ends the session: no connection, and shutdowns and dropped databases.
_LOST: Final = ("08", "57P")
_READ_ONLY: Final = "25006"  # a standby, as after a failover

#: What the driver raises where a session cannot be had, or not be used.
FAILURES: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class PostgresConnection:
    """A connection as stores use it; see `Connection`. Its methods run in a greenlet."""

    def __init__(self, raw: asyncpg.Connection[Any]) -> None:
        self.raw = raw
        self.total_changes = 0
        self._prepared: dict[str, _Prepared] = {}

    @property
    def in_transaction(self) -> bool:
        return bool(self.raw.is_in_transaction())

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> PostgresCursor:
        return wait_for(self._execute(sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> PostgresCursor:
        return wait_for(self._execute_many(sql, parameters))

    def terminate(self) -> None:
        """Close it at once, whatever runs on it."""
        self.raw.terminate()

    async def close(self) -> None:
        """Close it; where the server does not answer, without a word."""
        try:
            await self.raw.close(timeout=1)
        except FAILURES:
            self.raw.terminate()

    async def _execute(self, sql: str, parameters: Sequence[Any]) -> PostgresCursor:
        statement, only_reads, is_counted = await self._prepare(sql)
        rows = await statement.fetch(*map(_storable, parameters))
        cursor = PostgresCursor(rows, statement.get_statusmsg())
        if not only_reads:
            self.total_changes += cursor.rowcount if is_counted else 1
        return cursor

    async def _execute_many(self, sql: str, parameters: Iterable[Sequence[Any]]) -> PostgresCursor:
        statement, *_ = await self._prepare(sql)
        rows = await statement.fetchmany(parameters)
        self.total_changes += len(rows) or 1  # of no RETURNING, none come back
        return PostgresCursor(rows, f"RETURNED {len(rows)}")

    async def _prepare(self, sql: str) -> _Prepared:
        prepared = self._prepared.get(sql)
        if prepared is None:
            if len(self._prepared) >= MOST_PREPARED:
                self._prepared.clear()
            prepared = self._prepared[sql] = _Prepared.of(sql, await self.raw.prepare(sql))
        return prepared


class _Prepared(NamedTuple):
    """A statement that a session keeps.

    Attributes:
        only_reads: all that it does is to read, or to lock rows.
        is_counted: the server says how many rows it changed, all of them.
    """

    statement: asyncpg.prepared_stmt.PreparedStatement[Any]
    only_reads: bool
    is_counted: bool

    @classmethod
    def of(cls, sql: str, statement: asyncpg.prepared_stmt.PreparedStatement[Any]) -> Self:
        # What gives nothing (`void`), such as pg_notify, is called for what it does.
        does_something = any(one.type.name == "void" for one in statement.get_attributes())
        only_reads = sql.startswith("SELECT") and not does_something
        return cls(statement, only_reads, sql.startswith(("INSERT", "UPDATE", "DELETE")))


class PostgresCursor:
    """What a statement came to; see `Cursor`."""

    def __init__(self, rows: list[Any], status: str) -> None:
        self._rows = rows
        self._status = status
        self._next = 0

    @property
    def rowcount(self) -> int:
        """As the server counts: of `UPDATE 3`, 3."""
        count = self._status.rpartition(" ")[2]
        return int(count) if count.isdigit() else -1

    def fetchone(self) -> Any:
        if self._next == len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    def fetchall(self) -> list[Any]:
        rows, self._next = self._rows[self._next :], len(self._rows)
        return rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def close(self) -> None:
        """There is nothing to close."""


def _storable(value: Any) -> Any:
    """As PostgreSQL takes it: a text cannot hold a NUL. What is asked for with one is not there."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


async def connect(url: str) -> PostgresConnection:
    """A new session.

    Raises:
        StoreUnavailable: there is none to be had, whatever the server says: a password that was
            changed, or a database that is just being restored, may be right again in a moment.
    """
    try:
        raw = await asyncpg.connect(
            url,
            timeout=STATEMENT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings={"application_name": "alir", **_KEEPALIVE, **_IN_TIME},
        )
        await raw.execute(_BY_INDEX + _with_an_end())
    except FAILURES as error:
        raise StoreUnavailable(f"PostgreSQL cannot be reached: {unreachable(error)}") from error
    return PostgresConnection(raw)


def _with_an_end() -> str:
    """Has the server end what nobody waits for any more.

    A commit is no statement to it, but may wait for a lock, where it notifies others. One that
    waits for a standby has no end: broken off, it would count as stored.
    """
    milliseconds = round((STATEMENT_SECONDS + GRACE_SECONDS) * 1_000)
    return f"SET statement_timeout = {milliseconds}; SET lock_timeout = {milliseconds}"


def is_trouble(error: Exception) -> bool:
    """Whether it is the database's (not there, full, a deadlock), not a fault of alir's."""
    state = state_of(error)
    return (
        is_lost(error)
        or state.startswith(_TROUBLE)
        or state == _READ_ONLY
        or isinstance(error, TimeoutError | DatabaseInUse)
    )


def is_lost(error: Exception) -> bool:
    """Whether it says that the session is gone, or in no state to go on."""
    if isinstance(error, TimeoutError):  # a kind of OSError; the session gets on
        return False
    kinds = OSError | asyncpg.InterfaceError | asyncpg.InternalClientError
    return isinstance(error, kinds) or state_of(error).startswith(_LOST)


def state_of(error: Exception) -> str:
    """Its SQLSTATE, if it has one."""
    return (error.sqlstate or "") if isinstance(error, asyncpg.PostgresError) else ""
