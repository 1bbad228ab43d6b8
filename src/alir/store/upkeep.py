"""Looking after a database as a whole, whatever its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from alir.store.database import file_of
from alir.store.health import Health, Upgraded
from alir.store.sqlite_file import SQLiteFile


class Upkeep(Protocol):
    """One database, beside a gateway that may run on it."""

    def upgrade(self) -> Upgraded:
        """Make its tables those of this alir; a new one where there is none.

        Raises:
            DatabaseInUse: a gateway runs on it, and tables have to change.
            StoreUnavailable: it cannot be written, or is a newer alir's.
        """
        ...

    def check(self) -> Health:
        """How it is. Reads all of it, and changes nothing.

        Raises:
            NotFound: there is none.
            StoreUnavailable: it cannot be read now.
        """
        ...

    def backup(self, to: Path) -> int:
        """Make a whole copy, as of one moment, in a new file; its size in bytes.

        Raises:
            NotFound: there is no database, or no folder for the copy.
            NameTaken: there is something at `to` already.
            StoreUnavailable: the copy could not be made; nothing is left of it.
        """
        ...


def upkeep_of(url: str) -> Upkeep:
    """The database that the settings name.

    Raises:
        SettingsInvalid: the URL is of no kind that alir can open.
    """
    path = file_of(url)
    if path is None:
        from alir.store.postgresql_upkeep import PostgreSQLUpkeep  # who is on SQLite need not load

        return PostgreSQLUpkeep(url)
    return SQLiteFile(path)
