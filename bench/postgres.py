"""PostgreSQL databases for the bench, each empty, and what is counted in them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from tests.postgres import execute, named, real_server


class Databases:
    """Databases of one server: one for each folder of a round."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._runner = asyncio.Runner()
        self._names: dict[Path, str] = {}
        self._connections: dict[str, asyncpg.Connection[Any]] = {}

    def url(self, folder: Path) -> str:
        """The URL of the folder's database, made when it is asked for first."""
        if folder not in self._names:
            self._names[folder] = f"alir_bench_{uuid4().hex}"
            execute(self._server, f"CREATE DATABASE {self._names[folder]}")
        return named(self._server, self._names[folder])

    def run(self, folder: Path, *statements: str) -> None:
        """Run these in the folder's database, each by itself."""
        execute(self.url(folder), *statements)

    def count(self, folder: Path, query: str) -> int:
        """The one number that a query gives."""
        return self._runner.run(self._count(self.url(folder), query))

    async def _count(self, url: str, query: str) -> int:
        if url not in self._connections:
            self._connections[url] = await asyncpg.connect(url)
        number: int = await self._connections[url].fetchval(query)
        return number

    def drop(self, folder: Path) -> None:
        """Drop the folder's database."""
        name = self._names.pop(folder, None)
        if name is None:
            return
        if connection := self._connections.pop(named(self._server, name), None):
            self._runner.run(connection.close())
        execute(self._server, f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """Drop them all."""
        for folder in tuple(self._names):
            self.drop(folder)
        self._runner.close()


@contextmanager
def databases() -> Iterator[Databases]:
    """Databases of the server that ALIR_TEST_POSTGRES names, else of one of the bench's own."""
    with real_server() as server:
        found = Databases(server)
        try:
            yield found
        finally:
            found.close()
