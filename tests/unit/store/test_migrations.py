"""The versions of the schema, one after the other, make what `tables` says."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from alir.store.database import open_database
from alir.store.migrations import HEAD
from alir.store.tables import metadata


@pytest.fixture
def upgraded(tmp_path: Path) -> Engine:
    """A database that every migration has run on."""
    path = tmp_path / "upgraded.db"
    asyncio.run(open_database(f"sqlite:///{path}").close())
    return create_engine(f"sqlite:///{path}")


@pytest.fixture
def made(tmp_path: Path) -> Engine:
    """A database made straight from the tables."""
    engine = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    metadata.create_all(engine)
    return engine


def test_head_is_the_newest_version() -> None:
    config = Config()
    config.set_main_option("script_location", "alir:store/migrations")
    config.set_main_option("path_separator", "os")

    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_versions_are_named_so_that_later_ones_sort_after_earlier_ones() -> None:
    assert re.fullmatch(r"\d{4}", HEAD)


def test_no_version_reads_the_tables_of_today() -> None:
    import alir.store.migrations

    folder = Path(str(alir.store.migrations.__file__)).parent / "versions"
    for version in folder.glob("*.py"):
        assert "alir" not in re.findall(r"^(?:from|import) (\w+)", version.read_text(), re.M)


def test_an_upgraded_database_has_the_tables_of_today(upgraded: Engine) -> None:
    with upgraded.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    upgraded.dispose()


def test_an_upgraded_database_has_the_indexes_of_today_with_their_conditions(
    upgraded: Engine, made: Engine
) -> None:
    assert _indexes(upgraded) == _indexes(made) != {}


def _indexes(engine: Engine) -> dict[str, str]:
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    with engine.connect() as connection:
        found = {row[0]: row[1] for row in connection.exec_driver_sql(query)}
    engine.dispose()
    return found
