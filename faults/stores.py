"""Where gateways keep messages, and how that is broken: a file on a small disk, or PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import asyncpg
from tests.postgres import OwnServer, new_database, own_server

from faults.programs import BenchFailed

#: Room for the messages of a run.
_DISK_MIB: Final = 48
#: Where no disk can be mounted, no file may grow beyond this: less than a database has, and more
#: than a log.
_FILE_BYTES: Final = 64 * 1024
_PIECES: Final = (1024 * 1024, 4096, 1)
_CUT: Final = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'alir'"
)

T = TypeVar("T")


class Store:
    """One database, and what can be done to it.

    Attributes:
        url: as alir is given it.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    async def cut(self) -> None:
        """End every session of a gateway."""
        raise BenchFailed("this store has no sessions")

    async def stop(self) -> None:
        """End the server as a crash does."""
        raise BenchFailed("this store has no server of its own")

    async def start(self) -> None:
        """Start the server again."""
        raise BenchFailed("this store has no server of its own")

    def fill(self, gateways: Sequence[int]) -> None:  # noqa: ARG002 - there is nothing to fill
        """Leave these processes no room on the disk."""
        raise BenchFailed("this store's disk cannot be filled")

    def clear(self, gateways: Sequence[int]) -> None:  # noqa: ARG002 - there is nothing to fill
        """Have room on the disk again."""
        raise BenchFailed("this store's disk cannot be filled")


Opening: TypeAlias = AbstractAsyncContextManager[Store]


class SQLite(Store):
    """A file in a folder.

    Args:
        is_disk: the folder is a disk of its own, which can be filled; else the files of a process
            are kept from growing.
    """

    def __init__(self, folder: Path, *, is_disk: bool) -> None:
        super().__init__(f"sqlite:///{folder / 'alir.db'}")
        self._ballast = folder / "ballast" if is_disk else None

    def fill(self, gateways: Sequence[int]) -> None:
        """See `Store.fill`."""
        if self._ballast is None:
            for pid in gateways:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (_FILE_BYTES, resource.RLIM_INFINITY))
            return
        with self._ballast.open("wb", buffering=0) as ballast:
            for piece in _PIECES:
                with suppress(OSError):  # it is full
                    while ballast.write(bytes(piece)) == piece:
                        pass

    def clear(self, gateways: Sequence[int]) -> None:
        """See `Store.clear`."""
        if self._ballast is not None:
            self._ballast.unlink()
            return
        whole = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        for pid in gateways:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, whole)


class PostgreSQL(Store):
    """A database of a server; of one that is the run's own, the server can be stopped."""

    def __init__(self, url: str, server: OwnServer | None) -> None:
        super().__init__(url)
        self._server = server

    async def cut(self) -> None:
        """See `Store.cut`."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(_CUT)
        finally:
            await connection.close()

    async def stop(self) -> None:
        """See `Store.stop`."""
        if self._server is None:
            await super().stop()
        else:
            await asyncio.to_thread(self._server.stop)

    async def start(self) -> None:
        """See `Store.start`."""
        if self._server is None:
            await super().start()
        else:
            await asyncio.to_thread(self._server.start)


@asynccontextmanager
async def sqlite(folder: Path, *, small: bool) -> AsyncIterator[Store]:
    """A file; `small`: on a disk of its own that can be filled, where this may mount one."""
    disk = folder / "disk"
    disk.mkdir()
    async with _in_thread(_mounted(disk) if small else nullcontext(False)) as is_disk:
        yield SQLite(disk, is_disk=is_disk)


@contextmanager
def _mounted(disk: Path) -> Iterator[bool]:
    """A small disk in this folder; whether one could be mounted."""
    is_disk = False
    if os.geteuid() == 0 and shutil.which("mount") is not None:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(disk)]
        is_disk = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield is_disk
    finally:
        if is_disk:
            subprocess.run(["umount", "--lazy", str(disk)], check=False)


@asynccontextmanager
async def postgresql(server: str | None) -> AsyncIterator[Store]:
    """An empty database of the server with this URL; none: of a server of its own."""
    async with AsyncExitStack() as during:
        own = None
        if server is None:
            own = await during.enter_async_context(_in_thread(own_server()))
            server = own.url
        yield PostgreSQL(await during.enter_async_context(_in_thread(new_database(server))), own)


@asynccontextmanager
async def _in_thread(slow: AbstractContextManager[T]) -> AsyncIterator[T]:
    """What blocks as it comes and goes; it goes even where its coming was not waited for."""
    coming = asyncio.ensure_future(asyncio.to_thread(slow.__enter__))
    try:
        yield await asyncio.shield(coming)
    finally:
        await coming
        await asyncio.to_thread(slow.__exit__, None, None, None)
