"""One fixture: a database of each kind that alir runs on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.contract.stores import BACKENDS, Backend, SQLite

from alir.store.database import open_database


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and nothing in them, made once, as making it takes time."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(open_database(f"sqlite:///{path}", exclusive=False).close())
    return path


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Backend:
    """An empty database."""
    match request.param:
        case "sqlite":
            return SQLite(tmp_path, sqlite_template)
        case other:
            raise AssertionError(f"a backend without a fixture: {other}")
