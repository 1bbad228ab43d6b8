"""Bring a database up to date."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from alir.errors import DatabaseInUse, StoreUnavailable
from alir.store.migrations import HEAD
from alir.store.unreachable import unreachable

CONNECT_SECONDS = 5.0
#: The key of the lock that a gateway holds on its PostgreSQL database: "alir" in ASCII.
GATEWAY_LOCK = 0x616C6972
#: The key of the lock under which tables are made and changed: "alis" in ASCII.
_MIGRATING = 0x616C6973


def upgrade_sqlite(path: Path) -> None:
    """Bring the SQLite file at `path` to `HEAD`, in one transaction a version."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def take_the_write_lock(connection: Connection) -> None:
        # Two processes that open a new file at once must not both create its tables.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 5000")

    with engine.begin() as connection:
        _upgrade(connection)
    engine.dispose()


def upgrade_postgresql(url: str) -> str | None:
    """Bring the PostgreSQL database at `url` to `HEAD`, all of it in one transaction.

    Works in a thread and an event loop of its own, so that it can be called from within one.
    Returns the version that the tables were of; none: there were none.

    Raises:
        DatabaseInUse: its tables have to change, and a gateway runs on it.
        StoreUnavailable: its tables cannot be changed, or are a newer alir's.
        OSError, TimeoutError, asyncpg.PostgresError: it cannot be reached.
        ValueError: the URL cannot be read.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="alir-migrate") as thread:
        return thread.submit(asyncio.run, _upgrade_postgresql(url)).result()


async def _upgrade_postgresql(url: str) -> str | None:
    import asyncpg  # who is on SQLite need not load it
    from sqlalchemy.ext.asyncio import create_async_engine

    async def connect() -> Any:
        return await asyncpg.connect(url, timeout=CONNECT_SECONDS)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))
            version = await connection.run_sync(_upgrade_known)
    except DBAPIError as error:
        said = (error.orig and error.orig.__cause__) or error  # the server's own words are shorter
        raise StoreUnavailable(
            f"the tables of the PostgreSQL database cannot be made or changed: {unreachable(said)}"
        ) from error
    await engine.dispose()
    return version


def _upgrade_known(connection: Connection) -> str | None:
    version = MigrationContext.configure(connection).get_current_revision()
    if version is not None:
        require_known(version)
    if version is not None and version != HEAD:
        lock = text(f"SELECT pg_try_advisory_xact_lock({GATEWAY_LOCK})")
        if not connection.execute(lock).scalar():
            raise DatabaseInUse(
                f"a gateway runs on this PostgreSQL database, whose tables are of version {version}"
                f" and have to be of {HEAD} for this alir. Stop it first."
            )
    if version != HEAD:
        _upgrade(connection)
    return version


def require_known(version: str) -> None:
    """See that tables of this version are none of a newer alir's.

    Raises:
        StoreUnavailable: they are.
    """
    if version > HEAD:
        raise StoreUnavailable(
            f"the database was used by a newer alir: its tables are of version {version}, and this "
            f"one knows {HEAD}"
        )


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "alir:store/migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
