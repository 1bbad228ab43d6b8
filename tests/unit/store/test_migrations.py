"""The versions of the schema, one after the other, make what `tables` says."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, Table, create_engine, insert
from tests.clock import START, FakeClock
from tests.contract.stores import Stores
from tests.examples import MAIN, a_message, begin_due
from tests.running import in_a_loop

from alir.errors import DatabaseInUse
from alir.messages.model import Message, Priority, QueueClass
from alir.store import rows
from alir.store.database import open_database
from alir.store.migrations import HEAD
from alir.store.sqlite import take_lock, version_of
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


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", "alir:store/migrations")
    config.set_main_option("path_separator", "os")
    return config


def test_head_is_the_newest_version() -> None:
    assert ScriptDirectory.from_config(configuration()).get_heads() == [HEAD]


def test_versions_are_named_so_that_later_ones_sort_after_earlier_ones() -> None:
    assert re.fullmatch(r"\d{4}", HEAD)


def test_no_version_reads_the_tables_of_today() -> None:
    import alir.store.migrations

    folder = Path(str(alir.store.migrations.__file__)).parent / "versions"
    for version in folder.glob("*.py"):
        assert "alir" not in re.findall(r"^(?:from|import) (\w+)", version.read_text(), re.M)


# The next test compares that one, too.
@pytest.mark.filterwarnings("ignore:.* expression-based index")
def test_an_upgraded_database_has_the_tables_of_today(upgraded: Engine) -> None:
    with upgraded.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    upgraded.dispose()


def test_an_upgraded_database_has_the_indexes_of_today_with_their_conditions(
    upgraded: Engine, made: Engine
) -> None:
    assert _indexes(upgraded) == _indexes(made) != {}


@in_a_loop
async def test_what_was_queued_before_there_were_classes_goes_in_the_class_it_asked_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "alir.db"
    single, reply = a_message(), a_message(reply_message_id="wamid.1", priority=Priority.BULK)
    bulk = a_message(priority=Priority.BULK)
    parked = a_message(priority=Priority.BULK, parked="flow 1")
    _database_of_version("0002", path, [bulk, single, reply, parked])

    database = open_database(f"sqlite:///{path}")
    store = Stores(database, FakeClock(START))
    begun = await store.messages.begin(MAIN, limit=9, judge=begin_due)
    expected = {single.id: "single", reply.id: "reply", bulk.id: "bulk", parked.id: "bulk"}
    found = {id_: (await store.messages.get(id_)).queue_class for id_ in expected}
    await database.close()

    assert [m.id for m in begun.messages] == [reply.id, single.id, bulk.id]
    assert found == expected
    assert set(found.values()) == set(QueueClass)


def test_tables_change_under_no_gateway_whoever_opens_them(tmp_path: Path) -> None:
    path = tmp_path / "alir.db"
    url = f"sqlite:///{path}"
    _database_of_version("0003", path, [])
    lock = take_lock(path)  # as a gateway of that version holds it
    with pytest.raises(DatabaseInUse, match=f"process {os.getpid()}.* version 0003"):
        open_database(url, exclusive=False)
    assert _version(path) == "0003"
    os.close(lock)
    asyncio.run(open_database(url, exclusive=False).close())
    assert _version(path) == HEAD

    lock = take_lock(path)
    asyncio.run(open_database(url, exclusive=False).close())  # there is nothing to change
    os.close(lock)


def _version(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as connection:
        return version_of(connection)


def _database_of_version(version: str, path: Path, messages: list[Message]) -> None:
    """A database as an earlier alir left it, with these messages in its queue."""
    engine = create_engine(f"sqlite:///{path}")
    config = configuration()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        table = Table("message", MetaData(), autoload_with=connection)
        for message in messages:
            row = rows.message_row(message)
            known = {name: value for name, value in row.items() if name in table.c}
            connection.execute(insert(table).values(known))
    engine.dispose()


def _indexes(engine: Engine) -> dict[str, str]:
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    with engine.connect() as connection:
        found = {row[0]: row[1] for row in connection.exec_driver_sql(query)}
    engine.dispose()
    return found
