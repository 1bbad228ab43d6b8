"""Looking after a file of SQLite's: bring it up to date, look whether it is whole, copy it."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from alir.errors import NotFound, StoreUnavailable
from alir.store import tables
from alir.store.copying import make_copy, require_new
from alir.store.health import Health, InFile, Upgraded
from alir.store.migrations import HEAD
from alir.store.sqlite import (
    BUSY_TIMEOUT_MS,
    bring_up_to_date,
    lock_beside,
    require_folder,
    version_of,
)

#: What a copy leaves free on its disk: a gateway may need it to go on.
LEFT_FREE = 64 * 1024 * 1024
#: SQLite's instructions between two looks at whether Ctrl-C was pressed.
_INSTRUCTIONS = 100_000
_MOST_FAULTS = 10


class SQLiteFile:
    """One file, and what SQLite keeps beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def upgrade(self) -> Upgraded:
        """Make its tables those of this alir; a new file where there is none.

        Raises:
            DatabaseInUse: a gateway runs on it, and tables have to change.
            StoreUnavailable: it cannot be written, or is a newer alir's.
        """
        require_folder(self._path)
        try:
            return Upgraded(bring_up_to_date(self._path, owned=False), HEAD)
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            raise StoreUnavailable(f"cannot upgrade the database {self._path}: {error}") from error

    def check(self) -> Health:
        """How it is. Reads all of it, and changes nothing.

        Raises:
            NotFound: there is none.
            StoreUnavailable: it cannot be read now.
        """
        self._require()
        version, reusable = None, 0
        rows: dict[str, int] = {}
        messages: dict[str, int] = {}
        with self._opened() as connection:
            faults = _faults(connection)
            if not faults:
                version = version_of(connection)
                rows, messages = _counts(connection)
                reusable = _pragma(connection, "freelist_count") * _pragma(connection, "page_size")
        return Health(
            version=version,
            size=self._size(),
            gateways=self._gateways(),
            rows=rows,
            messages=messages,
            kept=InFile(
                faults=faults,
                reusable=reusable,
                disk_free=shutil.disk_usage(self._path.resolve().parent).free,
            ),
        )

    def backup(self, to: Path) -> int:
        """Make a whole copy, as of one moment, in a new file; its size in bytes.

        Raises:
            NotFound: there is no database, or no folder for the copy.
            NameTaken: there is something at `to` already.
            StoreUnavailable: the copy could not be made; nothing is left of it.
        """
        self._require()

        def write(copy: Path) -> None:
            with self._opened() as connection:
                connection.execute("VACUUM INTO ?", (str(copy),))

        try:
            require_new(to)
            self._require_room(to.parent)
            return make_copy(to, write)
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailable(f"the copy could not be made: {error}") from error

    def _require(self) -> None:
        if not self._path.exists():
            raise NotFound(
                f"There is no database {self._path} here. Run this in the gateway's folder, or "
                "name its database with --database."
            )

    def _require_room(self, folder: Path) -> None:
        free = shutil.disk_usage(folder).free
        if free < self._size() + LEFT_FREE:
            raise StoreUnavailable(
                f"the copy could not be made: {free >> 20} MiB are free in {folder}, and it may "
                f"take {self._size() >> 20} MiB"
            )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None
            )
        except sqlite3.Error as error:
            raise StoreUnavailable(f"cannot open the database {self._path}: {error}") from error
        with closing(connection):
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            # Python sees Ctrl-C only where it runs itself.
            connection.set_progress_handler(lambda: 0, _INSTRUCTIONS)
            yield connection

    def _size(self) -> int:
        beside = self._path.with_name(f"{self._path.name}-wal")
        return self._path.stat().st_size + (beside.stat().st_size if beside.exists() else 0)

    def _gateways(self) -> list[str]:
        """Who holds the lock, without taking it from anybody who is about to."""
        try:
            with lock_beside(self._path).open() as held:
                try:
                    fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return [f"process {held.read(32).strip() or 'unknown'}"]
        except FileNotFoundError:
            pass  # no gateway ever ran on it
        return []


def _faults(connection: sqlite3.Connection) -> list[str]:
    try:
        found = connection.execute(f"PRAGMA quick_check({_MOST_FAULTS})").fetchall()
    except sqlite3.OperationalError as error:  # it may be whole: it could not be read
        raise StoreUnavailable(f"the database cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:  # so broken that not even that can be asked
        return [str(error)]
    said = [str(row[0]) for row in found]
    return [] if said == ["ok"] else said


def _counts(connection: sqlite3.Connection) -> tuple[dict[str, int], dict[str, int]]:
    """Rows of each table that there is by now, and messages by status."""
    there = {
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    rows = {
        name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - ours
        for name in tables.metadata.tables
        if name in there
    }
    if "message" not in there:
        return rows, {}
    statuses = "SELECT status, count(*) FROM message GROUP BY status ORDER BY 2 DESC"
    return rows, dict(connection.execute(statuses).fetchall())


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    found: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return found
