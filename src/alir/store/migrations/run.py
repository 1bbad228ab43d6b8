"""Bring a database up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from alir.store.migrations import HEAD


def upgrade(path: Path) -> None:
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

    config = Config()
    config.set_main_option("script_location", "alir:store/migrations")
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)
    engine.dispose()
