"""SQLite connections that fail where a test says, on a real file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alir.store.sqlite import connect


class Faults:
    """Which statements fail, and how; shared by every connection that `connect` opens."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commits = 0
        self.before_commit: Callable[[], None] = nothing
        self.after_commit: Callable[[], None] = nothing
        self.on_connect: Callable[[], None] = nothing

    def connect(self) -> sqlite3.Connection:
        self.on_connect()
        connect(self.path).close()  # sets the file's own pragmas
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, factory=_Faulty
        )
        connection.faults = self
        connection.execute("PRAGMA synchronous = FULL")
        return connection


class _Faulty(sqlite3.Connection):
    faults: Faults

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql != "COMMIT":
            return super().execute(sql, parameters)
        self.faults.commits += 1
        self.faults.before_commit()
        cursor = super().execute(sql)
        self.faults.after_commit()
        return cursor


def nothing() -> None:
    """No fault."""


def times(count: int) -> Callable[[], None]:
    """Fail as a disk does, `count` times."""
    left = count

    def fail() -> None:
        nonlocal left
        if left:
            left -= 1
            raise sqlite3.OperationalError("disk I/O error")

    return fail


def always() -> None:
    """Fail as a disk does."""
    raise sqlite3.OperationalError("disk I/O error")
