"""One fixture: a database of each kind that alir runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.stores import BACKENDS, Backend, PostgreSQL, SQLite
from tests.postgres import new_database

from alir.store.database import open_database


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and nothing in them, made once, as making it takes time."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A database of it with all tables."""
    with new_database(postgresql_server) as url:
        make_tables(url)
        yield url


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """An empty database."""
    match request.param:
        case "sqlite":
            return SQLite(tmp_path, request.getfixturevalue("sqlite_template"))
        case "postgresql":
            return PostgreSQL(request.getfixturevalue("postgresql_url"))
        case other:
            raise AssertionError(f"a backend without a fixture: {other}")


def make_tables(url: str) -> None:
    """Bring a new database up to date."""

    async def work() -> None:
        await open_database(url, exclusive=False).close()

    asyncio.run(work())
