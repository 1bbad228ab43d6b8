"""Looking after a database of PostgreSQL's: bring it up to date, look how it is, copy it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg

from alir.errors import SettingsInvalid, StoreUnavailable
from alir.store import pg_dump, tables
from alir.store.copying import make_copy, require_new
from alir.store.health import ByServer, Health, Standby, Upgraded
from alir.store.migrations import HEAD
from alir.store.migrations.run import CONNECT_SECONDS, GATEWAY_LOCK, upgrade_postgresql
from alir.store.unreachable import unreachable

T = TypeVar("T")

#: What the server's number of its version grows by.
_A_MAJOR_VERSION: Final = 10_000

_THERE: Final = "SELECT tablename FROM pg_tables WHERE schemaname = ANY (current_schemas(false))"
#: Of a role that may not look, the columns are null. A base backup is no standby.
_STANDBYS: Final = """
    SELECT application_name, sync_state FROM pg_stat_replication
    WHERE state IS DISTINCT FROM 'backup' ORDER BY application_name
"""
_INVALID: Final = """
    SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1
"""
_GATEWAYS: Final = """
    SELECT host(client_addr) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND objid = $1 AND classid = 0 AND granted
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY 1
"""
_STATUSES: Final = "SELECT status, count(*) FROM message GROUP BY status ORDER BY 2 DESC"


class PostgreSQLUpkeep:
    """One database of a server."""

    def __init__(self, url: str) -> None:
        self._url = url

    def upgrade(self) -> Upgraded:
        """Make its tables those of this alir.

        Raises:
            DatabaseInUse: a gateway runs on it, and tables have to change.
            StoreUnavailable: it cannot be reached or changed, or is a newer alir's.
            SettingsInvalid: the URL cannot be read.
        """
        with _explained():
            return Upgraded(upgrade_postgresql(self._url), HEAD)

    def check(self) -> Health:
        """How it is, as of one moment. Counts all that there is, and changes nothing.

        Raises:
            StoreUnavailable: it cannot be reached or read.
            SettingsInvalid: the URL cannot be read.
        """

        async def look(connection: asyncpg.Connection[Any]) -> Health:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await _health(connection)

        return self._ask(look)

    def backup(self, to: Path) -> int:
        """Have pg_dump make a whole copy, as of one moment, in a new file; its size in bytes.

        Raises:
            NotFound: there is no folder for the copy, or no pg_dump that can make it.
            NameTaken: there is something at `to` already.
            StoreUnavailable: the copy could not be made; nothing is left of it.
            SettingsInvalid: the URL cannot be read, or not be handed on.
        """
        try:
            require_new(to)
            number = self._ask(_version)
            program = pg_dump.program_for(number // _A_MAJOR_VERSION)
            return make_copy(to, lambda copy: pg_dump.dump(program, self._url, copy))
        except OSError as error:
            raise StoreUnavailable(f"the copy could not be made: {error}") from error

    def _ask(self, ask: Callable[[asyncpg.Connection[Any]], Awaitable[T]]) -> T:
        async def run() -> T:
            connection = await asyncpg.connect(
                self._url, timeout=CONNECT_SECONDS, server_settings={"application_name": "alir db"}
            )
            try:
                return await ask(connection)
            finally:
                await connection.close(timeout=1)

        with _explained():
            return asyncio.run(run())


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (ValueError, asyncpg.ClientConfigurationError) as error:
        raise SettingsInvalid(
            [f"database: expected postgresql://USER:PASSWORD@HOST/NAME; {error}"]
        ) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StoreUnavailable(
            f"cannot use the PostgreSQL database: {unreachable(error)}"
        ) from error


async def _health(connection: asyncpg.Connection[Any]) -> Health:
    there = {row[0] for row in await connection.fetch(_THERE)}
    version = None
    if "alembic_version" in there:
        version = await connection.fetchval("SELECT version_num FROM alembic_version")
    rows = {
        name: await connection.fetchval(f"SELECT count(*) FROM {name}")  # noqa: S608 - ours
        for name in tables.metadata.tables
        if name in there
    }
    statuses = await connection.fetch(_STATUSES) if "message" in there else []
    major, minor = divmod(await _version(connection), _A_MAJOR_VERSION)
    return Health(
        version=version,
        size=await connection.fetchval("SELECT pg_database_size(current_database())"),
        gateways=[
            "one" if row[0] is None else f"one at {row[0]}"
            for row in await connection.fetch(_GATEWAYS, GATEWAY_LOCK)
        ],
        rows=rows,
        messages={row[0]: row[1] for row in statuses},
        kept=ByServer(
            major=major,
            version=f"{major}.{minor}",
            is_standby=await connection.fetchval("SELECT pg_is_in_recovery()"),
            fsync=await connection.fetchval("SHOW fsync"),
            full_page_writes=await connection.fetchval("SHOW full_page_writes"),
            synchronous_commit=await connection.fetchval("SHOW synchronous_commit"),
            standbys=[Standby(*row) for row in await connection.fetch(_STANDBYS)],
            invalid_indexes=[row[0] for row in await connection.fetch(_INVALID)],
        ),
    )


async def _version(connection: asyncpg.Connection[Any]) -> int:
    """Such as 160004, which is 16.4."""
    return int(await connection.fetchval("SHOW server_version_num"))
