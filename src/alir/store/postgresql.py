"""PostgreSQL as alir uses it: how it is opened, locked, written and read.

Any number of gateways may use one database: each sender is one's by its lease. The sessions that
write share a lock, so that nobody changes the tables meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

import asyncpg
from sqlalchemy import delete

from alir.errors import AlirError, DatabaseInUse, SettingsInvalid, StoreUnavailable
from alir.observe import get_logger
from alir.store import tables
from alir.store.bridge import in_greenlet
from alir.store.counts import recount
from alir.store.group import Bulk, Work
from alir.store.locking import lock
from alir.store.migrations.run import GATEWAY_LOCK, require_known, upgrade_postgresql
from alir.store.postgresql_session import (
    FAILURES,
    STATEMENT_SECONDS,
    PostgresConnection,
    connect,
    is_lost,
    is_trouble,
    state_of,
)
from alir.store.sql import Statement, insert_or_ignore, run
from alir.store.unreachable import unreachable
from alir.store.writer import PATIENCE_SECONDS, GroupWriter, Observe

I = TypeVar("I")  # noqa: E741 - an item
T = TypeVar("T")

#: How many reads run at once, each on a connection of its own; the one that waits for none comes
#: on top.
READERS: Final = 4
#: How many of these may take seconds: what alir itself reads in order to send finds one free.
LONG_READERS: Final = READERS - 1
#: How long a read waits until fewer do: as long as one of them may take.
READERS_WAIT_SECONDS: Final = STATEMENT_SECONDS
#: How long a starting gateway waits for one that was killed a moment ago to be gone for the server.
OWN_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 0.1
#: Classes of SQLSTATE of a deadlock and of what cannot be put in order: the same may be done again.
_ROLLED_BACK: Final = "40"

_log = get_logger("store")

#: Less than the number of any group, and than that of a writer that has stored none yet.
_FORGOTTEN: Final = -1
_PRESENT = Statement(insert_or_ignore(tables.commit_group))


class PostgresDatabase:
    """One open database; see `Database`. Writes are grouped (`GroupWriter`), reads run beside."""

    def __init__(self, url: str, *, exclusive: bool, observe: Observe | None) -> None:
        name = f"writer-{uuid4().hex}"
        self._url = url
        self._name = name
        self._exclusive = exclusive
        self._link = PostgresLink(url, name, exclusive=exclusive)
        self._writer = GroupWriter(self._link, name=name, observe=observe, lock=lock)
        self._free = asyncio.Semaphore(READERS)
        self._free_for_long = asyncio.Semaphore(LONG_READERS)
        self._idle: list[PostgresConnection] = []
        self._reading: set[PostgresConnection] = set()
        self._closed = False

    @classmethod
    def open(cls, url: str, *, exclusive: bool = True, observe: Observe | None = None) -> Self:
        """Bring the tables of the database up to date. It is connected to once it is used.

        Raises:
            SettingsInvalid: the URL cannot be read.
            StoreUnavailable: the database cannot be reached or changed.
        """
        try:
            upgrade_postgresql(url)
        except (ValueError, asyncpg.ClientConfigurationError) as error:
            raise SettingsInvalid(
                [f"database: expected postgresql://USER:PASSWORD@HOST/NAME; {error}"]
            ) from error
        except FAILURES as error:
            raise StoreUnavailable(
                f"cannot open the PostgreSQL database: {unreachable(error)}"
            ) from error
        return cls(url, exclusive=exclusive, observe=observe)

    async def own(self) -> None:
        """See `Database.own`. Several gateways may: each sender is one's by its lease.

        What keeps others off is that tables are being changed, or counted by one that is alone.
        """
        if not self._exclusive:
            return
        give_up_at = time.monotonic() + OWN_SECONDS
        while True:
            try:
                await self._link.join()
            except DatabaseInUse:
                if time.monotonic() >= give_up_at:
                    raise
            except FAILURES as error:
                raise StoreUnavailable(
                    f"cannot open the PostgreSQL database: {unreachable(error)}"
                ) from error
            else:
                return
            await asyncio.sleep(_LOOK_SECONDS)

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

    async def read(self, work: Work[T], *, at_once: bool = False, is_long: bool = False) -> T:
        """See `Database.read`."""
        try:
            async with AsyncExitStack() as turn:
                if is_long:
                    await turn.enter_async_context(_turn(self._free_for_long))
                if not at_once:
                    await turn.enter_async_context(_turn(self._free))
                return await self._read(work)
        except Exception as error:  # asyncpg's errors have no class in common
            if not is_trouble(error):
                raise
            raise StoreUnavailable(f"the database cannot be read: {error}") from error

    async def close(self, patience: float = PATIENCE_SECONDS) -> None:
        """See `Database.close`."""
        await self._writer.close(patience)
        self._closed = True
        for connection in self._reading:
            connection.terminate()
        for connection in self._idle:
            await connection.close()

    async def _read(self, work: Work[T]) -> T:
        while self._idle:
            connection = self._idle.pop()
            try:
                return await self._read_on(connection, work)
            except Exception as error:
                # One that lay idle may be long dead, the server having been started anew.
                if not is_lost(error) or self._closed:
                    raise
        result: T = await self._read_on(await connect(self._url), work)
        return result

    async def _read_on(self, connection: PostgresConnection, work: Work[T]) -> T:
        self._reading.add(connection)
        is_fit = False
        try:
            result: T = await in_greenlet(_at_one_moment, connection, work)
            is_fit = not self._closed
        except AlirError:  # an answer, such as that there is no such message
            is_fit = not self._closed
            raise
        finally:
            self._reading.discard(connection)
            if is_fit:
                self._idle.append(connection)
            else:
                connection.terminate()
        return result


@asynccontextmanager
async def _turn(free: asyncio.Semaphore) -> AsyncIterator[None]:
    """Be one of those that read.

    Raises:
        StoreUnavailable: so many do that none came to its end in time.
    """
    try:
        async with asyncio.timeout(READERS_WAIT_SECONDS):
            await free.acquire()
    except TimeoutError:
        waited = f"{READERS_WAIT_SECONDS:g} s"
        raise StoreUnavailable(f"the database is slow: reads wait for {waited}") from None
    try:
        yield
    finally:
        free.release()


def _at_one_moment(connection: PostgresConnection, work: Work[T]) -> T:
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        result = work(connection)
    except AlirError:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return result


class PostgresLink:
    """The session that a database is written in; see `Link`.

    Args:
        exclusive: whether it holds the gateway's lock.
    """

    begin = "BEGIN"

    def __init__(self, url: str, name: str, *, exclusive: bool) -> None:
        self._url = url
        self._name = name
        self._exclusive = exclusive
        self._connection: PostgresConnection | None = None
        self._was_connected = False
        #: See `Link`; as of when it was last connected.
        self.shows_early = False

    async def join(self) -> None:
        """Be one of the gateways that use the database; the first of them counts what is queued.

        Raises:
            DatabaseInUse: its tables are being changed, or counted.
        """
        connection = await self._connect()
        try:
            await in_greenlet(self._join, connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection

    def _join(self, connection: PostgresConnection) -> None:
        connection.execute("BEGIN")
        if _asked(connection, f"SELECT pg_try_advisory_xact_lock({GATEWAY_LOCK})"):
            # No other gateway runs. Writers before this one ask no more what they stored.
            others = tables.commit_group.c.writer != self._name
            run(connection, delete(tables.commit_group).where(others))
            recount(connection)
        self._take_lock(connection)
        connection.execute("COMMIT")

    async def run(self, work: Work[T]) -> T:
        """See `Link.run`."""
        result: T = await in_greenlet(work, await self._open())
        return result

    async def commit(self) -> None:
        """See `Link.commit`."""
        connection = await self._open()
        ended = await connection.raw.execute("COMMIT")
        if ended != "COMMIT":  # so it answers where the transaction had failed
            raise StoreUnavailable(f"the transaction ended with {ended}")

    async def disconnect(self) -> None:
        """See `Link.disconnect`."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def end(self) -> None:
        """See `Link.end`."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    def is_trouble(self, error: Exception) -> bool:
        """See `Link.is_trouble`."""
        return is_trouble(error)

    def is_lost(self, error: Exception) -> bool:
        """See `Link.is_lost`. What takes too long holds up everybody: it is broken off."""
        return is_lost(error) or isinstance(error, TimeoutError)

    def is_passing(self, error: Exception) -> bool:
        """See `Link.is_passing`."""
        return state_of(error).startswith(_ROLLED_BACK)

    def is_collision(self, error: Exception) -> bool:
        """See `Link.is_collision`."""
        return isinstance(error, asyncpg.UniqueViolationError)

    async def _open(self) -> PostgresConnection:
        if self._connection is None:
            connection = await self._connect()
            try:
                if self._exclusive:
                    await in_greenlet(self._take_lock, connection)
            except BaseException:
                connection.terminate()
                raise
            self._connection = connection
        return self._connection

    async def _connect(self) -> PostgresConnection:
        connection = await connect(self._url)
        try:
            await _wait_for_disk(connection)
            # Where the wait for a standby is broken off, others see what only this server has.
            self.shows_early = bool(await connection.raw.fetchval("SHOW synchronous_standby_names"))
            # What asks whether a group is stored waits for it here, should it be under way.
            # Where there is none any more, another gateway removed it: no number says so.
            number = _FORGOTTEN if self._was_connected else 0
            await in_greenlet(_PRESENT.run, connection, {"writer": self._name, "number": number})
            self._was_connected = True
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _take_lock(self, connection: PostgresConnection) -> None:
        """Have nobody change the tables for as long as this session lives.

        Raises:
            DatabaseInUse: somebody is just doing so.
            StoreUnavailable: a newer alir did, while no session of this gateway kept it from it.
        """
        if not _asked(connection, f"SELECT pg_try_advisory_lock_shared({GATEWAY_LOCK})"):
            raise DatabaseInUse(
                "the tables of this PostgreSQL database are being changed or counted by another "
                "alir. Start this one again once that is done."
            )
        require_known(_asked(connection, "SELECT version_num FROM alembic_version"))


def _asked(connection: PostgresConnection, sql: str) -> Any:
    return connection.execute(sql).fetchone()[0]


async def _wait_for_disk(connection: PostgresConnection) -> None:
    """Have a commit end once it is on disk, whatever the server's settings say.

    What waits for a standby too is left as it is.
    """
    if await connection.raw.fetchval("SHOW synchronous_commit") in ("off", "local"):
        await connection.raw.execute("SET synchronous_commit = on")
